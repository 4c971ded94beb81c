-- nn.CrossEntropyLoss: softmax and negative log likelihood of class indices or class probabilities.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"

local fields <const>, cross_entropy <const> = native.fields, functional.cross_entropy

---@class CrossEntropyLoss : Module
local CrossEntropyLoss = module.class("CrossEntropyLoss")
local parse = require "torch.nn.typed"(
  signature("nn.CrossEntropyLoss", "weight=nil, ignore_index=-100, reduction='mean', label_smoothing=0.0"),
  "nn.CrossEntropyLoss", "weight: tensor?, ignore_index: integer, reduction: reduction, label_smoothing: number")

---@param weight Tensor? [classes] how much each class counts, nil
---@param ignore_index integer targets that do not count, -100
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@param label_smoothing number share of the uniform distribution, 0.0
---@example nn.CrossEntropyLoss()(torch.zeros(2, 4), torch.tensor{0, 3})  --> tensor(1.3863)
---@source torch.nn.CrossEntropyLoss
function CrossEntropyLoss:__init(...)
  local weight, ignore_index, reduction, label_smoothing = parse(...)
  self:register_buffer("weight", weight)
  self.ignore_index, self.reduction, self.label_smoothing = ignore_index, reduction, label_smoothing
end

---@param input Tensor logits [batch, classes, ...]
---@param target Tensor int64 classes [batch, ...], or probabilities of input's shape
---@return Tensor 0-dim, or [batch, ...]
function CrossEntropyLoss:forward(input, target)
  local f = fields(self)
  return cross_entropy(input, target, f.weight, nil, f.ignore_index, nil, f.reduction, f.label_smoothing)
end

return CrossEntropyLoss
