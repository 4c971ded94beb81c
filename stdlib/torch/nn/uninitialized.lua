-- nn.UninitializedParameter, nn.UninitializedBuffer: tensors whose shape is not known yet.
local native = require "native.model"
local signature = require "torch.signature"
local tensors = require "native.tensor"
local torch = require "torch"
local vm = require "native.vm"

local uninitialized = {}

local function empty(device, dtype)
  if device == nil and dtype == nil then return torch.empty(0) end
  return torch.empty(0, {device = device, dtype = dtype})
end

local parse_parameter = signature("nn.UninitializedParameter", "requires_grad=true, device=nil, dtype=nil")

--- A parameter that gets its shape by `materialize`.
---@param requires_grad boolean gradients are kept for it, true
---@param device any the default device
---@param dtype dtype? the default dtype
---@return Tensor
---@example local p = nn.UninitializedParameter()
--- p:materialize{2, 3}
--- p.shape  --> torch.Size([2, 3])
---@source torch.nn.UninitializedParameter
function uninitialized.UninitializedParameter(...)
  local requires_grad, device, dtype = parse_parameter(...)
  local parameter = native.parameter(empty(device, dtype), requires_grad)
  native.set_uninitialized(parameter)
  return parameter
end

local parse_buffer = signature("nn.UninitializedBuffer", "requires_grad=false, device=nil, dtype=nil, persistent=true")

--- A tensor for a buffer that gets its shape by `materialize`.
---@param requires_grad boolean gradients are kept for it, false
---@param device any the default device
---@param dtype dtype? the default dtype
---@param persistent boolean is in the state dict, true
---@return Tensor
---@example nn.parameter.is_lazy(nn.UninitializedBuffer())  --> true
---@source torch.nn.UninitializedBuffer
function uninitialized.UninitializedBuffer(...)
  local requires_grad, device, dtype, persistent = parse_buffer(...)
  local buffer = native.buffer(empty(device, dtype), persistent)
  if requires_grad then buffer:requires_grad_() end
  native.set_uninitialized(buffer)
  return buffer
end

--- Is it a parameter or buffer that waits for its shape?
---@param param any
---@return boolean
---@example nn.parameter.is_lazy(nn.UninitializedParameter())  --> true
---@source torch.nn.parameter.is_lazy
function uninitialized.is_lazy(param) return native.is_uninitialized(param) end

local parse = signature("Tensor.materialize", "shape, device=nil, dtype=nil")

--- Gives an uninitialized parameter or buffer its shape, and memory without values. It stays the same tensor: optimizers
--- and modules that hold it see it.
---@param shape integer[]
---@param device any where it is
---@param dtype dtype? its own
---@example local p = nn.UninitializedParameter()
--- p:materialize{3}
--- nn.parameter.is_lazy(p)  --> false
function uninitialized.materialize(self, ...)
  local shape, device, dtype = parse(...)
  if not native.is_uninitialized(self) then vm.raise("usage", "materialize: the tensor has its shape already") end
  self.data = torch.empty(shape, {device = device or self.device, dtype = dtype or self.dtype})
end
tensors.methods.materialize = uninitialized.materialize

--- Has one of the module's own parameters or buffers no shape yet?
---@param module Module
---@return boolean
---@example nn.LazyBatchNorm1d():has_uninitialized_params()  --> true
function uninitialized.any_of(module)
  for _, name in ipairs(native.slots(module)) do
    if uninitialized.is_lazy(module[name]) then return true end
  end
  return false
end

--- A copy that waits as well.
---@param tensor Tensor
---@return Tensor
function uninitialized.copy(tensor)
  if native.is_parameter(tensor) then
    return uninitialized.UninitializedParameter(tensor.requires_grad, tensor.device, tensor.dtype)
  end
  return uninitialized.UninitializedBuffer(tensor.requires_grad, tensor.device, tensor.dtype)
end

return uninitialized
