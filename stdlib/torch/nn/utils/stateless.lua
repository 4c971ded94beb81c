-- torch.nn.utils.stateless: the old place of torch.func.functional_call.
local warn = require "torch.warn"

local stateless = {}

--- Calls a module with these tensors in place of its parameters and buffers: torch.func.functional_call, with a warning.
---@param module Module
---@param parameters_and_buffers table<string, Tensor> by name
---@param args any the argument, or a list of them
---@return any ...
---@example local layer = nn.Linear(2, 1, {bias = false})
--- nn.utils.stateless.functional_call(layer, {weight = torch.ones(1, 2)}, torch.tensor{3., 4.}):item()  --> 7.0
---@source torch.nn.utils.stateless.functional_call
function stateless.functional_call(module, parameters_and_buffers, ...)
  warn("`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be removed in a future "
    .. "version of PyTorch. Please use `torch.func.functional_call` instead which is a drop-in replacement.")
  return require("torch.func").functional_call(module, parameters_and_buffers, ...)
end

return require("host.namespace")("torch.nn.utils.stateless", {held = stateless})
