-- What an optimizer takes for parameters, as groups: lists of tensors, of {name, tensor}, of tables with params; what
-- model:parameters() and model:named_parameters() return.
local is_tensor <const> = require("native.tensor").is_tensor
local model = require "native.model"
local python_type = require "torch.nn.python_type"
local vm = require "native.vm"

local groups = {}

local function is_pair(value)
  return type(value) == "table" and type(value[1]) == "string" and is_tensor(value[2])
end

-- The values of an iterator, names with their tensors.
local function collect(iterator)
  local list = {}
  for first, second in iterator do
    list[#list + 1] = second ~= nil and {first, second} or first
  end
  return list
end

--- The groups that `params` stands for; errors name `class`.
---@return table[]
function groups.read(class, params)
  local function fail(message, hint) vm.raise("usage", ("%s: %s"):format(class.__name, message), hint) end
  if model.is_module(params) then fail("expected parameters, got a module", "give it model:parameters()") end
  if type(params) == "function" then params = collect(params) end
  if type(params) ~= "table" then
    fail("params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
      .. (is_tensor(params) and params:type() or python_type.name(params)))
  end
  if params.params ~= nil then return {params} end
  if #params == 0 then fail "optimizer got an empty parameter list" end
  if type(params[1]) == "table" and not is_pair(params[1]) then return params end
  return {{params = params}}
end

--- A group of the optimizer's own from what the user gave: tensors, names, defaults.
---@return table
function groups.make(self, given)
  local function fail(message, hint) vm.raise("usage", ("%s: %s"):format(self.__name, message), hint) end
  if type(given) ~= "table" then fail("param_group must be a dict, but got " .. python_type.class(given)) end
  local params = given.params
  if is_tensor(params) then params = {params} end
  if type(params) == "function" then params = collect(params) end
  if type(params) ~= "table" then
    fail("a parameter group must have a list of tensors in 'params', got " .. vm.describe(params))
  end
  local group, names = {}, {}
  for key, value in pairs(given) do group[key] = value end
  group.params = {}
  for i, param in ipairs(params) do
    if is_pair(param) then
      names[#names + 1] = param[1]
      param = param[2]
    end
    if not is_tensor(param) then
      fail("optimizer can only optimize Tensors, but one of the params is " .. python_type.name(param),
        "it is number " .. i)
    end
    group.params[i] = param
  end
  if #names > 0 then
    if #names ~= #group.params then
      fail "all optimizer params should be with/without names. Some param names are missing"
    end
    group.param_names = names
  end
  for _, key in ipairs(self._keys) do
    local default = self.defaults[key]
    if default == self.required and group[key] == nil then
      fail("parameter group didn't specify a value of required optimization parameter " .. key)
    end
    if group[key] == nil then
      group[key] = type(default) == "table" and table.move(default, 1, self._widths[key] or #default, 1, {}) or default
    end
  end
  for _, other in ipairs(self.param_groups) do
    if (group.param_names == nil) ~= (other.param_names == nil) then
      fail(("all optimizer param groups should be with/without names. cannot add param group %s to the optimizer")
        :format(group.param_names and "with names" or "without names"))
    end
  end
  return group
end

return groups
