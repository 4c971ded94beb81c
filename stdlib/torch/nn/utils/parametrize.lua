-- torch.nn.utils.parametrize: parameters that are computed by modules from others.
local ModuleDict = require "torch.nn.module_dict"
local ParametrizationList = require "torch.nn.utils.parametrization_list"
local autograd = require "native.autograd"
local mode = require "torch.mode"
local module_class = require("torch.nn.module").class
local named = require "torch.named"
local native = require "native.model"
local register_tensor = require "torch.nn.utils.register_tensor"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"

local parametrize = {ParametrizationList = ParametrizationList}

local function fail(message, ...) vm.raise("usage", message:format(...)) end

-- --- Caching

local cache, depth = {}, 0

--- Within the scope each parametrized tensor is computed once: `local _ <close> = parametrize.cached()`, or what
--- fn(...) returns under it.
---@param fn? function
---@return any
---@example local layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
--- local _ <close> = nn.utils.parametrize.cached()
--- layer.weight == layer.weight  --> true
---@source torch.nn.utils.parametrize.cached
parametrize.cached = mode("nn.utils.parametrize.cached", "", function()
  depth = depth + 1
  return function()
    depth = depth - 1
    if depth == 0 then cache = {} end
  end
end)

local function compute(list)
  if depth == 0 then return list() end
  local value = cache[list]
  if value == nil then
    value = list()
    cache[list] = value
  end
  return value
end

-- --- The class of a parametrized module (see Note [Computed fields])

local function computed_of(module)
  local mt = getmetatable(native.fields(module))
  return mt and mt.computed
end

-- Makes the names in `lists` computed fields of the module.
local function inject_fields(module)
  local computed = {}
  local mt = {computed = computed}
  function mt.__index(_, name)
    local list = computed[name]
    if list ~= nil then return compute(list) end
  end
  function mt.__assign(_, name, value)
    local list = computed[name]
    if list == nil then return false end
    list:right_inverse(value)
    return true
  end
  setmetatable(native.fields(module), mt)
end

local function inject_class(module)
  local class = native.class_of(module)
  local parametrized = module_class("Parametrized" .. class.__name, class)
  -- A copy has its own parametrizations.
  function parametrized.__copied(copy)
    inject_fields(copy)
    for name, list in copy.parametrizations:items() do computed_of(copy)[name] = list end
    if class.__copied then class.__copied(copy) end
  end
  native.set_class(module, parametrized)
  inject_fields(module)
end

-- --- Registering

-- A parametrization on top of others: dtype and shape must stay.
local function check_next(module, name, parametrization)
  local before = module[name]
  local after = parametrization(before)
  if not torch.is_tensor(after) then fail("A parametrization must return a tensor. Got %s.", vm.describe(after)) end
  local changed = "Registering a parametrization may not change the %s of the tensor, unless the `unsafe` flag is "
    .. "enabled.\nmodule.%s.%s: %s\nparametrization(module.%s).%s: %s"
  for _, what in ipairs {"dtype", "shape"} do
    if tostring(after[what]) ~= tostring(before[what]) then
      fail(changed, what, name, what, before[what], name, what, after[what])
    end
  end
  if parametrization.right_inverse == nil or parametrization._not_invertible then return end
  local back = parametrization:right_inverse(after)
  if not torch.is_tensor(back) then
    fail("parametrization.right_inverse must return a tensor. Got: %s", vm.describe(back))
  end
  for _, what in ipairs {"dtype", "shape"} do
    if tostring(back[what]) ~= tostring(before[what]) then
      fail("The tensor returned by parametrization.right_inverse must have the same %s as module.%s, unless the `unsafe` "
        .. "flag is enabled.\nmodule.%s.%s: %s\nreturned %s: %s", what, name, name, what, before[what], what, back[what])
    end
  end
end

local parse_register = signature("parametrize.register_parametrization",
  "module, tensor_name, parametrization, *, unsafe=false")

--- Makes a parameter or buffer a computed one: module[name] is from then on parametrization(original), and what is
--- assigned to it goes through the parametrization's `right_inverse(self, value)`. Several are applied in order.
---@param module Module
---@param tensor_name string
---@param parametrization Module
---@param unsafe boolean dtype and shape may change, false
---@return Module module
---@example local Symmetric = nn.class("Symmetric")
--- function Symmetric:forward(x) return x:triu() + x:triu(1):t() end
--- local layer = nn.utils.parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
--- torch.equal(layer.weight, layer.weight:t())  --> true
---@source torch.nn.utils.parametrize.register_parametrization
function parametrize.register_parametrization(...)
  local module, name, parametrization, unsafe = parse_register(...)
  parametrization:train(module.training)
  if parametrize.is_parametrized(module, name) then
    if not unsafe then check_next(module, name, parametrization) end
    local list = module.parametrizations[name]
    list:append(parametrization)
    list.unsafe = list.unsafe or unsafe
    return module
  end
  local slot = native.slot(module, name)
  if slot ~= "parameter" and slot ~= "buffer" then
    fail("Module '%s' does not have a parameter, a buffer, or a parametrized element with name '%s'", module, name)
  end
  local list = ParametrizationList({parametrization}, module[name], unsafe)
  module[name] = nil
  if not parametrize.is_parametrized(module) then
    inject_class(module)
    module.parametrizations = ModuleDict()
  end
  module.parametrizations[name] = list
  computed_of(module)[name] = list
  return module
end

--- Has the module parametrizations, or one of this name?
---@param module Module
---@param tensor_name string? nil
---@return boolean
---@example nn.utils.parametrize.is_parametrized(nn.Linear(2, 2))  --> false
---@source torch.nn.utils.parametrize.is_parametrized
parametrize.is_parametrized = named("parametrize.is_parametrized", "module, tensor_name=nil", function(module, name)
  local dict = native.is_module(module) and native.fields(module).parametrizations
  if not native.is_module(dict) or not dict:is_instance(ModuleDict) then return false end
  if name == nil then return #dict > 0 end
  return dict:contains(name)
end)

-- What the parameter or buffer is from then on.
local function left_over(module, name, list, leave_parametrized)
  if list.is_tensor then
    local original = list.original
    if leave_parametrized then
      local _ <close> = autograd.no_grad()
      original:set_(module[name])
    end
    return original
  end
  if not leave_parametrized then
    fail("Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence "
      .. "of tensors.")
  end
  local value = module[name]
  return value.requires_grad and native.parameter(value, true) or value
end

--- Makes a computed parameter a plain one again.
---@param module Module
---@param tensor_name string
---@param leave_parametrized boolean it keeps its present value, not that of the original, true
---@return Module module
---@example local layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
--- nn.utils.parametrize.remove_parametrizations(layer, "weight")  --> Linear(in_features=2, out_features=2, bias=True)
---@source torch.nn.utils.parametrize.remove_parametrizations
parametrize.remove_parametrizations = named("parametrize.remove_parametrizations",
  "module, tensor_name, leave_parametrized=true", function(module, name, leave_parametrized)
    if not parametrize.is_parametrized(module, name) then
      fail("Module %s does not have a parametrization on %s", module, name)
    end
    local tensor = left_over(module, name, module.parametrizations[name], leave_parametrized)
    module.parametrizations[name] = nil
    computed_of(module)[name] = nil
    if not parametrize.is_parametrized(module) then
      module.parametrizations = nil
      setmetatable(native.fields(module), nil)
      native.set_class(module, native.class_of(module).__base)
    end
    register_tensor(module, name, tensor)
    return module
  end)

--- The class that the module had before it was parametrized.
---@param module Module
---@return table class
---@example nn.utils.parametrize.type_before_parametrizations(nn.Linear(2, 2)) == nn.Linear  --> true
---@source torch.nn.utils.parametrize.type_before_parametrizations
parametrize.type_before_parametrizations = named("parametrize.type_before_parametrizations", "module", function(module)
  local class = native.class_of(module)
  return parametrize.is_parametrized(module) and class.__base or class
end)

--- Parametrizes one module as another is, and gives it the same originals.
---@param from_module Module
---@param to_module Module
---@param tensor_name string? this one alone, all
---@return Module to_module
---@example local a, b = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), nn.Linear(2, 2)
--- nn.utils.parametrize.transfer_parametrizations_and_params(a, b)
--- torch.equal(a.weight, b.weight)  --> true
---@source torch.nn.utils.parametrize.transfer_parametrizations_and_params
parametrize.transfer_parametrizations_and_params = named("parametrize.transfer_parametrizations_and_params",
  "from_module, to_module, tensor_name=nil", function(from, to, tensor_name)
    if not parametrize.is_parametrized(from) then return to end
    for _, name in ipairs(tensor_name and {tensor_name} or from.parametrizations:keys()) do
      if to[name] == nil then to[name] = native.parameter(from[name], true) end
      local list = from.parametrizations[name]
      for _, each in list:iter() do parametrize.register_parametrization(to, name, each) end
      local into = to.parametrizations[name]
      for _, slot in ipairs(native.slots(list)) do into[slot] = list[slot] end
    end
    return to
  end)

return require("host.namespace")("torch.nn.utils.parametrize", {held = parametrize})
