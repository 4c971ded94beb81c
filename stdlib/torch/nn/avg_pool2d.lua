-- nn.AvgPool2d: the mean of each window.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"

local fields <const>, avg_pool2d <const> = native.fields, functional.avg_pool2d

---@class AvgPool2d : Module
local AvgPool2d = module.class("AvgPool2d")
local parse = require "torch.nn.typed"(
  signature("nn.AvgPool2d",
  "kernel_size, stride=nil, padding=0, ceil_mode=false, count_include_pad=true, divisor_override=nil"),
  "nn.AvgPool2d", "kernel_size: sizes, stride: sizes?, padding: sizes, ceil_mode: flag, count_include_pad: flag, "
  .. "divisor_override: integer?")

---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param padding integer|integer[] zeros on both sides, 0
---@param ceil_mode boolean windows may reach over the end, false
---@param count_include_pad boolean zeros of the padding count, true
---@param divisor_override integer? divides in place of the window's size, nil
---@example nn.AvgPool2d(2)(torch.ones(1, 3, 4, 4)).shape  --> torch.Size([1, 3, 2, 2])
---@source torch.nn.AvgPool2d
function AvgPool2d:__init(...)
  local kernel, stride, padding, ceil, include_pad, divisor = parse(...)
  self.kernel_size, self.stride, self.padding, self.ceil_mode = kernel, stride or kernel, padding, ceil
  self.count_include_pad, self.divisor_override = include_pad, divisor
end

---@param x Tensor [batch, channels, height, width] or without batch
---@return Tensor [batch, channels, output height, output width]
function AvgPool2d:forward(x)
  local f = fields(self)
  return avg_pool2d(x, f.kernel_size, f.stride, f.padding, f.ceil_mode, f.count_include_pad, f.divisor_override)
end

function AvgPool2d:extra_repr()
  return text.pairs("kernel_size", self.kernel_size, "stride", self.stride, "padding", self.padding)
end

return AvgPool2d
