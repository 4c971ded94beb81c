-- nn.MSELoss: the mean (or sum) of squared differences.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local signature = require "torch.signature"

local mse_loss <const> = functional.mse_loss

---@class MSELoss : Module
local MSELoss = module.class("MSELoss")
local parse = require "torch.nn.typed"(signature("nn.MSELoss", "reduction='mean'"), "nn.MSELoss",
  "reduction: reduction")

function MSELoss:__init(...) self.reduction = parse(...) end
function MSELoss:forward(input, target) return mse_loss(input, target, self.reduction) end

return MSELoss
