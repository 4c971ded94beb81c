-- train.metrics.Accuracy: the fraction of samples whose class is right, also among the k best; or of right yes and no.
local WeightedSum = require "train.metrics.weighted_sum"
local classes = require "train.metrics.classes"
local keywords = require "host.keywords"
local tensors = require "train.metrics.tensors"
local vm = require "native.vm"

local Accuracy = WeightedSum.of_classes("Accuracy", "max")
local ByClass  -- made when first used
local AVERAGES <const> = {"micro", "macro", "weighted", "none"}

local function usage(message, hint) vm.raise("usage", "Accuracy: " .. message, hint) end

-- Whether each sample is right.
local function right(self, pred, target)
  if pred:dim() > target:dim() then
    if self.top_k == 1 then return tensors.best(pred):eq(target) end
    local _, best = pred:topk(math.min(self.top_k, pred:size(1)), 1)
    return best:eq(target:unsqueeze(1)):any(1)
  end
  if self.top_k ~= 1 then usage("top_k needs scores of several classes") end
  if not pred:is_floating_point() then return pred:eq(target) end
  local threshold = self.threshold
  if self.from_logits then threshold = math.log(threshold / (1 - threshold)) end
  return pred:gt(threshold):eq(classes.whole(self, target, 2, "the target holds"))
end

---Adds a batch.
---@param pred Tensor scores [n, classes, ...], or of yes [n, ...] or [n, 1, ...] (logits with from_logits); whole numbers of
---target's shape are classes
---@param target Tensor classes [n, ...], or yes and no of pred's shape
---@param weight? Tensor of target's shape, or [n]
function Accuracy:update(pred, target, weight)
  if weight == nil and self._plain and type(pred) == "userdata" and type(target) == "userdata" and pred:dim() == 2
      and target:dim() == 1 and pred:size(1) > 1 and pred:size(0) == target:size(0) then  -- what nearly every batch is
    return self:add(tensors.best(pred):eq(target))
  end
  local kind, _
  kind, _, pred, target, weight = classes.layout(self, pred, target, weight)
  if self.ignore_index then
    local kept = target:ne(self.ignore_index)
    weight = weight and weight:mul(kept) or kept:double()
    target = target:masked_fill(~kept, 0)
  end
  local hits = right(self, pred, target)
  if self.subset and kind == "multilabel" then
    hits = hits:flatten(1):all(1)
    weight = weight and weight:flatten(1):select(1, 0)
  end
  self:add(hits, weight)
end

-- The rate of a class is how many of its samples were found; that of a label how often its yes or no is right.
local function by_class()
  ByClass = ByClass or require("train.metrics.rates").class("Accuracy", function(self, it)
    if self.kind == "multilabel" then return it.tp + it.tn, it.tp + it.fp + it.fn + it.tn end
    return it.tp, it.tp + it.fn
  end)
  return ByClass
end

---The fraction of samples that are right; of labels, of each yes and no. average = "macro" is the mean over classes of
---how many of a class's samples were found, "none" a Tensor with each.
---@param arguments? table average = "micro", "macro", "weighted" or "none"; top_k = 1; threshold = 0.5 (a score exactly on
---it is no); from_logits = false; num_classes; labels; ignore_index; one_hot = false: targets are [n, classes] ones and zeros;
---zero_division = 0 (by class); subset = false: a sample of
---several labels is right if all of them are
---@return table metric
---@example local accuracy = train.metrics.Accuracy()
--- accuracy:update(torch.tensor {{0.1, 0.9}, {0.8, 0.2}, {0.3, 0.7}}, torch.tensor {1, 0, 0})
--- ("%.4f"):format(accuracy:result())  --> 0.6667
return function(arguments)
  local where = "train.metrics.Accuracy"
  local self = keywords.check(where, arguments, {
    average = "micro", top_k = 1, threshold = 0.5, from_logits = false, num_classes = keywords.none, labels = keywords.none,
    one_hot = false, ignore_index = keywords.none, zero_division = 0, subset = false,
  })
  classes.check(where, self, AVERAGES)
  require("train.options").check(where, self, {subset = "flag"})
  local counted = self.average ~= "micro" or self.labels
  if self.subset and (counted or self.ignore_index) then
    vm.raise("usage", where .. ': subset goes with average = "micro", without labels and ignore_index')
  end
  self._plain = self.top_k == 1 and not self.ignore_index and not self.num_classes
  setmetatable(self, counted and by_class() or Accuracy)
  self:reset()
  return self
end
