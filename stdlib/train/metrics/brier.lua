-- train.metrics.Brier: the squared distance of probabilities from what is true.
local classes = require "train.metrics.classes"
local keywords = require "host.keywords"

local WeightedSum = require "train.metrics.weighted_sum"
local Brier = WeightedSum.of_classes("Brier", "min")

---Adds a batch.
---@param pred Tensor probabilities (logits with from_logits): of yes [n, ...] or [n, 1, ...], of classes [n, classes, ...], or
---of labels [n, labels, ...]
---@param target Tensor classes [n, ...], or yes and no of pred's shape
---@param weight? Tensor of target's shape, or [n]
function Brier:update(pred, target, weight)
  local kind, count, score
  kind, count, pred, target, weight = classes.layout(self, pred, target, weight)
  target, weight = classes.targets(self, target, kind == "multiclass" and count or 2, weight)
  pred = classes.scores(self, pred, not self.from_logits):double()
  local half = self.scale_by_half
  if kind == "multiclass" then
    if self.from_logits then pred = pred:softmax(1) end
    local true_one = pred:gather(1, target:unsqueeze(1)):squeeze(1)
    score = pred:square():sum(1) - true_one:mul(2) + 1
    if half == "auto" then half = count == 2 end
    if half then score = score / 2 end
  else
    if self.from_logits then pred = pred:sigmoid() end
    score = (pred - target):square()
    if half == false then score = score * 2 end
  end
  self:add(score, weight)
end

---The mean squared distance of probabilities from what is true, as scikit-learn's brier_score_loss: of yes and no 0 to 1, of
---more classes 0 to 2; of labels the mean over all of them.
---@param arguments? table from_logits = false; scale_by_half = "auto" (of yes and no, and of two classes), true or false;
---num_classes; ignore_index; one_hot = false; average = "binary": yes and no of any shape
---@return table metric
---@example local brier = train.metrics.Brier()
--- brier:update(torch.tensor {0.25, 0.75, 1.0}, torch.tensor {0, 1, 1})
--- ("%.4f"):format(brier:result())  --> 0.0417
return function(arguments)
  local where = "train.metrics.Brier"
  local self = setmetatable(keywords.check(where, arguments, {
    from_logits = false, scale_by_half = "auto", num_classes = keywords.none, one_hot = false, ignore_index = keywords.none,
    average = keywords.none,
  }), Brier)
  classes.check(where, self, {"binary"})
  if self.scale_by_half ~= "auto" then require("train.options").check(where, self, {scale_by_half = "flag"}) end
  self:reset()
  return self
end
