-- What metrics take: tensors of numbers that are no complex ones.
local torch = require "torch"
local vm = require "native.vm"

local tensors = {}

local function check(self, value, what)
  local name = getmetatable(self).__name
  if not torch.is_tensor(value) then
    vm.raise("usage", ("%s: %s must be a Tensor, got %s"):format(name, what, vm.describe(value)))
  end
  if value:is_complex() then
    vm.raise("dtype", ("%s: %s must not be complex numbers, got %s"):format(name, what, tostring(value.dtype)))
  end
end

---Refuses what is no Tensor, and complex numbers.
---@param self table a metric
---@param pred any
---@param target any
---@param weight any may be nil
function tensors.check(self, pred, target, weight)
  check(self, pred, "predictions")
  check(self, target, "target")
  if weight ~= nil then check(self, weight, "weight") end
end

---The class with the highest score, that of dimension 1; of yes and no the first yes.
---@param scores Tensor [n, classes, ...]
---@return Tensor [n, ...] int64
function tensors.best(scores)
  if scores.dtype == torch.bool then scores = scores:to(torch.uint8) end
  return scores:argmax(1)
end

return tensors
