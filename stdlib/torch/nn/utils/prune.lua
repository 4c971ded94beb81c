-- torch.nn.utils.prune: parameters with elements or channels that stay zero.
local Base = require "torch.nn.utils.pruning_method"
local Container = require "torch.nn.utils.pruning_container"
local convert = require "torch.nn.utils.convert_parameters"
local keywords = require "host.keywords"
local methods = require "torch.nn.utils.pruning_methods"
local named = require "torch.named"
local torch = require "torch"
local vm = require "native.vm"

local prune = {BasePruningMethod = Base, PruningContainer = Container}
for name, class in pairs(methods) do prune[name] = class end

local function fail(message, ...) vm.raise("usage", message:format(...)) end

--- Prunes nothing: module[name] is as if it were pruned.
---@param module Module
---@param name string
---@return Module module
---@example nn.utils.prune.identity(nn.Linear(2, 1), "weight").weight_mask  --> tensor([[1., 1.]])
---@source torch.nn.utils.prune.identity
prune.identity = named("prune.identity", "module, name", function(module, name)
  methods.Identity.apply(module, name)
  return module
end)

--- Prunes elements at random.
---@param module Module
---@param name string
---@param amount integer|number how many, or a share in [0, 1]
---@return Module module
---@example nn.utils.prune.random_unstructured(nn.Linear(4, 1), "weight", 3).weight_mask:sum()  --> tensor(1.)
---@source torch.nn.utils.prune.random_unstructured
prune.random_unstructured = named("prune.random_unstructured", "module, name, amount", function(module, name, amount)
  methods.RandomUnstructured.apply(module, name, amount)
  return module
end)

--- Prunes the elements with the least absolute values.
---@param module Module
---@param name string
---@param amount integer|number how many, or a share in [0, 1]
---@param importance_scores Tensor? by which to prune, the parameter itself
---@return Module module
---@example nn.utils.prune.l1_unstructured(nn.Linear(4, 1), "weight", 0.5).weight_mask:sum()  --> tensor(2.)
---@source torch.nn.utils.prune.l1_unstructured
prune.l1_unstructured = named("prune.l1_unstructured", "module, name, amount, importance_scores=nil",
  function(module, name, amount, importance_scores)
    Base._apply_to(methods.L1Unstructured, module, name, importance_scores, amount)
    return module
  end)

--- Prunes channels at random.
---@param module Module
---@param name string
---@param amount integer|number how many, or a share in [0, 1]
---@param dim integer of the channels
---@return Module module
---@example nn.utils.prune.random_structured(nn.Linear(4, 2), "weight", 1, 0).weight_mask:sum()  --> tensor(4.)
---@source torch.nn.utils.prune.random_structured
prune.random_structured = named("prune.random_structured", "module, name, amount, dim",
  function(module, name, amount, dim)
    methods.RandomStructured.apply(module, name, amount, dim)
    return module
  end)

--- Prunes the channels with the least norms.
---@param module Module
---@param name string
---@param amount integer|number how many, or a share in [0, 1]
---@param n number|string the norm, as torch.norm takes it
---@param dim integer of the channels
---@param importance_scores Tensor? by which to prune, the parameter itself
---@return Module module
---@example nn.utils.prune.ln_structured(nn.Linear(4, 2), "weight", 1, 2, 0).weight_mask:sum()  --> tensor(4.)
---@source torch.nn.utils.prune.ln_structured
prune.ln_structured = named("prune.ln_structured", "module, name, amount, n, dim, importance_scores=nil",
  function(module, name, amount, n, dim, importance_scores)
    Base._apply_to(methods.LnStructured, module, name, importance_scores, amount, n, dim)
    return module
  end)

--- Prunes by a mask.
---@param module Module
---@param name string
---@param mask Tensor of the parameter's shape, ones where it stays
---@return Module module
---@example nn.utils.prune.custom_from_mask(nn.Linear(2, 1), "bias", torch.zeros(1)).bias:abs():item()  --> 0.0
---@source torch.nn.utils.prune.custom_from_mask
prune.custom_from_mask = named("prune.custom_from_mask", "module, name, mask", function(module, name, mask)
  methods.CustomFromMask.apply(module, name, mask)
  return module
end)

-- One vector of what each(module, name) gives.
local function vector_of(parameters, each)
  local list = {}
  for i, pair in ipairs(parameters) do list[i] = each(pair[1], pair[2]):contiguous() end
  return convert.parameters_to_vector(list)
end

--- Prunes several parameters together: what goes is the least of all of them.
---@param parameters table[] each {module, name}
---@param pruning_method table a class of PRUNING_TYPE 'unstructured', such as prune.L1Unstructured
---@param importance_scores table<Module, table<string, Tensor>>? by which to prune, the parameters themselves
---@param ... table the class's arguments by name: {amount = 0.2}
---@example local a, b = nn.Linear(4, 2), nn.Linear(2, 2)
--- nn.utils.prune.global_unstructured({{a, "weight"}, {b, "weight"}}, nn.utils.prune.L1Unstructured, {amount = 0.5})
--- (a.weight_mask:sum() + b.weight_mask:sum()):item()  --> 6.0
---@source torch.nn.utils.prune.global_unstructured
function prune.global_unstructured(parameters, ...)
  local arguments, given = keywords.split(...)
  local options = {}
  for name, value in pairs(given or {}) do options[name] = value end
  local class = arguments[1] or options.pruning_method
  local scores = arguments[2] or options.importance_scores or {}
  options.pruning_method, options.importance_scores = nil, nil
  if type(parameters) ~= "table" then fail("global_unstructured(): parameters is not an Iterable") end
  if type(scores) ~= "table" then fail("global_unstructured(): importance_scores must be of type dict") end
  local values = vector_of(parameters, function(module, name)
    return scores[module] and scores[module][name] or module[name]
  end)
  local mask = vector_of(parameters, function(module, name)
    return module[name .. "_mask"] or torch.ones_like(module[name])
  end)
  local container, method = Container(), class(next(options) and options or nil)
  container._tensor_name, method._tensor_name = "temp", "temp"
  if method.PRUNING_TYPE ~= "unstructured" then
    fail('Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method %s of type %s',
      "<class 'torch.nn.utils.prune." .. class.__name .. "'>", method.PRUNING_TYPE)
  end
  container:add_pruning_method(method)
  local final, at = container:compute_mask(values, mask), 0
  for _, pair in ipairs(parameters) do
    local parameter = pair[1][pair[2]]
    local count = parameter:numel()
    prune.custom_from_mask(pair[1], pair[2], final:narrow(0, at, count):view_as(parameter))
    at = at + count
  end
end

--- Makes a pruned tensor the parameter: it stays as it is, its original and mask are gone.
---@param module Module
---@param name string
---@return Module module
---@example local layer = nn.utils.prune.identity(nn.Linear(2, 1), "weight")
--- nn.utils.prune.remove(layer, "weight").weight_mask  --> nil
---@source torch.nn.utils.prune.remove
prune.remove = named("prune.remove", "module, name", function(module, name)
  local method, remove = module:_find_forward_pre_hook(function(hook)
    return Base._is_method(hook) and hook._tensor_name == name
  end)
  if method == nil then
    fail("Parameter '%s' of module %s has to be pruned before pruning can be removed", name, module)
  end
  method:remove(module)
  remove()
  return module
end)

--- Is a parameter of the module, or of one below it, pruned?
---@param module Module
---@return boolean
---@example nn.utils.prune.is_pruned(nn.Linear(2, 1))  --> false
---@source torch.nn.utils.prune.is_pruned
prune.is_pruned = named("prune.is_pruned", "module", function(module)
  for _, each in ipairs(module:modules()) do
    if each:_find_forward_pre_hook(Base._is_method) then return true end
  end
  return false
end)

return require("host.namespace")("torch.nn.utils.prune", {held = prune})
