-- nn.utils.prune.BasePruningMethod: masks over parameters, and the containers of several.
local keywords = require "host.keywords"
local python_type = require "torch.nn.python_type"
local torch = require "torch"
local vm = require "native.vm"

local function fail(message, ...) vm.raise("usage", message:format(...)) end

---@class BasePruningMethod
---@field PRUNING_TYPE string 'unstructured', 'structured' (has `dim`) or 'global'
local Base = {__name = "BasePruningMethod"}

-- A method is called as a forward pre-hook: it masks the parameter anew.
local function mask_again(self, module) module[self._tensor_name] = self:apply_mask(module) end

local function construct(class, ...)
  local self = setmetatable({}, class._instance)
  self:__init(...)
  return self
end

-- Is the value a method of pruning?
local function is_method(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(meta) == "table" and rawget(meta, "is_pruning_method") == true
end

--- Makes a class of pruning methods: give it PRUNING_TYPE and compute_mask(self, t, default_mask).
---@param name string
---@param base? table a class, BasePruningMethod
---@return table class `class.apply(module, name, ...)` prunes with class(...)
---@example local prune = nn.utils.prune
--- local Positive = prune.BasePruningMethod.class("Positive")
--- Positive.PRUNING_TYPE = "unstructured"
--- function Positive:compute_mask(t, default_mask) return default_mask * t:gt(0) end
--- local layer = nn.Linear(2, 1)
--- Positive.apply(layer, "weight")
--- layer.weight:ge(0):all():item()  --> true
function Base.class(name, base)
  local class = {__name = name}
  class._instance = {__name = name, __index = class, __call = mask_again, is_pruning_method = true}
  --- Prunes module[name] with a method of this class, made from the other arguments; `importance_scores` by name.
  ---@param module Module
  ---@param tensor_name string
  ---@param ... any what the class takes
  ---@return table method
  ---@example local layer = nn.Linear(2, 1)
  --- nn.utils.prune.L1Unstructured.apply(layer, "weight", 1)
  --- layer.weight_mask:sum()  --> tensor(1.)
  function class.apply(module, tensor_name, ...)
    local arguments, named = keywords.split(...)
    local scores, given = nil, nil
    for key, value in pairs(named or {}) do
      if key == "importance_scores" then scores = value
      else
        given = given or {}
        given[key] = value
      end
    end
    if given then
      arguments.n = arguments.n + 1
      arguments[arguments.n] = given
    end
    return Base._apply_to(class, module, tensor_name, scores, table.unpack(arguments, 1, arguments.n))
  end
  return setmetatable(class, {__index = base or Base, __call = construct, __name = "class",
    __tostring = function() return "class " .. name end})
end

--- What a class does with the arguments of its constructor.
---@example nn.utils.prune.BasePruningMethod.class("Mine")  --> class Mine
function Base:__init() end

--- The mask for a tensor, ones where it stays: every method has its own.
---@param t Tensor
---@param default_mask Tensor what is masked already
---@return Tensor
---@example nn.utils.prune.Identity():compute_mask(torch.rand(2), torch.ones(2))  --> tensor([1., 1.])
function Base:compute_mask() fail("%s has no compute_mask", self.__name) end

--- The parameter times its mask.
---@param module Module
---@return Tensor
---@example local layer = nn.Linear(2, 1)
--- local method = nn.utils.prune.L1Unstructured.apply(layer, "weight", 2)
--- method:apply_mask(layer):abs():sum():item()  --> 0.0
function Base:apply_mask(module)
  if self._tensor_name == nil then fail("Module %s has to be pruned", module) end
  local original = module[self._tensor_name .. "_orig"]
  return module[self._tensor_name .. "_mask"]:to(original.dtype) * original
end

-- Takes the method that prunes the tensor now off the module.
local function take_off(module, name)
  local function matches(hook) return is_method(hook) and hook._tensor_name == name end
  local old, remove = module:_find_forward_pre_hook(matches)
  if old == nil then return nil end
  remove()
  if module:_find_forward_pre_hook(matches) then
    fail("Avoid adding multiple pruning hooks to the same tensor %s of module %s. Use a PruningContainer.", name, module)
  end
  return old
end

-- Prunes module[name] with class(...): a new method, or one more in the container of those that prune it already.
function Base._apply_to(class, module, name, importance_scores, ...)
  local method = class(...)
  local original = module[name]
  if original == nil then fail("'%s' object has no attribute '%s'", python_type.name(module), name) end
  local old = take_off(module, name)
  method._tensor_name = name
  if old ~= nil then
    if old.is_container then old:add_pruning_method(method)
    else
      local container = require("torch.nn.utils.pruning_container")(old)
      container:add_pruning_method(method)
      old = container
    end
    method = old
  end
  if importance_scores ~= nil and tostring(importance_scores.shape) ~= tostring(original.shape) then
    fail("importance_scores should have the same shape as parameter %s of %s, got %s vs %s", name, module,
      importance_scores.shape, original.shape)
  end
  local mask
  if method.is_container then
    mask = module[name .. "_mask"]:detach():clone({memory_format = torch.contiguous_format})
  else
    mask = torch.ones_like(original)
  end
  mask = method:compute_mask(importance_scores or original, mask)
  if not method.is_container then
    module:register_parameter(name .. "_orig", original)
    module[name] = nil
  end
  module:register_buffer(name .. "_mask", mask)
  module[name] = method:apply_mask(module)
  module:register_forward_pre_hook(method)
  return method
end

--- A tensor pruned by the method, without a module.
---@param t Tensor
---@param default_mask Tensor? nil prunes nothing before
---@param importance_scores Tensor? of t's shape, by which it is pruned, t
---@return Tensor
---@example nn.utils.prune.L1Unstructured(1):prune(torch.tensor{3., 1., 2.})  --> tensor([3., 0., 2.])
function Base:prune(t, default_mask, importance_scores)
  if importance_scores ~= nil and tostring(importance_scores.shape) ~= tostring(t.shape) then
    fail("importance_scores should have the same shape as tensor t, got %s vs %s", importance_scores.shape, t.shape)
  end
  return t * self:compute_mask(importance_scores or t, default_mask or torch.ones_like(t))
end

--- Makes the pruned tensor the parameter: the original and the mask are gone.
---@param module Module
---@example local layer = nn.Linear(2, 1)
--- nn.utils.prune.L1Unstructured.apply(layer, "weight", 1):remove(layer)
--- layer.weight_mask  --> nil
function Base:remove(module)
  local name = self._tensor_name
  if name == nil then fail("Module %s has to be pruned before pruning can be removed", module) end
  local weight = self:apply_mask(module)
  local original = module[name .. "_orig"]
  module[name] = nil
  original.data = weight.data
  module[name .. "_orig"] = nil
  module[name .. "_mask"] = nil
  module[name] = original
end

Base._is_method = is_method
setmetatable(Base, {__name = "class", __tostring = function() return "class BasePruningMethod" end})

return Base
