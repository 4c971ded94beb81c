-- nn.utils.clip_grad: gradients kept small.
local kernels = require "native.optim"
local ops = require "native.ops"
local signature = require "torch.signature"
local text = require "torch.python_text"
local torch = require "torch"
local vm = require "native.vm"
local warn = require "torch.warn"

local clip = {}

local foreach_norm <const>, foreach_mul_ <const> = ops.find_any "aten::_foreach_norm", ops.find_any "aten::_foreach_mul_"
local vector_norm <const> = ops.find_any "aten::linalg_vector_norm"

local function as_list(tensors)
  if torch.is_tensor(tensors) then return {tensors} end
  return tensors
end

local function gradients_of(parameters)
  local list = {}
  for _, parameter in ipairs(parameters) do list[#list + 1] = parameter.grad end
  return list
end

-- Lists of one device and dtype each: what a _foreach_ kernel takes.
local function alike(tensors)
  local groups = {}
  for _, tensor in ipairs(tensors) do
    local into
    for _, group in ipairs(groups) do
      if group[1].device == tensor.device and group[1].dtype == tensor.dtype then into = group end
    end
    if into then into[#into + 1] = tensor
    else groups[#groups + 1] = {tensor} end
  end
  return groups
end

-- One kernel for all, unless foreach = false: the CPU and CUDA have one for each of these functions.
local function total_norm(tensors, norm_type, error_if_nonfinite, foreach)
  if #tensors == 0 then return torch.tensor(0.0) end
  local norms = {}
  for _, group in ipairs(alike(tensors)) do
    if foreach ~= false then
      for _, norm in ipairs(foreach_norm(group, norm_type)) do norms[#norms + 1] = norm:to(tensors[1].device) end
    else
      for _, tensor in ipairs(group) do norms[#norms + 1] = vector_norm(tensor, norm_type):to(tensors[1].device) end
    end
  end
  local total = vector_norm(torch.stack(norms), norm_type)
  if error_if_nonfinite and not total:isfinite():item() then
    vm.raise("usage", ("The total norm of order %s for gradients from `parameters` is non-finite, so it cannot be "
      .. "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
      .. "`error_if_nonfinite=False`"):format(text.value(norm_type)))
  end
  return total
end

local function order(norm_type)
  if norm_type == "inf" then return math.huge end
  if type(norm_type) ~= "number" then
    vm.raise("usage", "argument 'norm_type' must be a number or 'inf', got " .. vm.describe(norm_type))
  end
  return norm_type + 0.0
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
  local _ <close> = torch.no_grad()
  return total_norm(as_list(tensors), order(norm_type), error_if_nonfinite, foreach)
end

local function scale_down(gradients, max_norm, total, foreach)
  local factor = torch.clamp((total + 1e-6):reciprocal() * max_norm, {max = 1.0})
  for _, group in ipairs(alike(gradients)) do
    local here = factor:to(group[1].device)
    if foreach ~= false then foreach_mul_(group, here)
    else
      for _, gradient in ipairs(group) do gradient:mul_(here) end
    end
  end
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
  local _ <close> = torch.no_grad()
  local gradients = gradients_of(as_list(parameters))
  if #gradients > 0 then scale_down(gradients, max_norm + 0.0, total, foreach) end
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
  parameters = as_list(parameters)
  if foreach ~= false and not error_if_nonfinite then
    return kernels.clip_grad_norm(parameters, max_norm, norm_type)
  end
  local _ <close> = torch.no_grad()
  local gradients = gradients_of(parameters)
  local total = total_norm(gradients, order(norm_type), error_if_nonfinite, foreach)
  if #gradients > 0 then scale_down(gradients, max_norm + 0.0, total, foreach) end
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
  if foreach ~= false then return kernels.clip_grad_value(as_list(parameters), clip_value) end
  local _ <close> = torch.no_grad()
  for _, gradient in ipairs(gradients_of(as_list(parameters))) do gradient:clamp_(-clip_value, clip_value) end
end

local parse_grad = signature("nn.utils.get_grad_norm", "parameters, norm_type=2.0")

--- The norm of all gradients together, without changing them.
---@param parameters Tensor[]|Tensor
---@param norm_type number|"inf" the norm's exponent, 2.0
---@return Tensor
---@example nn.utils.get_grad_norm(nn.Linear(2, 1):parameters())  --> tensor(0.)
function clip.get_grad_norm(...)
  local parameters, norm_type = parse_grad(...)
  return kernels.grad_norm(as_list(parameters), norm_type)
end

return clip
