-- nn.utils.clip_grad: gradients kept small.
local kernels = require "native.optim"
local signature = require "torch.signature"
local text = require "torch.python_text"
local torch = require "torch"
local vm = require "native.vm"
local warn = require "torch.warn"

local clip = {}

local function as_list(tensors)
  if torch.is_tensor(tensors) then return {tensors} end
  return tensors
end

local function order(norm_type)
  if norm_type == nil then return 2.0 end
  if norm_type == "inf" then return math.huge end
  if type(norm_type) ~= "number" then
    vm.raise("usage", "argument 'norm_type' must be a number or 'inf', got " .. vm.describe(norm_type))
  end
  return norm_type + 0.0
end

-- The total norm, finite if it is to be.
local function checked(total, norm_type, error_if_nonfinite)
  if error_if_nonfinite and not total:isfinite():item() then
    vm.raise("usage", ("The total norm of order %s for gradients from `parameters` is non-finite, so it cannot be "
      .. "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
      .. "`error_if_nonfinite=False`"):format(text.value(norm_type)))
  end
  return total
end

local parse_total = signature("nn.utils.get_total_norm", "tensors, norm_type=2.0, error_if_nonfinite=false, foreach=nil")

--- The norm of tensors, taken together as one vector.
---@param tensors Tensor[]|Tensor
---@param norm_type number|"inf" the norm's exponent, 2.0
---@param error_if_nonfinite boolean a norm that is NaN or infinite is an error, false
---@param foreach boolean? one kernel for all tensors, nil is true
---@return Tensor
---@example nn.utils.get_total_norm{torch.tensor{3.}, torch.tensor{4.}}  --> tensor(5.)
---@source torch.nn.utils.get_total_norm
function clip.get_total_norm(tensors, ...)
  local norm_type, error_if_nonfinite, foreach
  tensors, norm_type, error_if_nonfinite, foreach = parse_total(tensors, ...)
  norm_type = order(norm_type)
  return checked(kernels.total_norm(as_list(tensors), norm_type, foreach), norm_type, error_if_nonfinite)
end

local parse_with = signature("nn.utils.clip_grads_with_norm_", "parameters, max_norm, total_norm, foreach=nil")

--- Scales the gradients in place by max_norm / total_norm, if that is less than 1.
---@param parameters Tensor[]|Tensor
---@param max_norm number
---@param total_norm Tensor of get_total_norm
---@param foreach boolean? one kernel for all gradients, nil is true
---@example local layer = nn.Linear(1, 1)
--- layer(torch.ones(1, 1)):sum():backward()
--- nn.utils.clip_grads_with_norm_(layer:parameters(), 1.0, torch.tensor(4.))
--- layer.weight.grad  --> tensor([[0.2500]])
---@source torch.nn.utils.clip_grads_with_norm_
function clip.clip_grads_with_norm_(...)
  local parameters, max_norm, total, foreach = parse_with(...)
  kernels.clip_grads_with_norm(as_list(parameters), max_norm, total, foreach)
end

local parse_norm = signature("clip_grad_norm_",
  "parameters, max_norm, norm_type=2.0, error_if_nonfinite=false, foreach=nil")

--- Scales the gradients in place so that their norm, taken together, is at most max_norm.
---@param parameters Tensor[]|Tensor
---@param max_norm number
---@param norm_type number|"inf" the norm's exponent, 2.0
---@param error_if_nonfinite boolean a norm that is NaN or infinite is an error, false
---@param foreach boolean? one kernel for all gradients, nil is true
---@return Tensor the norm before
---@example local layer = nn.Linear(2, 1)
--- layer(torch.ones(4, 2)):sum():backward()
--- nn.utils.clip_grad_norm_(layer:parameters(), 1)
--- nn.utils.get_grad_norm(layer:parameters()):item() <= 1.0001  --> true
---@source torch.nn.utils.clip_grad_norm_
function clip.clip_grad_norm_(...)
  local parameters, max_norm, norm_type, error_if_nonfinite, foreach = parse_norm(...)
  parameters, norm_type = as_list(parameters), order(norm_type)
  local total = checked(kernels.grad_norm(parameters, norm_type, foreach), norm_type, error_if_nonfinite)
  kernels.clip_grads_with_norm(parameters, max_norm, total, foreach)
  return total
end

--- The old name of clip_grad_norm_, with a warning.
---@param parameters Tensor[]|Tensor
---@param max_norm number
---@param norm_type number|"inf" the norm's exponent, 2.0
---@param error_if_nonfinite boolean a norm that is NaN or infinite is an error, false
---@param foreach boolean? one kernel for all gradients, nil is true
---@return Tensor the norm before
---@example nn.utils.clip_grad_norm(nn.Linear(2, 1):parameters(), 1)  --> tensor(0.)
---@source torch.nn.utils.clip_grad_norm
function clip.clip_grad_norm(...)
  warn("`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.")
  return clip.clip_grad_norm_(...)
end

local parse_value = signature("clip_grad_value_", "parameters, clip_value, foreach=nil")

--- Clamps each gradient in place to [-clip_value, clip_value].
---@param parameters Tensor[]|Tensor
---@param clip_value number
---@param foreach boolean? one kernel for all gradients, nil is true
---@example local layer = nn.Linear(1, 1)
--- layer(torch.ones(4, 1)):sum():backward()
--- nn.utils.clip_grad_value_(layer:parameters(), 0.5)
--- layer.weight.grad  --> tensor([[0.5000]])
---@source torch.nn.utils.clip_grad_value_
function clip.clip_grad_value_(...)
  local parameters, clip_value, foreach = parse_value(...)
  kernels.clip_grad_value(as_list(parameters), clip_value, foreach)
end

local parse_grad = signature("nn.utils.get_grad_norm", "parameters, norm_type=2.0")

--- The norm of all gradients together, without changing them.
---@param parameters Tensor[]|Tensor
---@param norm_type number|"inf" the norm's exponent, 2.0
---@return Tensor
---@example nn.utils.get_grad_norm(nn.Linear(2, 1):parameters())  --> tensor(0.)
function clip.get_grad_norm(...)
  local parameters, norm_type = parse_grad(...)
  return kernels.grad_norm(as_list(parameters), order(norm_type))
end

return clip
