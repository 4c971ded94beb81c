-- Maximum pooling of torch.nn: over windows and adaptive.
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local layer = require "torch.nn.layer"
local native = require "native.model"
local text = require "torch.python_text"

local fields <const> = native.fields

local layers = {}

local SPEC <const> = "kernel_size, stride=nil, padding=0, dilation=1, return_indices=false, ceil_mode=false"
local KINDS <const> = "kernel_size: sizes, stride: sizes?, padding: sizes, dilation: sizes, return_indices: flag, "
  .. "ceil_mode: flag"

local function max_pool(dims)
  local name = ("max_pool%dd"):format(dims)
  local pool, with_indices = catalog.find_any("aten::" .. name), catalog.find_any("aten::" .. name .. "_with_indices")
  local class, parse = layer(("MaxPool%dd"):format(dims), SPEC, KINDS)

  function class:__init(...)
    local kernel, stride, padding, dilation, indices, ceil = parse(...)
    if stride == nil then stride = kernel end
    self.kernel_size, self.stride, self.padding, self.dilation = kernel, stride, padding, dilation
    self.return_indices, self.ceil_mode = indices, ceil
  end

  ---@param x Tensor [batch, channels, ...] or without batch
  ---@return Tensor maxima [batch, channels, ...]
  ---@return Tensor? indices int64, with return_indices
  function class:forward(x)
    local f = fields(self)
    return (f.return_indices and with_indices or pool)(x, f.kernel_size, f.stride, f.padding, f.dilation, f.ceil_mode)
  end

  function class:extra_repr()
    return text.fields(self, "kernel_size", "stride", "padding", "dilation", "ceil_mode")
  end

  return class
end

--- The maximum of each window of a signal.
---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param padding integer|integer[] minus infinity on both sides, 0
---@param dilation integer|integer[] between the window's elements, 1
---@param return_indices boolean also gives where the maxima were, false
---@param ceil_mode boolean windows may reach over the end, false
---@example nn.MaxPool1d(2)(torch.tensor{{1., 3., 2., 5.}})  --> tensor([[3., 5.]])
---@source torch.nn.MaxPool1d
layers.MaxPool1d = max_pool(1)

--- The maximum of each window of an image.
---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param padding integer|integer[] minus infinity on both sides, 0
---@param dilation integer|integer[] between the window's elements, 1
---@param return_indices boolean also gives where the maxima were, false
---@param ceil_mode boolean windows may reach over the end, false
---@example nn.MaxPool2d(2)(torch.ones(1, 3, 4, 4)).shape  --> torch.Size([1, 3, 2, 2])
---@source torch.nn.MaxPool2d
layers.MaxPool2d = max_pool(2)

--- The maximum of each window of a volume.
---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param padding integer|integer[] minus infinity on both sides, 0
---@param dilation integer|integer[] between the window's elements, 1
---@param return_indices boolean also gives where the maxima were, false
---@param ceil_mode boolean windows may reach over the end, false
---@example nn.MaxPool3d(2)(torch.ones(1, 3, 4, 4, 4)).shape  --> torch.Size([1, 3, 2, 2, 2])
---@source torch.nn.MaxPool3d
layers.MaxPool3d = max_pool(3)

local function adaptive(dims)
  local pool = functional[("adaptive_max_pool%dd"):format(dims)]
  local class = layer(("AdaptiveMaxPool%dd"):format(dims), "output_size, return_indices=false",
    "output_size: output_size, return_indices: flag")

  ---@param x Tensor [batch, channels, ...] or without batch
  ---@return Tensor maxima [batch, channels, ...]
  ---@return Tensor? indices int64, with return_indices
  function class:forward(x)
    local f = fields(self)
    return pool(x, f.output_size, f.return_indices)
  end

  function class:extra_repr() return text.fields(self, "output_size") end
  return class
end

--- Maxima over as many windows as the output size asks for.
---@param output_size integer|integer[]
---@param return_indices boolean also gives where the maxima were, false
---@example nn.AdaptiveMaxPool1d(2)(torch.tensor{{1., 3., 2., 5.}})  --> tensor([[3., 5.]])
---@source torch.nn.AdaptiveMaxPool1d
layers.AdaptiveMaxPool1d = adaptive(1)

--- Maxima over as many windows as the output size asks for.
---@param output_size integer|integer[] one number for both or {height, width}, None keeps the input's
---@param return_indices boolean also gives where the maxima were, false
---@example nn.AdaptiveMaxPool2d({2, torch.None})(torch.ones(1, 3, 4, 5)).shape  --> torch.Size([1, 3, 2, 5])
---@source torch.nn.AdaptiveMaxPool2d
layers.AdaptiveMaxPool2d = adaptive(2)

--- Maxima over as many windows as the output size asks for.
---@param output_size integer|integer[] one number for all or {depth, height, width}, None keeps the input's
---@param return_indices boolean also gives where the maxima were, false
---@example nn.AdaptiveMaxPool3d(1)(torch.ones(1, 3, 4, 4, 4)).shape  --> torch.Size([1, 3, 1, 1, 1])
---@source torch.nn.AdaptiveMaxPool3d
layers.AdaptiveMaxPool3d = adaptive(3)

return layers
