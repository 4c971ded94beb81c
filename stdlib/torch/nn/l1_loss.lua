-- nn.L1Loss: the mean (or sum) of absolute differences.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local signature = require "torch.signature"

local l1_loss <const> = functional.l1_loss

---@class L1Loss : Module
local L1Loss = module.class("L1Loss")
local parse = require "torch.nn.typed"(signature("nn.L1Loss", "reduction='mean'"), "nn.L1Loss",
  "reduction: reduction")

---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.L1Loss()(torch.zeros(2), torch.tensor{1., 3.})  --> tensor(2.)
---@source torch.nn.L1Loss
function L1Loss:__init(...) self.reduction = parse(...) end

---@param input Tensor
---@param target Tensor of input's shape
---@return Tensor 0-dim, or of input's shape
function L1Loss:forward(input, target) return l1_loss(input, target, nil, nil, self.reduction) end

return L1Loss
