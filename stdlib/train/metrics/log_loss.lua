-- train.metrics.LogLoss: minus the logarithm of the probability that was given to what is true.
local classes = require "train.metrics.classes"
local keywords = require "host.keywords"

local WeightedSum = require "train.metrics.weighted_sum"
local LogLoss = WeightedSum.of_classes("LogLoss", "min")

local function of_probability(p, eps) return p:clamp(eps, 1 - eps):log():neg() end

---Adds a batch.
---@param pred Tensor probabilities (logits with from_logits): of yes [n, ...] or [n, 1, ...], of classes [n, classes, ...], or
---of labels [n, labels, ...]
---@param target Tensor classes [n, ...], or yes and no of pred's shape
---@param weight? Tensor of target's shape, or [n]
function LogLoss:update(pred, target, weight)
  local torch = require "torch"
  local F = torch.nn.functional
  local kind, count, loss
  kind, count, pred, target, weight = classes.layout(self, pred, target, weight)
  target, weight = classes.targets(self, target, kind == "multiclass" and count or 2, weight)
  if self.from_logits then
    pred = classes.scores(self, pred):double()
    if kind == "multiclass" then
      loss = pred:log_softmax(1):gather(1, target:unsqueeze(1)):squeeze(1):neg()
    else
      loss = F.binary_cross_entropy_with_logits(pred, target:double(), {reduction = "none"})
    end
  else
    pred = classes.scores(self, pred, true)
    local eps = torch.finfo(pred.dtype).eps
    pred = pred:double()
    if kind == "multiclass" then
      loss = of_probability(pred:gather(1, target:unsqueeze(1)):squeeze(1), eps)
    else
      loss = of_probability(pred * (2 * target - 1) + (1 - target), eps)  -- of yes pred, of no 1 - pred
    end
  end
  self:add(loss, weight)
end

---The mean cross-entropy of probabilities, as scikit-learn's log_loss; of labels the mean over all of them. Probabilities are
---kept away from 0 and 1 by their type's eps.
---@param arguments? table from_logits = false; num_classes; ignore_index; average = "binary": yes and no of any shape
---@return table metric
---@example local loss = train.metrics.LogLoss()
--- loss:update(torch.tensor {{0.1, 0.9}, {0.9, 0.1}, {0.8, 0.2}, {0.35, 0.65}}, torch.tensor {1, 0, 0, 1})
--- ("%.4f"):format(loss:result())  --> 0.2162
return function(arguments)
  local where = "train.metrics.LogLoss"
  local self = setmetatable(keywords.check(where, arguments, {
    from_logits = false, num_classes = keywords.none, one_hot = false, ignore_index = keywords.none, average = keywords.none,
  }), LogLoss)
  classes.check(where, self, {"binary"})
  self:reset()
  return self
end
