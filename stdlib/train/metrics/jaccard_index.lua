-- train.metrics.JaccardIndex: intersection over union of what was predicted and what was there.
local make = require("train.metrics.overlap")("JaccardIndex", function(both, predicted, there)
  return both, predicted + there - both
end)

---The Jaccard index, or intersection over union, equal to scikit-learn's jaccard_score. Averaged over classes it is the mean
---IoU, without classes that are in neither predictions nor targets.
---@param arguments? table
---num_classes: needed where predictions are classes; average = "macro" | "micro" | "weighted" (by how much of a class is
---there) | "none" (a list); threshold = 0.5 of scores of yes (a score exactly on it is no); from_logits = false;
---multilabel = false: scores and targets [batch, classes, ...], each class by itself; ignore_index: the target of places
---that do not count; include_background = true: false leaves class 0 out; zero_division = 0 | 1 | NaN where there is
---nothing at all (default 0); aggregation_level = "global" | "samplewise": the mean of the samples' own scores, without
---those that have neither (unless zero_division is given)
---@return table metric
---@example local iou = train.metrics.IoU{num_classes = 2}
--- iou:update(torch.tensor{{0, 1, 1, 1}}, torch.tensor{{0, 0, 1, 1}})
--- ("%.4f"):format(iou:result())  --> 0.5833
return function(arguments) return make(arguments) end
