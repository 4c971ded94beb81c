-- train.metrics.Recall: of the samples of a class, the fraction that were found.
local rates = require "train.metrics.rates"

local Recall = rates.class("Recall", function(_, it) return it.tp, it.tp + it.fn end)

---The fraction of what is there that was found: tp / (tp + fn), as scikit-learn's recall_score.
---@param arguments? table average = "binary" (the default of yes and no, and of two classes), "macro" (of more), "micro",
---"weighted" or "none", a Tensor of one number a class; num_classes, needed where predictions are classes; labels = {0, 2}: these
---alone, also where they are absent; threshold = 0.5 (a score exactly on it is no); from_logits = false; zero_division = 0, 1 or
---nan where nothing is divided by nothing; ignore_index; one_hot = false: targets are [n, classes] ones and zeros; top_k = 1: a
---target among the k best was found, for labels: the k best are yes
---@return table metric
---@example local recall = train.metrics.Recall {average = "none"}
--- recall:update(torch.tensor {{0.9, 0.1, 0.0}, {0.2, 0.5, 0.3}, {0.6, 0.3, 0.1}}, torch.tensor {0, 1, 1})
--- recall:result()  --> tensor([1.0000, 0.5000, 0.0000], dtype=torch.float64)
return function(arguments) return rates.new(Recall, arguments) end
