-- What a container takes for a list of modules.
local native = require "native.model"
local vm = require "native.vm"

--- Raises where `value` is no list of modules: a table with keys of its own, a single module.
---@param value any
---@param where string the container: "nn.Sequential"
return function(value, where)
  if type(value) == "table" then
    local key = next(value)
    if key == nil or value[1] ~= nil or getmetatable(value) then return end
    vm.raise("usage", ("%s: expected a list of modules, got a table with the key %s"):format(where, vm.describe(key)),
      "tables of Lua have no order of names: give {{name, module}, ...}, or use add_module(name, module)")
  end
  if native.is_module(value) and native.class_of(value).__getitem then return end
  vm.raise("usage", ("%s: expected a list of modules, got %s"):format(where, vm.describe(value)))
end
