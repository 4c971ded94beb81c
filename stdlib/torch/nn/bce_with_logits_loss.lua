-- nn.BCEWithLogitsLoss: a sigmoid and binary cross entropy in one.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"

local fields <const>, loss <const> = native.fields, functional.binary_cross_entropy_with_logits

---@class BCEWithLogitsLoss : Module
local BCEWithLogitsLoss = module.class("BCEWithLogitsLoss")
local parse = require "torch.nn.typed"(
  signature("nn.BCEWithLogitsLoss", "weight=nil, reduction='mean', pos_weight=nil"),
  "nn.BCEWithLogitsLoss", "weight: tensor?, reduction: reduction, pos_weight: tensor?")

---@param weight Tensor? factor of each element, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@param pos_weight Tensor? factor of the positive part, nil
---@example nn.BCEWithLogitsLoss()(torch.zeros(2), torch.tensor{0., 1.})  --> tensor(0.6931)
---@source torch.nn.BCEWithLogitsLoss
function BCEWithLogitsLoss:__init(...)
  local weight, reduction, pos_weight = parse(...)
  self:register_buffer("weight", weight)
  self:register_buffer("pos_weight", pos_weight)
  self.reduction = reduction
end

---@param input Tensor logits
---@param target Tensor 0 to 1, of input's shape
---@return Tensor 0-dim, or of input's shape
function BCEWithLogitsLoss:forward(input, target)
  local f = fields(self)
  return loss(input, target, f.weight, nil, nil, f.reduction, f.pos_weight)
end

return BCEWithLogitsLoss
