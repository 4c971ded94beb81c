-- torch.nn.parameter: parameters, and those whose shape is not known yet.
local uninitialized = require "torch.nn.uninitialized"

return require("host.namespace")("torch.nn.parameter", {held = {
  Parameter = require "torch.nn.parameter",
  Buffer = require "torch.nn.buffer",
  UninitializedParameter = uninitialized.UninitializedParameter,
  UninitializedBuffer = uninitialized.UninitializedBuffer,
  is_lazy = uninitialized.is_lazy,
}})
