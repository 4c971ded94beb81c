-- nn.Sigmoid: 1 / (1 + exp(-x)).
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"

local sigmoid <const> = functional.sigmoid

---@class Sigmoid : Module
---@source torch.nn.Sigmoid
local Sigmoid = module.class("Sigmoid")

---@param x Tensor
---@return Tensor of x's shape
function Sigmoid:forward(x) return sigmoid(x) end

return Sigmoid
