-- nn.NLLLoss: negative log likelihood of log-probabilities.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"

local fields <const>, nll_loss <const> = native.fields, functional.nll_loss

---@class NLLLoss : Module
local NLLLoss = module.class("NLLLoss")
local parse = require "torch.nn.typed"(
  signature("nn.NLLLoss", "weight=nil, ignore_index=-100, reduction='mean'"),
  "nn.NLLLoss", "weight: tensor?, ignore_index: integer, reduction: reduction")

---@param weight Tensor? [classes] how much each class counts, nil
---@param ignore_index integer targets that do not count, -100
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.NLLLoss()(torch.tensor{{-1., -2.}}, torch.tensor{1})  --> tensor(2.)
---@source torch.nn.NLLLoss
function NLLLoss:__init(...)
  local weight, ignore_index, reduction = parse(...)
  self:register_buffer("weight", weight)
  self.ignore_index, self.reduction = ignore_index, reduction
end

---@param input Tensor log-probabilities [batch, classes, ...]
---@param target Tensor int64 classes [batch, ...]
---@return Tensor 0-dim, or [batch, ...]
function NLLLoss:forward(input, target)
  local f = fields(self)
  return nll_loss(input, target, f.weight, nil, f.ignore_index, nil, f.reduction)
end

return NLLLoss
