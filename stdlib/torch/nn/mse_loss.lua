-- nn.MSELoss: the mean (or sum) of squared differences.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local signature = require "torch.signature"

local mse_loss <const> = functional.mse_loss

---@class MSELoss : Module
local MSELoss = module.class("MSELoss")
local parse = require "torch.nn.typed"(signature("nn.MSELoss", "reduction='mean'"), "nn.MSELoss",
  "reduction: reduction")

---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.MSELoss()(torch.zeros(2), torch.tensor{1., 3.})  --> tensor(5.)
---@source torch.nn.MSELoss
function MSELoss:__init(...) self.reduction = parse(...) end

---@param input Tensor
---@param target Tensor of input's shape
---@return Tensor 0-dim, or of input's shape
function MSELoss:forward(input, target) return mse_loss(input, target, nil, nil, self.reduction) end

return MSELoss
