-- nn.Tanh: the hyperbolic tangent.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"

local tanh <const> = functional.tanh

---@class Tanh : Module
---@example nn.Tanh()(torch.zeros(2))  --> tensor([0., 0.])
---@source torch.nn.Tanh
local Tanh = module.class("Tanh")

---@param x Tensor
---@return Tensor of x's shape
function Tanh:forward(x) return tanh(x) end

return Tanh
