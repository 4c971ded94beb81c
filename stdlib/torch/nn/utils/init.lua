-- torch.nn.utils: clipping of gradients, and parameters as one vector.
local named = require "torch.named"
local native = require "native.optim"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"

local functions = {}

local parse_norm = signature("clip_grad_norm_",
  "parameters, max_norm, norm_type=2.0, error_if_nonfinite=false, foreach=nil")
local parse_value = signature("clip_grad_value_", "parameters, clip_value, foreach=nil")
local parse_total = signature("get_grad_norm", "parameters, norm_type=2.0")

-- The norm's clipping is PyTorch's foreach = true, the value's its foreach = false; the results are the same.
local function refuse(name, foreach, other)
  if foreach ~= other then return end
  vm.raise("usage", ("%s: foreach = %s is not supported"):format(name, tostring(other)), "leave it out")
end

local function as_list(parameters)
  return torch.is_tensor(parameters) and {parameters} or parameters
end

--- Scales the gradients in place so that their norm, taken together, is at most max_norm.
---@param parameters Tensor[]|Tensor
---@param max_norm number
---@param norm_type number|"inf" the norm's exponent, 2.0
---@param error_if_nonfinite boolean a norm that is NaN or infinite is an error, false
---@param foreach boolean? one kernel for all gradients; false is refused, nil
---@return Tensor the norm before
---@example local layer = nn.Linear(2, 1)
--- layer(torch.ones(4, 2)):sum():backward()
--- nn.utils.clip_grad_norm_(layer:parameters(), 1)
--- nn.utils.get_grad_norm(layer:parameters()):item() <= 1.0001  --> true
---@source torch.nn.utils.clip_grad_norm_
function functions.clip_grad_norm_(...)
  local parameters, max_norm, norm_type, error_if_nonfinite, foreach = parse_norm(...)
  refuse("clip_grad_norm_", foreach, false)
  return native.clip_grad_norm(as_list(parameters), max_norm, norm_type, error_if_nonfinite)
end

--- Clamps each gradient in place to [-clip_value, clip_value].
---@param parameters Tensor[]|Tensor
---@param clip_value number
---@param foreach boolean? one kernel for all gradients; true is refused, nil
---@example local layer = nn.Linear(1, 1)
--- layer(torch.ones(4, 1)):sum():backward()
--- nn.utils.clip_grad_value_(layer:parameters(), 0.5)
--- layer.weight.grad  --> tensor([[0.5000]])
---@source torch.nn.utils.clip_grad_value_
function functions.clip_grad_value_(...)
  local parameters, clip_value, foreach = parse_value(...)
  refuse("clip_grad_value_", foreach, true)
  native.clip_grad_value(as_list(parameters), clip_value)
end

--- The norm of all gradients together, without changing them.
---@param parameters Tensor[]|Tensor
---@param norm_type number|"inf" the norm's exponent, 2.0
---@return Tensor
function functions.get_grad_norm(...)
  local parameters, norm_type = parse_total(...)
  return native.grad_norm(as_list(parameters), norm_type)
end

--- A vector of all parameters, one after the other.
---@param parameters Tensor[]
---@return Tensor
---@example nn.utils.parameters_to_vector(nn.Linear(2, 3):parameters()).shape  --> torch.Size([9])
functions.parameters_to_vector = named("parameters_to_vector", "parameters", function(parameters)
  local flat = {}
  for i, parameter in ipairs(parameters) do flat[i] = parameter:reshape(-1) end
  return torch.cat(flat)
end)

--- Copies a vector into the parameters.
---@param vec Tensor
---@param parameters Tensor[]
---@example local layer = nn.Linear(2, 1)
--- nn.utils.vector_to_parameters(torch.arange(3.), layer:parameters())
--- layer.bias:item()  --> 2.0
functions.vector_to_parameters = named("vector_to_parameters", "vec, parameters", function(vector, parameters)
  local at = 0
  for _, parameter in ipairs(parameters) do
    local count = parameter:numel()
    parameter:detach():copy_(vector:detach():narrow(0, at, count):view_as(parameter))
    at = at + count
  end
end)

return require("host.namespace")("torch.nn.utils", {held = functions})
