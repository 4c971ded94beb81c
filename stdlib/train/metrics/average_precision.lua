-- train.metrics.AveragePrecision: the mean of the precision over the recall.
local curves = require "train.metrics.curves"
local keywords = require "host.keywords"

local AveragePrecision = require "train.metrics.scores"("AveragePrecision", "max")

---The average precision so far; NaN and a warning without yes.
---@return number|Tensor precision a Tensor of one number a class with average = "none"
function AveragePrecision:result() return curves.average(self, curves.precision_area, "no target is yes") end

---The precision at each threshold, weighted by the recall that it adds, as scikit-learn's average_precision_score. Scores are
---kept until reset, on their device, as for AUC; with `bins` sums alone.
---@param arguments? table average = "macro", "weighted", "micro" or "none", over classes or labels; labels = {0, 2}: these alone,
---also where they are absent; bins, which wants probabilities; from_logits = false; num_classes; ignore_index; one_hot = false
---@return table metric
---@example local precision = train.metrics.AveragePrecision()
--- precision:update(torch.tensor {0.1, 0.4, 0.35, 0.8}, torch.tensor {0, 0, 1, 1})
--- ("%.4f"):format(precision:result())  --> 0.8333
return function(arguments)
  return curves.new(AveragePrecision, arguments, {average = "macro", labels = keywords.none},
    {"macro", "weighted", "micro", "none"})
end
