-- nn.Tanh: the hyperbolic tangent.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"

local tanh <const> = functional.tanh

---@class Tanh : Module
local Tanh = module.class("Tanh")

function Tanh:forward(x) return tanh(x) end

return Tanh
