-- What the options of a callback must be, checked where it is made.
local callback_policy = require "train.callback_policy"
local keywords = require "host.keywords"
local ordered = require "host.ordered"
local vm = require "native.vm"

local options = {}

-- kind -> {what it must be, function(value) that returns the value to keep or nil}
local function whole(least)
  return function(value)
    local n = math.type(value) and math.tointeger(value)
    return n and n >= least and n or nil
  end
end

local function of_type(name)
  return function(value) return type(value) == name and value or nil end
end

local function number(accepts)
  return function(value)
    return type(value) == "number" and value == value and (not accepts or accepts(value)) and value or nil
  end
end

local function text(value) return type(value) == "string" and value ~= "" and value or nil end

local function names(value)
  if type(value) ~= "table" then return nil end
  for key, name in pairs(value) do
    if math.type(key) ~= "integer" or type(name) ~= "string" then return nil end
  end
  return value
end

local KINDS <const> = {
  count = {"a whole number of 0 or more", whole(0)},
  positive_count = {"a whole number of 1 or more", whole(1)},
  integer = {"a whole number", whole(math.mininteger)},
  number = {"a number", number()},
  positive = {"a number above 0", number(function(v) return v > 0 end)},
  not_negative = {"a number of 0 or more", number(function(v) return v >= 0 end)},
  names = {"a list of names", names},
  text = {"a string that is not empty", text},
  ["function"] = {"a function", of_type "function"},
  errors = {callback_policy.ERRORS, function(value)
    local ok, got = callback_policy.errors(value, "raise")
    return ok and value, got
  end},
  budget = {callback_policy.BUDGET, function(value) return callback_policy.budget(value) and value end},
}

-- Keras's 0, 1 and 2 mean what they mean there; in Lua 0 is true.
local VERBOSE <const> = {[0] = false, [1] = true, [2] = true, [true] = true, [false] = false}

local function one_of(choices)
  local words = {}
  for i, choice in ipairs(choices) do words[i] = ('"%s"'):format(choice) end
  return #words <= 2 and table.concat(words, " or ")
    or table.concat(words, ", ", 1, #words - 1) .. " or " .. words[#words]
end

--- Checks the options that were given (nil is not given), and keeps whole numbers as integers.
---@param where string "train.EarlyStopping"
---@param given table the options, changed in place
---@param kinds table<string, string|string[]> option -> count, positive_count, integer, number, positive, not_negative, text,
--- names, function, flag, verbose, errors, budget, or the strings that it may be
---@param said? table<string, string> what the user called those that have another name now
---@return table given
function options.check(where, given, kinds, said)
  local function fail(name, what, value, got)
    vm.raise("usage", ("%s: %s must be %s, got %s"):format(where, said and said[name] or name, what, got or vm.describe(value)))
  end
  for _, name in ipairs(ordered.keys(kinds)) do
    local value, kind = given[name], kinds[name]
    if value == nil then goto continue end
    if type(kind) == "table" then
      local known = false
      for _, choice in ipairs(kind) do known = known or choice == value end
      if not known then fail(name, one_of(kind), value) end
    elseif kind == "flag" then
      if type(value) ~= "boolean" then fail(name, "true or false", value) end
    elseif kind == "verbose" then
      if VERBOSE[value] == nil then fail(name, "true or false", value) end
      given[name] = VERBOSE[value]
    else
      local kept, got = KINDS[kind][2](value)
      if kept == nil then fail(name, KINDS[kind][1], value, got) end
      given[name] = kept
    end
    ::continue::
  end
  return given
end

--- The options that any callback may have, whatever makes it.
options.OF_ALL = {name = "text", errors = "errors", budget = "budget", writes = "names",
  group = {"metrics", "user", "policy", "logging", "checkpoint"}}

--- The options of a callback of this library: its own, and the name, errors and budget that each has.
---@param where string "train.EarlyStopping"
---@param given table|nil
---@param defaults table as for keywords.check
---@param kinds table as for options.check
---@return table a new table
function options.of_callback(where, given, defaults, kinds)
  local all, kinds_of_all = {errors = keywords.none, budget = keywords.none, name = where:match("[^.]+$")}, {}
  for name, default in pairs(defaults) do all[name] = default end
  for name, kind in pairs(kinds) do kinds_of_all[name] = kind end
  for _, name in ipairs {"name", "errors", "budget"} do kinds_of_all[name] = options.OF_ALL[name] end
  return options.check(where, keywords.check(where, given, all), kinds_of_all)
end

---The options of a callback whose first one may stand alone, before a table of the others.
---@param where string "train.CSVLogger"
---@param first string the option's name
---@param given any the options, or the first one as a string
---@param more any the others, after a string
---@return any options
function options.after_first(where, first, given, more)
  if type(given) ~= "string" then
    if more ~= nil then
      vm.raise("usage", ("%s: expected one table of options, got %s after it"):format(where, vm.describe(more)))
    end
    return given
  end
  if more ~= nil and (type(more) ~= "table" or getmetatable(more) ~= nil) then
    vm.raise("usage", ("%s: expected a table of options after %s, got %s"):format(where, first, vm.describe(more)))
  end
  local all = {}
  for name, value in pairs(more or {}) do all[name] = value end
  if all[first] ~= nil then vm.raise("usage", ("%s: %s is given twice"):format(where, first)) end
  all[first] = given
  return all
end

options.MODES = {"auto", "min", "max"}
options.THRESHOLD_MODES = {"abs", "rel"}

return options
