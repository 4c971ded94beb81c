-- Windows as columns and back, of torch.nn.functional.
local catalog = require "native.ops"
local signature = require "torch.signature"
local sizes = require "torch.nn.functional.sizes"

local folding = {}

-- Tensor.unfold is another operator: these are im2col and col2im.
local columns <const>, image <const> = catalog.find_any("aten::im2col"), catalog.find_any("aten::col2im")
local parse_unfold = signature("F.unfold", "input, kernel_size, dilation=1, padding=0, stride=1")
local parse_fold = signature("F.fold", "input, output_size, kernel_size, dilation=1, padding=0, stride=1")

--- Every window of an image as a column.
---@param input Tensor [batch, channels, height, width]
---@param kernel_size integer|integer[] of the window
---@param dilation? integer|integer[] between the window's elements, 1
---@param padding? integer|integer[] zeros on both sides, 0
---@param stride? integer|integer[] between windows, 1
---@return Tensor [batch, channels x window, windows]
---@example F.unfold(torch.ones(1, 1, 3, 3), 2).shape  --> torch.Size([1, 4, 4])
---@source torch.nn.functional.unfold
function folding.unfold(...)
  local input, kernel, dilation, padding, stride = parse_unfold(...)
  return columns(input, sizes.each(kernel, 2), sizes.each(dilation, 2), sizes.each(padding, 2), sizes.each(stride, 2))
end

--- Adds columns up to an image, where windows overlap too: the adjoint of unfold.
---@param input Tensor [batch, channels x window, windows]
---@param output_size integer|integer[] height and width of the image
---@param kernel_size integer|integer[] of the window
---@param dilation? integer|integer[] between the window's elements, 1
---@param padding? integer|integer[] zeros on both sides, 0
---@param stride? integer|integer[] between windows, 1
---@return Tensor [batch, channels, height, width]
---@example F.fold(torch.ones(1, 4, 1), {2, 2}, 2).shape  --> torch.Size([1, 1, 2, 2])
---@source torch.nn.functional.fold
function folding.fold(...)
  local input, output, kernel, dilation, padding, stride = parse_fold(...)
  return image(input, sizes.each(output, 2), sizes.each(kernel, 2), sizes.each(dilation, 2), sizes.each(padding, 2),
    sizes.each(stride, 2))
end

return folding
