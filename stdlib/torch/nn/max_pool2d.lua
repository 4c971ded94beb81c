-- nn.MaxPool2d: the maximum of each window.
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"

local fields <const>, pool <const> = native.fields, catalog.find_any("aten::max_pool2d")

---@class MaxPool2d : Module
local MaxPool2d = module.class("MaxPool2d")
local parse = require "torch.nn.typed"(signature("nn.MaxPool2d",
  "kernel_size, stride=nil, padding=0, dilation=1, return_indices=false, ceil_mode=false"), "nn.MaxPool2d",
  "kernel_size: sizes, stride: sizes?, padding: sizes, dilation: sizes, return_indices: flag, ceil_mode: flag")

---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param padding integer|integer[] minus infinity on both sides, 0
---@param dilation integer|integer[] between the window's elements, 1
---@param return_indices boolean also gives where the maxima were, false
---@param ceil_mode boolean windows may reach over the end, false
---@example nn.MaxPool2d(2)(torch.ones(1, 3, 4, 4)).shape  --> torch.Size([1, 3, 2, 2])
---@source torch.nn.MaxPool2d
function MaxPool2d:__init(...)
  local kernel, stride, padding, dilation, indices, ceil = parse(...)
  self.kernel_size, self.stride, self.padding, self.dilation = kernel, stride or kernel, padding, dilation
  self.return_indices, self.ceil_mode = indices, ceil
end

---@param x Tensor [batch, channels, height, width] or without batch
---@return Tensor maxima [batch, channels, output height, output width]
---@return Tensor? indices int64, with return_indices
function MaxPool2d:forward(x)
  local f = fields(self)
  if f.return_indices then
    return functional.max_pool2d(x, f.kernel_size, f.stride, f.padding, f.dilation, f.ceil_mode, true)
  end
  return pool(x, f.kernel_size, f.stride, f.padding, f.dilation, f.ceil_mode)
end

function MaxPool2d:extra_repr()
  return text.pairs("kernel_size", self.kernel_size, "stride", self.stride, "padding", self.padding,
    "dilation", self.dilation, "ceil_mode", self.ceil_mode)
end

return MaxPool2d
