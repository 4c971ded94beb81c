-- Dividing the gradients of an optimizer by a scale, on their devices.
local native = require "native.tensor"
local no_grad = require("native.autograd").no_grad
local ops = require "native.ops"
local vm = require "native.vm"

local full <const> = ops.find("full")
local check_and_unscale <const> = ops.find_any("aten::_amp_foreach_non_finite_check_and_unscale_")

-- The gradients of an optimizer by device and dtype, each kind in a list.
local function gradients_of(optimizer, allow_fp16)
  local lists, by_kind = {}, {}
  for _, group in ipairs(optimizer.param_groups) do
    for _, param in ipairs(group.params) do
      local grad = param.grad
      if grad ~= nil then
        local is_half = grad.dtype == native.float16
        if is_half and not allow_fp16 then vm.raise("usage", "Attempting to unscale FP16 gradients.") end
        if grad.is_sparse then
          if is_half then
            grad = grad:coalesce()
            param.grad = grad
          end
          grad = grad:_values()
        end
        local kind = tostring(grad.device) .. tostring(grad.dtype)
        local list = by_kind[kind]
        if not list then
          list = {}
          by_kind[kind], lists[#lists + 1] = list, list
        end
        list[#list + 1] = grad
      end
    end
  end
  return lists
end

-- Multiplies the gradients by a number and notes, for each device, whether one is infinite or NaN.
---@param optimizer Optimizer
---@param inverse Tensor the number
---@param allow_fp16 boolean gradients in half precision are taken too
---@return table<string, Tensor> found by device
return function(optimizer, inverse, allow_fp16)
  local found, inverses = {}, {}
  no_grad(function()
    for _, grads in ipairs(gradients_of(optimizer, allow_fp16)) do
      local on = grads[1].device
      local key = tostring(on)
      found[key] = found[key] or native.keep(full({}, 0.0, {dtype = native.float32, device = on}))
      inverses[key] = inverses[key] or inverse:to(on)
      check_and_unscale(grads, found[key], inverses[key])
    end
  end)
  return found
end
