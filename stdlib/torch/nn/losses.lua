-- Losses of torch.nn over classes and probabilities.
local functional = require "torch.nn.functional"
local loss = require "torch.nn.loss_layer"
local native = require "native.model"
local look_at_first = require "torch.nn.functional.softmax_before"

local fields <const> = native.fields
local cross_entropy <const>, nll_loss <const> = functional.cross_entropy, functional.nll_loss
local binary <const>, with_logits <const> = functional.binary_cross_entropy, functional.binary_cross_entropy_with_logits
local kl_div <const>, ctc_loss <const> = functional.kl_div, functional.ctc_loss

local layers = {}

--- Softmax and negative log likelihood of class indices or class probabilities. Warns if the first batch that it gets has
--- gone through a softmax before.
---@param weight Tensor? [classes] how much each class counts, nil
---@param size_average boolean? deprecated, nil
---@param ignore_index integer targets that do not count, -100
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@param label_smoothing number share of the uniform distribution, 0.0
---@example nn.CrossEntropyLoss()(torch.zeros(2, 4), torch.tensor{0, 3})  --> tensor(1.3863)
---@source torch.nn.CrossEntropyLoss
local CrossEntropyLoss = loss("CrossEntropyLoss",
  "weight=nil, size_average=nil, ignore_index=-100, reduce=nil, reduction='mean', label_smoothing=0.0",
  "weight: tensor?, ignore_index: integer, label_smoothing: number")
layers.CrossEntropyLoss = CrossEntropyLoss

---@param input Tensor logits [batch, classes, ...] or [classes]
---@param target Tensor int64 classes [batch, ...], or probabilities of input's shape
---@return Tensor 0-dim, or [batch, ...]
function CrossEntropyLoss:forward(input, target)
  local f = fields(self)
  if not f._looked_at then
    f._looked_at = true
    look_at_first(input)
  end
  return cross_entropy(input, target, f.weight, nil, f.ignore_index, nil, f.reduction, f.label_smoothing)
end

--- Negative log likelihood of log-probabilities.
---@param weight Tensor? [classes] how much each class counts, nil
---@param size_average boolean? deprecated, nil
---@param ignore_index integer targets that do not count, -100
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.NLLLoss()(torch.tensor{{-1., -2.}}, torch.tensor{1})  --> tensor(2.)
---@source torch.nn.NLLLoss
local NLLLoss = loss("NLLLoss", "weight=nil, size_average=nil, ignore_index=-100, reduce=nil, reduction='mean'",
  "weight: tensor?, ignore_index: integer")
layers.NLLLoss = NLLLoss

---@param input Tensor log-probabilities [batch, classes, ...] or [classes]
---@param target Tensor int64 classes [batch, ...]
---@return Tensor 0-dim, or [batch, ...]
function NLLLoss:forward(input, target)
  local f = fields(self)
  return nll_loss(input, target, f.weight, nil, f.ignore_index, nil, f.reduction)
end

--- Binary cross entropy of probabilities.
---@param weight Tensor? factor of each element, nil
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.BCELoss()(torch.tensor{0.5, 0.5}, torch.tensor{0., 1.})  --> tensor(0.6931)
---@source torch.nn.BCELoss
local BCELoss = loss("BCELoss", "weight=nil, size_average=nil, reduce=nil, reduction='mean'", "weight: tensor?")
layers.BCELoss = BCELoss

---@param input Tensor probabilities
---@param target Tensor 0 to 1, of input's shape
---@return Tensor 0-dim, or of input's shape
function BCELoss:forward(input, target)
  local f = fields(self)
  return binary(input, target, f.weight, nil, nil, f.reduction)
end

--- A sigmoid and binary cross entropy in one.
---@param weight Tensor? factor of each element, nil
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@param pos_weight Tensor? factor of the positive part, nil
---@example nn.BCEWithLogitsLoss()(torch.zeros(2), torch.tensor{0., 1.})  --> tensor(0.6931)
---@source torch.nn.BCEWithLogitsLoss
local BCEWithLogitsLoss = loss("BCEWithLogitsLoss",
  "weight=nil, size_average=nil, reduce=nil, reduction='mean', pos_weight=nil", "weight: tensor?, pos_weight: tensor?")
layers.BCEWithLogitsLoss = BCEWithLogitsLoss

---@param input Tensor logits
---@param target Tensor 0 to 1, of input's shape
---@return Tensor 0-dim, or of input's shape
function BCEWithLogitsLoss:forward(input, target)
  local f = fields(self)
  return with_logits(input, target, f.weight, nil, nil, f.reduction, f.pos_weight)
end

--- Kullback-Leibler divergence: target (log target - input).
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum', 'none' or 'batchmean' (PyTorch's advice), 'mean'
---@param log_target boolean target is given as logarithms, false
---@example nn.KLDivLoss{reduction = "batchmean"}(torch.tensor{{0.5, 0.5}}:log(), torch.tensor{{0.5, 0.5}})
--- --> tensor(0.)
---@source torch.nn.KLDivLoss
local KLDivLoss = loss("KLDivLoss", "size_average=nil, reduce=nil, reduction='mean', log_target=false",
  "reduction: reduction_or_batchmean, log_target: flag")
layers.KLDivLoss = KLDivLoss

---@param input Tensor log-probabilities
---@param target Tensor probabilities, or their logarithms with log_target
---@return Tensor 0-dim, or of input's shape
function KLDivLoss:forward(input, target)
  local f = fields(self)
  return kl_div(input, target, nil, nil, f.reduction, f.log_target)
end

--- Connectionist temporal classification (Graves 2006).
---@param blank integer the class of no symbol, 0
---@param reduction string over the samples, each divided by its target's length for 'mean'; 'mean'
---@param zero_infinity boolean infinite losses and their gradients are 0, false
---@example nn.CTCLoss()(torch.zeros(4, 1, 3):log_softmax(2), torch.tensor{{1, 2}}, {4}, {2})  --> tensor(0.8432)
---@source torch.nn.CTCLoss
local CTCLoss = loss("CTCLoss", "blank=0, reduction='mean', zero_infinity=false", "blank: integer, zero_infinity: flag")
layers.CTCLoss = CTCLoss

---@param log_probs Tensor log-probabilities [time, batch, classes] or [time, classes]
---@param targets Tensor classes [batch, most] or all samples' one after the other
---@param input_lengths Tensor|integer[] [batch]
---@param target_lengths Tensor|integer[] [batch]
---@return Tensor 0-dim, or [batch]
function CTCLoss:forward(log_probs, targets, input_lengths, target_lengths)
  local f = fields(self)
  return ctc_loss(log_probs, targets, input_lengths, target_lengths, f.blank, f.reduction, f.zero_infinity)
end

return layers
