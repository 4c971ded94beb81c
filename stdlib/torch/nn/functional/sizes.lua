-- Window sizes, strides and paddings: one number for all dimensions, or a number for each.
local vm = require "native.vm"

local sizes = {}

--- A number for each of `count` dimensions.
---@param value integer|integer[]
---@param count integer
---@return integer[]
function sizes.each(value, count)
  if type(value) == "table" then return value end
  local list = {}
  for i = 1, count do list[i] = value end
  return list
end

--- An output size whose Nones are the input's own sizes.
---@param size integer|integer[]
---@param input Tensor
---@param count integer of dimensions that the size has
---@return integer|integer[]
function sizes.or_input(size, input, count)
  if type(size) ~= "table" or next(size) == nil then return size end  -- the operator refuses {}
  count = math.max(count, #size)
  local dims = input:dim()
  if dims <= count then vm.raise("shape", ("Input dimension should be at least %d"):format(count + 1)) end
  local whole = {}
  for i = 1, count do whole[i] = math.type(size[i]) and size[i] or input:size(dims - count + i - 1) end
  return whole
end

return sizes
