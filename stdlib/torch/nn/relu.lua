-- nn.ReLU: max(x, 0).
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local signature = require "torch.signature"

local relu <const> = functional.relu

---@class ReLU : Module
local ReLU = module.class("ReLU")
local parse = require "torch.nn.typed"(signature("nn.ReLU", "inplace=false"), "nn.ReLU",
  "inplace: flag")

function ReLU:__init(...) self.inplace = parse(...) end
function ReLU:forward(x) return relu(x, self.inplace) end
function ReLU:extra_repr() return self.inplace and "inplace=True" or "" end

return ReLU
