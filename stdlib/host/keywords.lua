-- Keyword arguments: a last table with names, its defaults filled in, unknown names refused with the valid ones.
local ordered = require "host.ordered"
local vm = require "native.vm"

local keywords = {}

-- Defaults that are no value: `required` must be given, `none` may be given and is nil otherwise.
keywords.required = setmetatable({}, {__name = "keywords.required"})
keywords.none = setmetatable({}, {__name = "keywords.none"})

--- The hint of an error about a misspelt name: "did you mean 'val_loss'?", nil if no valid one is near.
---@param wanted any
---@param names string[] the valid ones
---@return string?
function keywords.did_you_mean(wanted, names)
  local near = type(wanted) == "string" and vm.nearest(wanted, names, 1)[1]
  return near and ("did you mean '%s'?"):format(near) or nil
end

local MOST <const>, BESIDE_HINT <const> = 20, 6  -- names that an error lists

--- The names for an error message; of many only the first ones, and fewer where a hint says which was meant.
---@param names string[]
---@param has_hint boolean
---@return string "a, b, c, ... (45 in all)"
function keywords.listed(names, has_hint)
  if #names <= MOST then return table.concat(names, ", ") end
  return ("%s, ... (%d in all)"):format(table.concat(names, ", ", 1, has_hint and BESIDE_HINT or MOST), #names)
end

-- What is no table of keywords, such as the table before the colon of a call.
local function refuse(function_name, given)
  local meta = type(given) == "table" and debug.getmetatable(given)
  local class = meta and type(meta.__name) == "string" and meta.__name
  vm.raise("usage", ("%s: expected a table of keywords, got %s"):format(function_name, class or vm.describe(given)),
    ("%s{name = value}%s"):format(function_name, class and function_name:match("^(.*)%.") == class and ", with a dot" or ""))
end

-- Raises for the first name in sorted order that has no default.
local function refuse_unknown(function_name, given, defaults)
  for _, name in ipairs(ordered.keys(given)) do
    if defaults[name] == nil then
      local valid = ordered.keys(defaults)
      if getmetatable(given) ~= nil then refuse(function_name, given) end
      local hint = keywords.did_you_mean(name, valid)
      vm.raise("usage", ("%s: unknown keyword %s, expected %s"):format(function_name, vm.describe(name),
        #valid == 0 and "none" or "one of " .. keywords.listed(valid, hint ~= nil)), hint)
    end
  end
end

--- Whether a value is a keyword table: a plain, non-empty table whose keys are all strings.
---@param value any
---@return boolean
function keywords.is(value)
  if type(value) ~= "table" or getmetatable(value) ~= nil or next(value) == nil then return false end
  for key in pairs(value) do
    if type(key) ~= "string" then return false end
  end
  return true
end

--- Fills the defaults of a function's keywords and refuses names that it does not have.
---@param function_name string as the user wrote it: "EarlyStopping"
---@param given table|nil name -> value; nil is the same as {}
---@param defaults table name -> default, `keywords.required` or `keywords.none`
---@return table a new table; `given` is left as it is
function keywords.check(function_name, given, defaults)
  if given == nil then given = {} end
  if type(given) ~= "table" then refuse(function_name, given) end
  local result = {}
  for name, default in pairs(defaults) do
    if default ~= keywords.required and default ~= keywords.none then result[name] = default end
  end
  for name, value in pairs(given) do
    if defaults[name] == nil then refuse_unknown(function_name, given, defaults) end
    result[name] = value
  end
  for _, name in ipairs(ordered.keys(defaults)) do
    if defaults[name] == keywords.required and result[name] == nil then
      vm.raise("usage", ("%s: keyword '%s' is required"):format(function_name, name))
    end
  end
  return result
end

--- Splits arguments into positional ones and the keywords of a last table (see `keywords.is`).
---@return table positional with the count in `n`
---@return table|nil keywords
function keywords.split(...)
  local arguments = table.pack(...)
  if arguments.n > 0 and keywords.is(arguments[arguments.n]) then
    local given = arguments[arguments.n]
    arguments[arguments.n] = nil
    arguments.n = arguments.n - 1
    return arguments, given
  end
  return arguments, nil
end

return keywords
