-- Clipping of gradients by norm and by value.
local native = require "native.optim"
local signature = require "torch.signature"

local clip = {}

local parse_norm = signature("clip_grad_norm_",
  "parameters, max_norm, norm_type=2.0, error_if_nonfinite=false, foreach=nil")
local parse_value = signature("clip_grad_value_", "parameters, clip_value, foreach=nil")
local parse_total = signature("get_grad_norm", "parameters, norm_type=2.0")

local function as_list(parameters)
  return type(parameters) == "userdata" and {parameters} or parameters
end

--- Scales the gradients in place so that their norm, taken together, is at most max_norm.
---@param parameters Tensor[]|Tensor
---@return Tensor the norm before
function clip.clip_grad_norm_(...)
  local parameters, max_norm, norm_type, error_if_nonfinite = parse_norm(...)
  return native.clip_grad_norm(as_list(parameters), max_norm, norm_type, error_if_nonfinite)
end

--- Clamps each gradient in place to [-clip_value, clip_value].
---@param parameters Tensor[]|Tensor
function clip.clip_grad_value_(...)
  local parameters, clip_value = parse_value(...)
  native.clip_grad_value(as_list(parameters), clip_value)
end

--- The norm of all gradients together, without changing them.
---@param parameters Tensor[]|Tensor
---@return Tensor
function clip.get_grad_norm(...)
  local parameters, norm_type = parse_total(...)
  return native.grad_norm(as_list(parameters), norm_type)
end

return clip
