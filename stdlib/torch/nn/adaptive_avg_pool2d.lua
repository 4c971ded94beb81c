-- nn.AdaptiveAvgPool2d: means over as many windows as the output size asks for.
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"

local fields <const>, pool <const> = native.fields, catalog.find_any("aten::adaptive_avg_pool2d")

---@class AdaptiveAvgPool2d : Module
local AdaptiveAvgPool2d = module.class("AdaptiveAvgPool2d")
local parse = require "torch.nn.typed"(signature("nn.AdaptiveAvgPool2d", "output_size"), "nn.AdaptiveAvgPool2d",
  "output_size: output_size")

---@param output_size integer|integer[] one number for both or {height, width}, nil keeps the input's
---@example nn.AdaptiveAvgPool2d(1)(torch.ones(1, 3, 4, 4)).shape  --> torch.Size([1, 3, 1, 1])
---@source torch.nn.AdaptiveAvgPool2d
function AdaptiveAvgPool2d:__init(...) self.output_size = parse(...) end

---@param x Tensor [batch, channels, height, width] or without batch
---@return Tensor [batch, channels, output height, output width]
function AdaptiveAvgPool2d:forward(x)
  local size = fields(self).output_size
  if type(size) == "table" then return functional.adaptive_avg_pool2d(x, size) end
  return pool(x, size)
end

function AdaptiveAvgPool2d:extra_repr() return text.pairs("output_size", self.output_size) end

return AdaptiveAvgPool2d
