-- train.metrics.MatthewsCorrCoef: the correlation between predicted and true classes.
local classes = require "train.metrics.classes"
local keywords = require "host.keywords"

local NAN <const> = 0 / 0

local MatthewsCorrCoef = require "train.metrics.counts"("MatthewsCorrCoef", "max")

---The correlation so far, -1 to 1; NaN before the first sample.
---@return number
function MatthewsCorrCoef:result()
  local by_class = self:read()
  if self.kind == "multilabel" then
    require("native.vm").raise("usage", "MatthewsCorrCoef: several labels have no one correlation",
      'average = "binary": all of them as one yes or no')
  end
  local hits, samples, both, predicted, there = 0.0, 0.0, 0.0, 0.0, 0.0
  for _, it in ipairs(by_class or {}) do
    local p, t = it.tp + it.fp, it.tp + it.fn
    hits, samples, both = hits + it.tp, samples + t, both + p * t
    predicted, there = predicted + p * p, there + t * t
  end
  local variance = (samples * samples - predicted) * (samples * samples - there)
  local result = samples == 0 and NAN or variance == 0 and self.zero_division
    or (hits * samples - both) / math.sqrt(variance)
  if result ~= result then classes.warn(self, (samples == 0 and "no samples" or "only one class") .. ": the result is NaN") end
  return result
end

---Matthews' correlation of predicted and true classes, as scikit-learn's matthews_corrcoef; of more than two classes
---Gorodkin's.
---@param arguments? table zero_division = 0, 1 or nan where all predictions or all targets are of one class; num_classes,
---needed where predictions are classes; threshold = 0.5 (a score exactly on it is no); from_logits = false; ignore_index;
---one_hot = false; top_k = 1; average = "binary": yes and no of any shape
---@return table metric
---@example local correlation = train.metrics.MatthewsCorrCoef()
--- correlation:update(torch.tensor {0.9, 0.2, 0.8, 0.7}, torch.tensor {1, 1, 1, 0})
--- ("%.4f"):format(correlation:result())  --> -0.3333
return function(arguments)
  local where = "train.metrics.MatthewsCorrCoef"
  local self = setmetatable(keywords.check(where, arguments, {
    zero_division = 0, num_classes = keywords.none, threshold = 0.5, from_logits = false, one_hot = false, ignore_index = keywords.none,
    top_k = 1, average = keywords.none,
  }), MatthewsCorrCoef)
  classes.check(where, self, {"binary"})
  self:reset()
  return self
end
