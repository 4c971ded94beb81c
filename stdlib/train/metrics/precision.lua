-- train.metrics.Precision: of the samples that were taken for a class, the fraction that are of it.
local rates = require "train.metrics.rates"

local Precision = rates.class("Precision", function(_, it) return it.tp, it.tp + it.fp end)

---The fraction of what was predicted that is right: tp / (tp + fp), as scikit-learn's precision_score.
---@param arguments? table average = "binary" (the default of yes and no, and of two classes), "macro" (of more), "micro",
---"weighted" or "none", a Tensor of one number a class; num_classes, needed where predictions are classes; labels = {0, 2}: these
---alone, also where they are absent; threshold = 0.5 (a score exactly on it is no); from_logits = false; zero_division = 0, 1 or
---nan where nothing is divided by nothing; ignore_index; one_hot = false: targets are [n, classes] ones and zeros; top_k = 1: a
---target among the k best was found, for labels: the k best are yes
---@return table metric
---@example local precision = train.metrics.Precision()
--- precision:update(torch.tensor {0.9, 0.8, 0.2}, torch.tensor {1, 0, 1})
--- precision:result()  --> 0.5
return function(arguments) return rates.new(Precision, arguments) end
