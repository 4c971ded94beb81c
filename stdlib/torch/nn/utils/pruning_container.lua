-- nn.utils.prune.PruningContainer: several methods that prune one tensor, one after the other.
local Base = require "torch.nn.utils.pruning_method"
local vm = require "native.vm"

local function fail(message, ...) vm.raise("usage", message:format(...)) end

---@class PruningContainer : BasePruningMethod
local Container = Base.class("PruningContainer")
Container.is_container = true

---@param ... table methods of one tensor
---@example nn.utils.prune.PruningContainer(nn.utils.prune.Identity())._tensor_name  --> nil
---@source torch.nn.utils.prune.PruningContainer
function Container:__init(...)
  self._pruning_methods = {}
  if select("#", ...) == 1 then self._tensor_name = (...)._tensor_name end
  for i = 1, select("#", ...) do self:add_pruning_method((select(i, ...))) end
end

--- Adds a method of the same tensor.
---@param method table
---@example local container = nn.utils.prune.PruningContainer()
--- container:add_pruning_method(nn.utils.prune.Identity())
--- #container._pruning_methods  --> 1
function Container:add_pruning_method(method)
  if method ~= nil and not Base._is_method(method) then fail("%s is not a BasePruningMethod subclass", vm.describe(method)) end
  if method ~= nil and self._tensor_name ~= method._tensor_name then
    fail("Can only add pruning methods acting on the parameter named '%s' to PruningContainer. Found '%s'",
      self._tensor_name, method._tensor_name)
  end
  table.insert(self._pruning_methods, method)
end

Container._instance.__len = function(self) return #self._pruning_methods end

-- The method's mask where nothing is masked yet, joined with the mask so far.
local COMBINE <const> = {}

function COMBINE.unstructured(method, t, mask, joined)
  local kept = mask:eq(1)
  local partial = method:compute_mask(t:masked_select(kept), mask:masked_select(kept))
  return joined:masked_scatter_(kept, partial:to(joined.dtype))
end

function COMBINE.structured(method, t, mask, joined)
  local dims, dim = t:dim(), method.dim
  if dim == nil then
    fail('Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` defined.')
  end
  if dim < 0 then dim = dims + dim end
  if dim < 0 then fail("Index is out of bounds for tensor with dimensions %d", dims) end
  local others = {}
  for d = 0, dims - 1 do
    if d ~= dim then others[#others + 1] = d end
  end
  local kept = mask:sum(others):ne(0):nonzero():flatten()
  local partial = method:compute_mask(t:index_select(dim, kept), mask:index_select(dim, kept))
  return joined:index_copy_(dim, kept, partial:to(joined.dtype))
end

COMBINE["global"] = function(method, t, mask, joined) return joined:copy_(method:compute_mask(t, mask)) end

--- The mask of the last method on top of those before.
---@param t Tensor
---@param default_mask Tensor the mask of the methods before
---@return Tensor
---@example local container = nn.utils.prune.PruningContainer(nn.utils.prune.L1Unstructured(1))
--- container:compute_mask(torch.tensor{3., 1.}, torch.ones(2))  --> tensor([1., 0.])
function Container:compute_mask(t, default_mask)
  local method = self._pruning_methods[#self._pruning_methods]
  local combine = COMBINE[method.PRUNING_TYPE] or fail("Unrecognized PRUNING_TYPE %s", method.PRUNING_TYPE)
  local joined = default_mask:to(t.dtype)
  if joined == default_mask then joined = joined:clone() end
  return combine(method, t:detach(), default_mask, joined)
end

--- The methods, from 0.
---@example for i, method in nn.utils.prune.PruningContainer(nn.utils.prune.Identity()):iter() do assert(i == 0) end
function Container:iter()
  local i = -1
  return function()
    i = i + 1
    local method = self._pruning_methods[i + 1]
    if method ~= nil then return i, method end
  end
end

return Container
