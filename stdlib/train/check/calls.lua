-- Calls of train with one table of keywords: names that they do not have, and options that callbacks refuse.
local asked = require "host.check.asked"
local keras = require "train.keras"
local keywords = require "host.keywords"
local ordered = require "host.ordered"
local values = require "host.check.values"
local written = require "train.check.written"

local calls = {}

local HOMES <const> = {train = true, ["train.metrics"] = true}
local FREE <const> = {callback_list = true, LambdaCallback = true, on = true, plot = true}  -- no tables of keywords

local function stand_in() end

-- Reports what the library refuses.
local function say(report, at, err) report(at, err.message, err.hint) end

---The usage error of a call; nil if it takes the arguments.
---@param f function
---@return table?
function calls.refused(f, ...)
  local ok, err = pcall(f, ...)
  return not ok and type(err) == "table" and err.message and err or nil
end

local refused <const> = calls.refused

---Names that the function does not have, and required ones that are not there.
---@param call table
---@param report fun(at: table, message: string, hint: string?)
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
      -- What the function says of it: another library's word is told from a misspelt one.
      local err = refused(f, {[key] = 1}) or refused(keywords.check, of.where, {[key] = true}, of.defaults)
      if not err.message:find(key, 1, true) then err = refused(keywords.check, of.where, {[key] = true}, of.defaults) end
      found = true
      say(report, item, err)
    elseif is_given then
      all[key] = true
    end
  end
  if found or not complete then return found end
  local err = refused(keywords.check, of.where, all, of.defaults)
  if err then say(report, call, err) end
  return err ~= nil
end

---What an expression is worth as far as it is written out: literals, names of the library, callbacks and metrics that are
---made there; a function that does nothing stands for one.
---@param node table
---@return any value
---@return boolean known
function calls.value(node)
  local value, known = written.literal(node, calls.value)
  if known then return value, true end
  local origin = values.origin(node)
  if origin.type == "function" then return stand_in, true end
  if origin.type == "call" then
    local ok, made = calls.make(origin)
    return made, ok == true
  end
  value = values.of(origin)
  return value, value ~= nil
end

-- Is it a call that makes a callback or a metric, or hooks one up?
local function makes(call)
  local name, home = written.called_name(call)
  return HOMES[home] and (name:find("^%u") ~= nil or name == "on" and home == "train")
end

---Makes a callback or a metric whose options are all written out: that touches nothing.
---@param call table
---@return boolean? ok nil if it is none
---@return any made the callback, or the error
function calls.make(call)
  if not makes(call) then return nil end
  local arguments, name = {}, written.called_name(call)
  for i, node in ipairs(call.arguments) do
    local value, known = calls.value(node)
    if not known and not (name == "on" and i == #call.arguments) then return nil end
    if not known then value = stand_in end  -- a function from elsewhere
    arguments[i] = value
  end
  return pcall(values.of(call.callee), table.unpack(arguments, 1, #call.arguments))
end

-- The table of options of a call, which is its last argument or stands before the function of train.on; how it is called with
-- other options; nil if what stands beside them is not known.
local function options_of(call)
  local name, count = written.called_name(call), #call.arguments
  local at = name == "on" and 2 or count
  local node = call.arguments[at] and values.origin(call.arguments[at])
  if not node or node.type ~= "table" then return nil end
  local arguments = {}
  for i, each in ipairs(call.arguments) do
    local value, known = calls.value(each)
    if name == "on" and i == count and not known then value, known = stand_in, true end
    if i ~= at and not known then return nil end
    arguments[i] = value
  end
  local f = values.of(call.callee)
  return node, function(options)
    arguments[at] = options
    return refused(f, table.unpack(arguments, 1, count))
  end
end

-- The required options as they are written, or text that stands for them.
local function required_of(call, node)
  local of, base = asked(values.of(call.callee)), {}
  for _, name in ipairs(of and ordered.keys(of.defaults) or {}) do
    if of.defaults[name] == keywords.required then base[name] = "x" end
  end
  for _, item in ipairs(node.items) do
    local value, known = calls.value(item.value)
    if base[item.key] and known then base[item.key] = value end
  end
  return base, of and of.defaults
end

---Options of callbacks and metrics that are refused, each by itself.
---@param call table
---@param report fun(at: table, message: string, hint: string?)
function calls.options(call, report)
  if not makes(call) then return end
  local ok, made = calls.make(call)
  if ok then return end
  local node, try = options_of(call)
  local found, told = false, written.only_table(call) ~= nil and not FREE[written.called_name(call)]  -- of names, by calls.keywords
  if node then
    local base, defaults = required_of(call, node)
    local before = try(base)
    for _, item in ipairs(node.items) do
      local value, known = calls.value(item.value)
      if item.key and known and not (told and defaults and defaults[item.key] == nil) then
        local given = {[item.key] = value}
        for name, each in pairs(base) do given[name] = each end
        local err = try(given)
        if err and (not before or before.message ~= err.message or base[item.key] ~= nil) then
          found = true
          say(report, item, err)
        end
      end
    end
  end
  local is_new = type(made) == "table" and made.message and not (told and made.message:find("unknown keyword", 1, true))
  if ok == false and not found and is_new then say(report, call, made) end
end

return calls
