-- train.metrics.FBeta: precision and recall in one number, recall beta times as important.
local rates = require "train.metrics.rates"
local vm = require "native.vm"

local FBeta = rates.class("FBeta", function(self, it)
  local beta = self.beta
  if beta == math.huge then return it.tp, it.tp + it.fn end
  local square = beta * beta
  return (1 + square) * it.tp, (1 + square) * it.tp + square * it.fn + it.fp
end)

---The mean of precision and recall in which recall counts beta times as much, as scikit-learn's fbeta_score.
---@param arguments? table beta = 1; average = "binary" (the default of yes and no, and of two classes), "macro" (of more), "micro",
---"weighted" or "none", a Tensor of one number a class; num_classes, needed where predictions are classes; labels = {0, 2}: these
---alone, also where they are absent; threshold = 0.5 (a score exactly on it is no); from_logits = false; zero_division = 0, 1 or
---nan where nothing is divided by nothing; ignore_index; one_hot = false: targets are [n, classes] ones and zeros; top_k = 1: a
---target among the k best was found, for labels: the k best are yes
---@return table metric
---@example local f2 = train.metrics.FBeta {beta = 2}
--- f2:update(torch.tensor {0.9, 0.8, 0.2, 0.7}, torch.tensor {1, 0, 1, 1})
--- ("%.4f"):format(f2:result())  --> 0.6667
return function(arguments)
  local self = rates.new(FBeta, arguments, {beta = 1})
  if type(self.beta) ~= "number" or not (self.beta >= 0) then
    vm.raise("usage", "train.metrics.FBeta: beta must be a number of 0 or more, got " .. vm.describe(self.beta))
  end
  return self
end
