-- torch.autograd: gradients, modes, and what is loaded when it is first used.
local mode = require "torch.mode"
local named = require "torch.named"
local namespace = require "host.namespace"
local native = require "native.autograd"

local autograd = {}

for _, name in ipairs {
  "backward", "grad", "no_grad", "enable_grad", "set_grad_enabled", "inference_mode", "set_multithreading_enabled",
  "set_detect_anomaly", "is_multithreading_enabled",
} do
  autograd[name] = native[name]
end

autograd.grad_mode = namespace("torch.autograd.grad_mode", {held = {
  no_grad = native.no_grad, enable_grad = native.enable_grad, set_grad_enabled = native.set_grad_enabled,
  inference_mode = native.inference_mode, set_multithreading_enabled = native.set_multithreading_enabled,
}})

--- Anomaly mode until the scope ends, or for fn(...): set_detect_anomaly(true, check_nan).
---@param check_nan? boolean true
---@param fn? function
---@return any|scope
---@example torch.autograd.detect_anomaly(torch.is_anomaly_enabled)  --> true
autograd.detect_anomaly = mode("torch.autograd.detect_anomaly", "check_nan=true", function(check_nan)
  return native.set_detect_anomaly(true, check_nan)
end)

--- A leaf of a tensor's memory: what Variables were is in all tensors.
---@param data Tensor
---@param requires_grad? boolean false
---@return Tensor
---@example torch.autograd.Variable(torch.ones(1), {requires_grad = true}).requires_grad  --> true
autograd.Variable = named("torch.autograd.Variable", "data, requires_grad=false", function(data, requires_grad)
  return data:detach():requires_grad_(requires_grad)
end)

autograd.anomaly_mode = namespace("torch.autograd.anomaly_mode",
  {held = {detect_anomaly = autograd.detect_anomaly, set_detect_anomaly = native.set_detect_anomaly}})

-- `function` is a keyword of Lua: the namespace torch.autograd.function is `function_`, as `end` is `end_`.
return namespace("torch.autograd", {
  held = autograd,
  modules = {
    forward_ad = "torch.autograd.forward_ad", functional = "torch.autograd.functional", graph = "torch.autograd.graph",
    function_ = "torch.autograd.function", ["function"] = "torch.autograd.function",
  },
  hidden = {["function"] = true},
  files = {
    ["torch.autograd.function"] = "Function",
    ["torch.autograd.gradcheck"] = "gradcheck gradgradcheck",
    ["torch.errors"] = "GradcheckError",
  },
})
