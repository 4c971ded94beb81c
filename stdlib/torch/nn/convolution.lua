-- Convolutions of torch.nn over signals, images and volumes.
local base = require "torch.nn.convolution_base"
local catalog = require "native.ops"
local layer = require "torch.nn.layer"
local native = require "native.model"

local fields <const>, pad <const> = native.fields, catalog.find_any "aten::pad"

local layers = {}

local SPEC <const> = "in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=true, "
  .. "padding_mode='zeros', device=nil, dtype=nil"
local KINDS <const> = "in_channels: size, out_channels: size, kernel_size: sizes, stride: sizes, padding: padding, "
  .. "dilation: sizes, groups: integer, bias: flag?, padding_mode: text"

local function convolution(dims)
  local name = ("Conv%dd"):format(dims)
  local of = catalog.find_any(("aten::conv%dd"):format(dims))
  local class, parse = layer(name, SPEC, KINDS)
  for key, method in pairs(base.methods) do class[key] = method end

  function class:__init(...)
    local in_channels, out_channels, kernel, stride, padding, dilation, groups, bias, mode, device, dtype = parse(...)
    base.fill(self, dims, {in_channels = in_channels, out_channels = out_channels, kernel_size = kernel, stride = stride,
      padding = padding, dilation = dilation, output_padding = 0, groups = groups, bias = bias, padding_mode = mode,
      device = device, dtype = dtype}, false)
  end

  ---@param x Tensor [batch, in_channels, ...] or without batch
  ---@return Tensor [batch, out_channels, ...]
  function class:forward(x)
    local f = fields(self)
    if f._sides then return of(pad(x, f._sides, f.padding_mode), f.weight, f.bias, f.stride, 0, f.dilation, f.groups) end
    return of(x, f.weight, f.bias, f.stride, f.padding, f.dilation, f.groups)
  end

  return class
end

--- Convolution over signals of shape [batch, channels, length].
---@param in_channels integer divisible by groups
---@param out_channels integer divisible by groups
---@param kernel_size integer|integer[]
---@param stride integer|integer[] between windows, 1
---@param padding integer|integer[]|string on both sides, or 'same' or 'valid', 0
---@param dilation integer|integer[] between the kernel's elements, 1
---@param groups integer of channels that do not mix, 1
---@param bias boolean adds a number to each output channel, true
---@param padding_mode string 'zeros', 'reflect', 'replicate' or 'circular', 'zeros'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.Conv1d(1, 8, 3, {padding = 1})(torch.ones(2, 1, 5)).shape  --> torch.Size([2, 8, 5])
---@source torch.nn.Conv1d
layers.Conv1d = convolution(1)

--- Convolution over images of shape [batch, channels, height, width].
---@param in_channels integer divisible by groups
---@param out_channels integer divisible by groups
---@param kernel_size integer|integer[] one number for both or {height, width}
---@param stride integer|integer[] between windows, 1
---@param padding integer|integer[]|string on both sides, or 'same' or 'valid', 0
---@param dilation integer|integer[] between the kernel's elements, 1
---@param groups integer of channels that do not mix, 1
---@param bias boolean adds a number to each output channel, true
---@param padding_mode string 'zeros', 'reflect', 'replicate' or 'circular', 'zeros'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.Conv2d(1, 8, 3, {padding = 1})(torch.ones(2, 1, 5, 5)).shape  --> torch.Size([2, 8, 5, 5])
---@source torch.nn.Conv2d
layers.Conv2d = convolution(2)

--- Convolution over volumes of shape [batch, channels, depth, height, width].
---@param in_channels integer divisible by groups
---@param out_channels integer divisible by groups
---@param kernel_size integer|integer[] one number for all or {depth, height, width}
---@param stride integer|integer[] between windows, 1
---@param padding integer|integer[]|string on both sides, or 'same' or 'valid', 0
---@param dilation integer|integer[] between the kernel's elements, 1
---@param groups integer of channels that do not mix, 1
---@param bias boolean adds a number to each output channel, true
---@param padding_mode string 'zeros', 'reflect', 'replicate' or 'circular', 'zeros'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.Conv3d(1, 2, 2)(torch.ones(1, 1, 3, 3, 3)).shape  --> torch.Size([1, 2, 2, 2, 2])
---@source torch.nn.Conv3d
layers.Conv3d = convolution(3)

return layers
