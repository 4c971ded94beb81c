-- host.reload: the functions of a Lua file, the newest that work, while the file is edited.
local Source = require "host.source"
local callable = require "host.callable"
local generators = require "host.generators"
local vm = require "native.vm"

-- A state_dict or load_state_dict, written with a colon or with a dot.
local function call_state(module, name, ...)
  local f = module[name]
  local info = debug.getinfo(f, "u")
  if info.nparams >= 1 + select("#", ...) or info.isvararg then return f(module, ...) end
  return f(...)
end

local function field(module, key)
  if type(module) ~= "table" then return nil end
  return module[key]
end

local function copy(value)
  if type(value) ~= "table" or getmetatable(value) then return value end
  local result = {}
  for key, item in pairs(value) do result[key] = copy(item) end
  return result
end

local function state_of(module)
  if field(module, "state_dict") then return copy(call_state(module, "state_dict")) end
end

local function give(module, state)
  if state ~= nil and field(module, "load_state_dict") then call_state(module, "load_state_dict", state) end
end

-- Takes the text of now; false and the error if it does not run.
local function take(unit)
  local ok, value = unit.source:run()
  local key = unit.source.key
  if ok and type(value) ~= "table" and not callable(value) then
    ok, value = false, ("%s must return a table or a function, got %s"):format(unit.source.name, vm.describe(value))
  end
  if not ok then return false, value end
  local given, err = pcall(function() give(value, state_of(unit.module)) end)
  if not given then return false, err end
  unit.before = unit.module ~= nil and {module = unit.module, key = unit.key} or nil
  unit.module, unit.key, unit.proven = value, key, {}
  return true
end

local function update(unit)
  if not unit.source:changed() or unit.source.key == unit.key then return end
  local random = generators.take()
  local ok, err = take(unit)
  generators.restore(random)
  if not ok then unit.source:refuse(err) end
end

-- Calls what `get` finds in the module of now. Code that came by an edit and fails makes room for the code of before,
-- which is called in its place; at its first call also with the state from before the call.
local function call(unit, get, ...)
  update(unit)
  while true do
    local f, before = get(unit.module), unit.before
    if not before then return f(...) end
    local known, state = unit.proven[get], nil
    if not known then state = state_of(unit.module) end
    local random = not known and generators.take()
    local results = table.pack(pcall(f, ...))
    if results[1] then
      unit.proven[get] = true
      return table.unpack(results, 2, results.n)
    end
    local err = results[2]
    if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
    if random then generators.restore(random) end
    unit.source:refuse(err)
    pcall(function() give(before.module, known and state_of(unit.module) or state) end)
    unit.module, unit.key, unit.before = before.module, before.key, nil
  end
end

---Loads a Lua file for a loop by hand and follows its edits: every use asks whether the file has changed, and answers with
---the newest version that works. Functions are looked up at each call, also those that were kept in a local. Where the
---returned table has state_dict() and load_state_dict(state), a new version is given the state of the one before.
---
---An edit that does not compile or fails while it runs is warned of once and not used; where a function of an edit
---fails, the version of before takes its place and is called with the same arguments. What the first version raises is
---the script's to handle. Local modules that the file requires are followed too: when one changes, they and the file run
---again; what the script itself has required stays as it is. A file that is gone is warned of once, until it is back.
---@param path string a file that returns a table, or a function
---@return table proxy of that table: its fields, its functions, `pairs`; of a function: called as it is
---@example local path = os.tmpname()
--- host.file.write_atomic(path, "return {scale = function(x) return 2 * x end}")
--- local policy = host.reload(path)
--- policy.scale(3)  --> 6
--- host.file.write_atomic(path, "return {scale = function(x) return 10 * x end}")
--- policy.scale(3)  --> 30
--- os.remove(path)
return function(path)
  local unit = {source = Source.open(path, "host.reload")}
  local ok, err = take(unit)
  if not ok then error(err, 0) end
  local functions = {}
  local function field_of(key)
    local value = field(unit.module, key)
    if type(value) ~= "function" then return value end
    local f = functions[key]
    if not f then
      local function get(module) return field(module, key) end
      f = function(...) return call(unit, get, ...) end
      functions[key] = f
    end
    return f
  end
  local function whole(module) return module end
  return setmetatable({}, {
    __name = "host.reload",
    __index = function(_, key)
      update(unit)
      return field_of(key)
    end,
    __newindex = function(_, key, value)
      update(unit)
      unit.module[key] = value
    end,
    __call = function(_, ...) return call(unit, whole, ...) end,
    __pairs = function()
      update(unit)
      local keys, i = require("host.ordered").keys(unit.module), 0
      return function()
        i = i + 1
        if keys[i] ~= nil then return keys[i], field_of(keys[i]) end
      end
    end,
  })
end
