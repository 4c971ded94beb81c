-- nn.Sigmoid: 1 / (1 + exp(-x)).
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"

local sigmoid <const> = functional.sigmoid

---@class Sigmoid : Module
---@example nn.Sigmoid()(torch.zeros(2))  --> tensor([0.5000, 0.5000])
---@source torch.nn.Sigmoid
local Sigmoid = module.class("Sigmoid")

---@param x Tensor
---@return Tensor of x's shape
function Sigmoid:forward(x) return sigmoid(x) end

return Sigmoid
