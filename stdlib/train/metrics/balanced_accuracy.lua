-- train.metrics.BalancedAccuracy: the mean over classes of how many of a class's samples were found.
local classes = require "train.metrics.classes"
local keywords = require "host.keywords"

local NAN <const> = 0 / 0

local BalancedAccuracy = require "train.metrics.counts"("BalancedAccuracy", "max")

---The mean recall of the classes that the targets have; NaN before the first sample.
---@return number
function BalancedAccuracy:result()
  local by_class, sum, count = self:read(), 0.0, 0
  if self.kind == "multilabel" then
    require("native.vm").raise("usage", "BalancedAccuracy: several labels have no classes to balance",
      'average = "binary": all of them as one yes or no')
  end
  for _, it in ipairs(by_class or {}) do
    local there = it.tp + it.fn
    if there > 0 then sum, count = sum + it.tp / there, count + 1 end
  end
  local result = count > 0 and sum / count or NAN
  if self.adjusted then result = count > 1 and (result - 1 / count) / (1 - 1 / count) or NAN end
  if result ~= result then
    classes.warn(self, (count == 0 and "no samples" or "adjusted needs two classes") .. ": the result is NaN")
  end
  return result
end

---The mean over classes of how many of a class's samples were found, as scikit-learn's balanced_accuracy_score: classes
---without targets are left out.
---@param arguments? table adjusted = false: 0 for chance; num_classes, needed where predictions are classes; threshold = 0.5
---(a score exactly on it is no); from_logits = false; ignore_index; one_hot = false; top_k = 1;
---average = "binary": yes and no of any shape
---@return table metric
---@example local balanced = train.metrics.BalancedAccuracy()
--- balanced:update(torch.tensor {0.9, 0.8, 0.2, 0.7}, torch.tensor {1, 0, 0, 1})
--- balanced:result()  --> 0.75
return function(arguments)
  local where = "train.metrics.BalancedAccuracy"
  local self = setmetatable(keywords.check(where, arguments, {
    adjusted = false, num_classes = keywords.none, threshold = 0.5, from_logits = false, one_hot = false,
    ignore_index = keywords.none, top_k = 1, average = keywords.none,
  }), BalancedAccuracy)
  classes.check(where, self, {"binary"})
  require("train.options").check(where, self, {adjusted = "flag"})
  self:reset()
  return self
end
