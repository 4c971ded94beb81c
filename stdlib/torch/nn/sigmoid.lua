-- nn.Sigmoid: 1 / (1 + exp(-x)).
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"

local sigmoid <const> = functional.sigmoid

---@class Sigmoid : Module
local Sigmoid = module.class("Sigmoid")

function Sigmoid:forward(x) return sigmoid(x) end

return Sigmoid
