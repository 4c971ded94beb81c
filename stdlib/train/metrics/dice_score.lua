-- train.metrics.DiceScore: twice the intersection over the sum of what was predicted and what was there.
local make = require("train.metrics.overlap")("DiceScore", function(both, predicted, there)
  return both * 2, predicted + there
end)

---The Dice score, equal to scikit-learn's f1_score of all places. Averaged over classes it is without classes that are in
---neither predictions nor targets.
---@param arguments? table
---num_classes: needed where predictions are classes; average = "macro" | "micro" | "weighted" (by how much of a class is
---there) | "none" (a list); threshold = 0.5 of scores of yes (a score exactly on it is no); from_logits = false;
---multilabel = false: scores and targets [batch, classes, ...], each class by itself; ignore_index: the target of places
---that do not count; include_background = true: false leaves class 0 out; zero_division = 0 | 1 | NaN where there is
---nothing at all (default 0); aggregation_level = "global" | "samplewise": the mean of the samples' own scores, without
---those that have neither (unless zero_division is given)
---@return table metric
---@example local dice = train.metrics.Dice()
--- dice:update(torch.tensor{{0.9, 0.8, 0.2, 0.1}}, torch.tensor{{1, 0, 1, 0}})
--- dice:result()  --> 0.5
return function(arguments) return make(arguments) end
