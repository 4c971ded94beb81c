-- Functions over windows of torch.nn.functional: pooling, unfold and fold.
local catalog = require "native.ops"
local signature = require "torch.signature"

local windows = {}

local function op(name) return catalog.find_any("aten::" .. name) end

-- A None in the output size keeps that size of the input.
local function adaptive_average(name, dims)
  local pool = op(name)
  local parse = signature("F." .. name, "input, output_size")
  return function(...)
    local input, size = parse(...)
    if type(size) == "table" then
      local whole = {}
      for i = 1, dims do
        whole[i] = math.type(size[i]) and size[i] or input:size(input:dim() - dims + i - 1)
      end
      size = whole
    end
    return pool(input, size)
  end
end

--- Means over as many windows as the output size asks for.
---@param input Tensor [batch, channels, height, width] or without batch
---@param output_size integer|integer[] one number for both or {height, width}, nil keeps the input's
---@return Tensor [batch, channels, output height, output width]
---@source torch.nn.functional.adaptive_avg_pool2d
windows.adaptive_avg_pool2d = adaptive_average("adaptive_avg_pool2d", 2)

--- Means over as many windows as the output size asks for.
---@param input Tensor [batch, channels, depth, height, width] or without batch
---@param output_size integer|integer[] one number for all or {depth, height, width}, nil keeps the input's
---@return Tensor [batch, channels, output depth, output height, output width]
---@source torch.nn.functional.adaptive_avg_pool3d
windows.adaptive_avg_pool3d = adaptive_average("adaptive_avg_pool3d", 3)

-- Tensor.unfold is another operator: these are im2col and col2im.
local columns <const>, image <const> = op "im2col", op "col2im"
local parse_unfold = signature("F.unfold", "input, kernel_size, dilation=1, padding=0, stride=1")
local parse_fold = signature("F.fold", "input, output_size, kernel_size, dilation=1, padding=0, stride=1")

--- Every window of an image as a column.
---@param input Tensor [batch, channels, height, width]
---@param kernel_size integer|integer[] of the window
---@param dilation integer|integer[] between the window's elements, 1
---@param padding integer|integer[] zeros on both sides, 0
---@param stride integer|integer[] between windows, 1
---@return Tensor [batch, channels x window, windows]
---@source torch.nn.functional.unfold
function windows.unfold(...) return columns(parse_unfold(...)) end

--- Adds columns up to an image, where windows overlap too: the adjoint of unfold.
---@param input Tensor [batch, channels x window, windows]
---@param output_size integer|integer[] height and width of the image
---@param kernel_size integer|integer[] of the window
---@param dilation integer|integer[] between the window's elements, 1
---@param padding integer|integer[] zeros on both sides, 0
---@param stride integer|integer[] between windows, 1
---@return Tensor [batch, channels, height, width]
---@source torch.nn.functional.fold
function windows.fold(...) return image(parse_fold(...)) end

local max_pool <const>, max_pool_with_indices <const> = op "max_pool2d", op "max_pool2d_with_indices"
local parse_max_pool = signature("F.max_pool2d",
  "input, kernel_size, stride=nil, padding=0, dilation=1, ceil_mode=false, return_indices=false")

--- The maximum of each window.
---@param input Tensor [batch, channels, height, width] or without batch
---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param padding integer|integer[] minus infinity on both sides, 0
---@param dilation integer|integer[] between the window's elements, 1
---@param ceil_mode boolean windows may reach over the end, false
---@param return_indices boolean also gives where the maxima were, false
---@return Tensor maxima [batch, channels, output height, output width]
---@return Tensor? indices int64, of the same shape
---@source torch.nn.functional.max_pool2d
function windows.max_pool2d(...)
  local input, kernel_size, stride = ...
  if select("#", ...) <= 3 and math.type(kernel_size) and (stride == nil or math.type(stride)) then
    if stride == nil then return max_pool(input, kernel_size) end
    return max_pool(input, kernel_size, stride)
  end
  local x, kernel, step, padding, dilation, ceil, indices = parse_max_pool(...)
  return (indices and max_pool_with_indices or max_pool)(x, kernel, step or kernel, padding, dilation, ceil)
end

return windows
