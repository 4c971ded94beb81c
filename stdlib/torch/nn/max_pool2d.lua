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

function MaxPool2d:__init(...)
  local kernel, stride, padding, dilation, indices, ceil = parse(...)
  self.kernel_size, self.stride, self.padding, self.dilation = kernel, stride or kernel, padding, dilation
  self.return_indices, self.ceil_mode = indices, ceil
end

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
