-- Losses of torch.nn over margins and over distances of embeddings.
local functional = require "torch.nn.functional"
local loss = require "torch.nn.loss_layer"
local native = require "native.model"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const> = native.fields
local hinge <const>, cosine <const> = functional.hinge_embedding_loss, functional.cosine_embedding_loss
local ranking <const>, multi_margin <const> = functional.margin_ranking_loss, functional.multi_margin_loss
local multilabel_soft <const>, triplet <const> = functional.multilabel_soft_margin_loss, functional.triplet_margin_loss
local with_distance <const> = functional.triplet_margin_with_distance_loss

local layers = {}

local REDUCED <const> = "size_average=nil, reduce=nil, reduction='mean'"

local function of_two(name, of)
  local class = loss(name, REDUCED)
  ---@param input Tensor
  ---@param target Tensor of input's shape
  ---@return Tensor 0-dim, or not reduced
  function class:forward(input, target) return of(input, target, nil, nil, fields(self).reduction) end
  return class
end

--- log(1 + exp(-target input)), for targets of 1 and -1.
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.SoftMarginLoss()(torch.zeros(2), torch.tensor{1., -1.})  --> tensor(0.6931)
---@source torch.nn.SoftMarginLoss
layers.SoftMarginLoss = of_two("SoftMarginLoss", functional.soft_margin_loss)

--- The margins by which other classes come near the target classes; a target is classes ended by -1.
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.MultiLabelMarginLoss()(torch.tensor{{0.5, 1.}}, torch.tensor{{1, -1}})  --> tensor(0.2500)
---@source torch.nn.MultiLabelMarginLoss
layers.MultiLabelMarginLoss = of_two("MultiLabelMarginLoss", functional.multilabel_margin_loss)

--- input where target is 1, max(0, margin - input) where it is -1.
---@param margin number 1.0
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.HingeEmbeddingLoss()(torch.tensor{0.5, 0.5}, torch.tensor{1., -1.})  --> tensor(0.5000)
---@source torch.nn.HingeEmbeddingLoss
local HingeEmbeddingLoss = loss("HingeEmbeddingLoss", "margin=1.0, " .. REDUCED, "margin: number")
layers.HingeEmbeddingLoss = HingeEmbeddingLoss

---@param input Tensor distances
---@param target Tensor 1 or -1, of input's shape
---@return Tensor 0-dim, or of input's shape
function HingeEmbeddingLoss:forward(input, target)
  local f = fields(self)
  return hinge(input, target, f.margin, nil, nil, f.reduction)
end

-- Two inputs and a target of 1 or -1.
local function of_three(name, of)
  local class = loss(name, "margin=0.0, " .. REDUCED, "margin: number")
  ---@param input1 Tensor
  ---@param input2 Tensor of input1's shape
  ---@param target Tensor 1 or -1
  ---@return Tensor 0-dim, or of target's shape
  function class:forward(input1, input2, target)
    local f = fields(self)
    return of(input1, input2, target, f.margin, nil, nil, f.reduction)
  end
  return class
end

--- 1 - cos where target is 1, max(0, cos - margin) where it is -1.
---@param margin number -1 to 1, 0.0
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.CosineEmbeddingLoss()(torch.eye(2), torch.eye(2), torch.ones(2))  --> tensor(0.)
---@source torch.nn.CosineEmbeddingLoss
layers.CosineEmbeddingLoss = of_three("CosineEmbeddingLoss", cosine)

--- max(0, -target (input1 - input2) + margin).
---@param margin number 0.0
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.MarginRankingLoss()(torch.tensor{1.}, torch.tensor{3.}, torch.tensor{1.})  --> tensor(2.)
---@source torch.nn.MarginRankingLoss
layers.MarginRankingLoss = of_three("MarginRankingLoss", ranking)

--- The margins by which other classes come near the target class.
---@param p integer exponent, 1 or 2; 1
---@param margin number 1.0
---@param weight Tensor? [classes], nil
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.MultiMarginLoss()(torch.tensor{{0.5, 1.}}, torch.tensor{1})  --> tensor(0.2500)
---@source torch.nn.MultiMarginLoss
local MultiMarginLoss = loss("MultiMarginLoss", "p=1, margin=1.0, weight=nil, " .. REDUCED,
  "p: integer, margin: number, weight: tensor?", function(self)
    if self.p ~= 1 and self.p ~= 2 then vm.raise("usage", "only p == 1 and p == 2 supported") end
    if self.weight and self.weight:dim() ~= 1 then
      vm.raise("shape", ("MultiMarginLoss: expected weight to be None or 1D tensor, got %dD instead"):format(
        self.weight:dim()))
    end
  end)
layers.MultiMarginLoss = MultiMarginLoss

---@param input Tensor [batch, classes] or [classes]
---@param target Tensor int64 classes [batch]
---@return Tensor 0-dim, or [batch]
function MultiMarginLoss:forward(input, target)
  local f = fields(self)
  return multi_margin(input, target, f.p, f.margin, f.weight, nil, nil, f.reduction)
end

--- Binary cross entropy with logits of every class, averaged over the classes.
---@param weight Tensor? [classes], nil
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.MultiLabelSoftMarginLoss()(torch.zeros(1, 2), torch.tensor{{0., 1.}})  --> tensor(0.6931)
---@source torch.nn.MultiLabelSoftMarginLoss
local MultiLabelSoftMarginLoss = loss("MultiLabelSoftMarginLoss", "weight=nil, " .. REDUCED, "weight: tensor?")
layers.MultiLabelSoftMarginLoss = MultiLabelSoftMarginLoss

---@param input Tensor logits [batch, classes]
---@param target Tensor 0 or 1, of input's shape
---@return Tensor 0-dim, or [batch]
function MultiLabelSoftMarginLoss:forward(input, target)
  local f = fields(self)
  return multilabel_soft(input, target, f.weight, nil, nil, f.reduction)
end

local function check_margin(self)
  if self.margin <= 0 then
    vm.raise("usage", ("%s: expected margin to be greater than 0, got %s instead"):format(native.class_of(self).__name,
      text.value(self.margin)))
  end
end

--- max(0, d(anchor, positive) - d(anchor, negative) + margin) with p-norms as distances.
---@param margin number 1.0
---@param p number the norm's exponent, 2.0
---@param eps number added to the differences, 1e-6
---@param swap boolean takes d(positive, negative) where that is less, false
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.TripletMarginLoss()(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor{{3., 4.}})  --> tensor(0.)
---@source torch.nn.TripletMarginLoss
local TripletMarginLoss = loss("TripletMarginLoss", "margin=1.0, p=2.0, eps=1e-6, swap=false, " .. REDUCED,
  "margin: number, p: number, eps: number, swap: flag", check_margin)
layers.TripletMarginLoss = TripletMarginLoss

---@param anchor Tensor [batch, features] or [features]
---@param positive Tensor of anchor's shape
---@param negative Tensor of anchor's shape
---@return Tensor 0-dim, or [batch]
function TripletMarginLoss:forward(anchor, positive, negative)
  local f = fields(self)
  return triplet(anchor, positive, negative, f.margin, f.p, f.eps, f.swap, nil, nil, f.reduction)
end

--- TripletMarginLoss with a distance of one's own.
---@param distance_function? fun(a: Tensor, b: Tensor): Tensor or a module, PairwiseDistance
---@param margin number 1.0
---@param swap boolean takes d(positive, negative) where that is less, false
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.TripletMarginWithDistanceLoss{margin = 2}(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 2))
--- --> tensor(2.)
---@source torch.nn.TripletMarginWithDistanceLoss
local TripletMarginWithDistanceLoss = loss("TripletMarginWithDistanceLoss",
  "*, distance_function=nil, margin=1.0, swap=false, reduction='mean'", "distance_function: any?, margin: number, swap: flag",
  function(self)
    check_margin(self)
    self.distance_function = self.distance_function or require("torch.nn.distances").PairwiseDistance()
  end)
layers.TripletMarginWithDistanceLoss = TripletMarginWithDistanceLoss

---@param anchor Tensor [batch, features]
---@param positive Tensor of anchor's shape
---@param negative Tensor of anchor's shape
---@return Tensor 0-dim, or [batch]
function TripletMarginWithDistanceLoss:forward(anchor, positive, negative)
  local f = fields(self)
  return with_distance(anchor, positive, negative, {distance_function = f.distance_function, margin = f.margin,
    swap = f.swap, reduction = f.reduction})
end

return layers
