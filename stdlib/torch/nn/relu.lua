-- nn.ReLU: max(x, 0).
local catalog = require "native.ops"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"

local fields <const> = native.fields
local relu <const>, relu_ <const> = catalog.find_any("aten::relu"), catalog.find_any("aten::relu_")

---@class ReLU : Module
local ReLU = module.class("ReLU")
local parse = require "torch.nn.typed"(signature("nn.ReLU", "inplace=false"), "nn.ReLU",
  "inplace: flag")

---@param inplace boolean writes into the input, false
---@example nn.ReLU()(torch.tensor{-1., 2.})  --> tensor([0., 2.])
---@source torch.nn.ReLU
function ReLU:__init(...) self.inplace = parse(...) end

---@param x Tensor
---@return Tensor of x's shape
function ReLU:forward(x) return (fields(self).inplace and relu_ or relu)(x) end

function ReLU:extra_repr() return self.inplace and "inplace=True" or "" end

return ReLU
