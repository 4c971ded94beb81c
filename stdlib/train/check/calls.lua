-- Calls of train with one table of keywords: names that they do not have, and options that callbacks refuse.
local keras = require "train.keras"
local keywords = require "host.keywords"
local values = require "host.check.values"
local written = require "train.check.written"

local calls = {}

local HOMES <const> = {train = true, ["train.metrics"] = true}
local FREE <const> = {callback_list = true, LambdaCallback = true, on = true, plot = true}  -- no tables of keywords

local Caught = {}

-- What a function of the library asks of its keywords, without running it: keywords.check is the first thing it calls.
local function asked(f)
  local check = keywords.check
  local _ <close> = setmetatable({}, {__close = function() keywords.check = check end})
  function keywords.check(where, _, defaults) error(setmetatable({where = where, defaults = defaults}, Caught), 0) end
  local ok, caught = pcall(f, {})
  if ok or getmetatable(caught) ~= Caught then return nil end
  return caught
end

local function message_of(err) return err.message .. (err.hint and " (" .. err.hint .. ")" or "") end

---Names that the function does not have, and required ones that are not there.
---@param call table
---@param report fun(line: integer, text: string)
---@return boolean found
function calls.keywords(call, report)
  local name, home = written.called_name(call)
  local given = HOMES[home] and not FREE[name] and written.only_table(call)
  local f = given and values.of(call.callee)
  local of = f and asked(f)
  if not of then return false end
  local takes = home == "train" and keras.TAKES[name] or {}
  local found, complete, all = false, given == call.arguments[1], {}  -- a table that has a name may get more
  for _, item in ipairs(given.items) do
    local is_given = values.origin(item.value).type ~= "nil"
    local key = item.key and (takes[item.key] or item.key)
    if not key then
      complete = false
    elseif is_given and of.defaults[key] == nil then
      local ok, err = pcall(keywords.check, of.where, {[key] = true}, of.defaults)
      if not ok then
        found = true
        report(item.line, message_of(err))
      end
    elseif is_given then
      all[key] = true
    end
  end
  if found or not complete then return found end
  local ok, err = pcall(keywords.check, of.where, all, of.defaults)
  if not ok then report(call.line, message_of(err)) end
  return not ok
end

---Makes a callback or a metric whose options are all written out: that touches nothing.
---@param call table
---@return boolean? ok nil if it is none
---@return any made the callback, or the error
function calls.make(call)
  local name, home = written.called_name(call)
  if not HOMES[home] or not name:find("^%u") or FREE[name] then return nil end
  if #call.arguments > 1 then return nil end
  local given, known
  if call.arguments[1] then
    given, known = written.literal(call.arguments[1])
    if not known then return nil end
  end
  return pcall(values.of(call.callee), given)
end

---Options of callbacks and metrics that are refused.
---@param call table
---@param report fun(line: integer, text: string)
function calls.options(call, report)
  local ok, err = calls.make(call)
  if ok == false and type(err) == "table" and err.message then report(call.line, message_of(err)) end
end

return calls
