-- Pooling of torch.nn by means and power means: over windows and adaptive.
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local layer = require "torch.nn.layer"
local native = require "native.model"
local per_dimension = require "torch.nn.per_dimension"
local text = require "torch.python_text"

local fields <const> = native.fields

local layers = {}

local function op(name) return catalog.find_any("aten::" .. name) end

local function window_repr(self)
  return text.fields(self, "kernel_size", "stride", "padding")
end

local avg_pool1d <const> = op "avg_pool1d"

--- The mean of each window of a signal.
---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param padding integer|integer[] zeros on both sides, 0
---@param ceil_mode boolean windows may reach over the end, false
---@param count_include_pad boolean zeros of the padding count, true
---@example nn.AvgPool1d(2)(torch.tensor{{1., 3., 2., 6.}})  --> tensor([[2., 4.]])
---@source torch.nn.AvgPool1d
local AvgPool1d, parse_1d = layer("AvgPool1d",
  "kernel_size, stride=nil, padding=0, ceil_mode=false, count_include_pad=true",
  "kernel_size: sizes, stride: sizes?, padding: sizes, ceil_mode: flag, count_include_pad: flag")
layers.AvgPool1d = AvgPool1d

function AvgPool1d:__init(...)
  local kernel, stride, padding, ceil, include_pad = parse_1d(...)
  if stride == nil then stride = kernel end
  self.kernel_size, self.stride = per_dimension(kernel, 1, "kernel_size"), per_dimension(stride, 1, "stride")
  self.padding, self.ceil_mode, self.count_include_pad = per_dimension(padding, 1, "padding"), ceil, include_pad
end

---@param x Tensor [batch, channels, length] or without batch
---@return Tensor [batch, channels, output length]
function AvgPool1d:forward(x)
  local f = fields(self)
  return avg_pool1d(x, f.kernel_size, f.stride, f.padding, f.ceil_mode, f.count_include_pad)
end
AvgPool1d.extra_repr = window_repr

local function avg_pool(dims)
  local pool = op(("avg_pool%dd"):format(dims))
  local class, parse = layer(("AvgPool%dd"):format(dims),
    "kernel_size, stride=nil, padding=0, ceil_mode=false, count_include_pad=true, divisor_override=nil",
    "kernel_size: sizes, stride: sizes?, padding: sizes, ceil_mode: flag, count_include_pad: flag, "
    .. "divisor_override: integer?")

  function class:__init(...)
    local kernel, stride, padding, ceil, include_pad, divisor = parse(...)
    if stride == nil then stride = kernel end
    self.kernel_size, self.stride, self.padding, self.ceil_mode = kernel, stride, padding, ceil
    self.count_include_pad, self.divisor_override = include_pad, divisor
  end

  ---@param x Tensor [batch, channels, ...] or without batch
  ---@return Tensor [batch, channels, ...]
  function class:forward(x)
    local f = fields(self)
    return pool(x, f.kernel_size, f.stride, f.padding, f.ceil_mode, f.count_include_pad, f.divisor_override)
  end
  class.extra_repr = window_repr
  return class
end

--- The mean of each window of an image.
---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param padding integer|integer[] zeros on both sides, 0
---@param ceil_mode boolean windows may reach over the end, false
---@param count_include_pad boolean zeros of the padding count, true
---@param divisor_override integer? divides in place of the window's size, nil
---@example nn.AvgPool2d(2)(torch.ones(1, 3, 4, 4)).shape  --> torch.Size([1, 3, 2, 2])
---@source torch.nn.AvgPool2d
layers.AvgPool2d = avg_pool(2)

--- The mean of each window of a volume.
---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param padding integer|integer[] zeros on both sides, 0
---@param ceil_mode boolean windows may reach over the end, false
---@param count_include_pad boolean zeros of the padding count, true
---@param divisor_override integer? divides in place of the window's size, nil
---@example nn.AvgPool3d(2)(torch.ones(1, 3, 4, 4, 4)).shape  --> torch.Size([1, 3, 2, 2, 2])
---@source torch.nn.AvgPool3d
layers.AvgPool3d = avg_pool(3)

local function power(dims)
  local pool = functional[("lp_pool%dd"):format(dims)]
  local class = layer(("LPPool%dd"):format(dims), "norm_type, kernel_size, stride=nil, ceil_mode=false",
    "norm_type: number, kernel_size: sizes, stride: sizes?, ceil_mode: flag")

  ---@param x Tensor [batch, channels, ...] or without batch
  ---@return Tensor [batch, channels, ...]
  function class:forward(x)
    local f = fields(self)
    return pool(x, f.norm_type + 0.0, f.kernel_size, f.stride, f.ceil_mode)
  end

  function class:extra_repr()
    return text.fields(self, "norm_type", "kernel_size", "stride", "ceil_mode")
  end
  return class
end

--- The p-norm of each window of a signal.
---@param norm_type number p
---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param ceil_mode boolean windows may reach over the end, false
---@example nn.LPPool1d(2, 2)(torch.tensor{{3., 4.}})  --> tensor([[5.]])
---@source torch.nn.LPPool1d
layers.LPPool1d = power(1)

--- The p-norm of each window of an image.
---@param norm_type number p
---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param ceil_mode boolean windows may reach over the end, false
---@example nn.LPPool2d(2, 2)(torch.ones(1, 2, 2))  --> tensor([[[2.]]])
---@source torch.nn.LPPool2d
layers.LPPool2d = power(2)

--- The p-norm of each window of a volume.
---@param norm_type number p
---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param ceil_mode boolean windows may reach over the end, false
---@example nn.LPPool3d(1, 2)(torch.ones(1, 2, 2, 2))  --> tensor([[[[8.]]]])
---@source torch.nn.LPPool3d
layers.LPPool3d = power(3)

local function adaptive(dims)
  local pool = functional[("adaptive_avg_pool%dd"):format(dims)]
  local class = layer(("AdaptiveAvgPool%dd"):format(dims), "output_size", "output_size: output_size")

  ---@param x Tensor [batch, channels, ...] or without batch
  ---@return Tensor [batch, channels, ...]
  function class:forward(x) return pool(x, fields(self).output_size) end
  function class:extra_repr() return text.fields(self, "output_size") end
  return class
end

--- Means over as many windows as the output size asks for.
---@param output_size integer|integer[]
---@example nn.AdaptiveAvgPool1d(2)(torch.tensor{{1., 3., 2., 6.}})  --> tensor([[2., 4.]])
---@source torch.nn.AdaptiveAvgPool1d
layers.AdaptiveAvgPool1d = adaptive(1)

--- Means over as many windows as the output size asks for.
---@param output_size integer|integer[] one number for both or {height, width}, None keeps the input's
---@example nn.AdaptiveAvgPool2d(1)(torch.ones(1, 3, 4, 4)).shape  --> torch.Size([1, 3, 1, 1])
---@source torch.nn.AdaptiveAvgPool2d
layers.AdaptiveAvgPool2d = adaptive(2)

--- Means over as many windows as the output size asks for.
---@param output_size integer|integer[] one number for all or {depth, height, width}, None keeps the input's
---@example nn.AdaptiveAvgPool3d(1)(torch.ones(1, 3, 4, 4, 4)).shape  --> torch.Size([1, 3, 1, 1, 1])
---@source torch.nn.AdaptiveAvgPool3d
layers.AdaptiveAvgPool3d = adaptive(3)

return layers
