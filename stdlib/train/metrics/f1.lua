-- train.metrics.F1: the harmonic mean of precision and recall.
local rates = require "train.metrics.rates"

local F1 = rates.class("F1", function(_, it) return 2 * it.tp, 2 * it.tp + it.fp + it.fn end)

---The harmonic mean of precision and recall, as scikit-learn's f1_score: classes that neither are there nor were predicted
---are left out of the macro mean, unless `labels` names them.
---@param arguments? table average = "binary" (the default of yes and no, and of two classes), "macro" (of more), "micro",
---"weighted" or "none", a Tensor of one number a class; num_classes, needed where predictions are classes; labels = {0, 2}: these
---alone, also where they are absent; threshold = 0.5 (a score exactly on it is no); from_logits = false; zero_division = 0, 1 or
---nan where nothing is divided by nothing; ignore_index; one_hot = false: targets are [n, classes] ones and zeros; top_k = 1: a
---target among the k best was found, for labels: the k best are yes
---@return table metric
---@example local f1 = train.metrics.F1()
--- f1:update(torch.tensor {0.9, 0.8, 0.2}, torch.tensor {1, 0, 1})
--- f1:result()  --> 0.5
return function(arguments) return rates.new(F1, arguments) end
