-- nn.AdaptiveAvgPool2d: means over as many windows as the output size asks for.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local signature = require "torch.signature"
local text = require "torch.python_text"

local adaptive_avg_pool2d <const> = functional.adaptive_avg_pool2d

---@class AdaptiveAvgPool2d : Module
local AdaptiveAvgPool2d = module.class("AdaptiveAvgPool2d")
local parse = require "torch.nn.typed"(signature("nn.AdaptiveAvgPool2d", "output_size"), "nn.AdaptiveAvgPool2d",
  "output_size: output_size")

function AdaptiveAvgPool2d:__init(...) self.output_size = parse(...) end
function AdaptiveAvgPool2d:forward(x) return adaptive_avg_pool2d(x, self.output_size) end
function AdaptiveAvgPool2d:extra_repr() return text.pairs("output_size", self.output_size) end

return AdaptiveAvgPool2d
