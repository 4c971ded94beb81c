-- New parameters and buffers of layers, on the device and of the dtype that the layer was given.
local native = require "native.model"
local torch = require "torch"

local allocate = {}

local function options(device, dtype)
  if device == nil and dtype == nil then return nil end
  return {device = device, dtype = dtype}
end

local function make(factory, sizes, device, dtype)
  local given = options(device, dtype)
  if given then return factory(sizes, given) end
  return factory(sizes)
end

--- An uninitialised parameter.
---@param sizes integer[]
---@return Tensor
function allocate.parameter(sizes, device, dtype)
  return native.parameter(make(torch.empty, sizes, device, dtype), true)
end

--- A tensor of zeros, for a buffer.
---@param sizes integer[]
---@return Tensor
function allocate.zeros(sizes, device, dtype) return make(torch.zeros, sizes, device, dtype) end

--- A tensor of ones, for a buffer.
---@param sizes integer[]
---@return Tensor
function allocate.ones(sizes, device, dtype) return make(torch.ones, sizes, device, dtype) end

--- A count of batches: int64, 0-dim.
function allocate.counter(device)
  return make(torch.zeros, {}, device, torch.int64)
end

return allocate
