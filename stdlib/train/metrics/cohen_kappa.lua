-- train.metrics.CohenKappa: how far predicted and true classes agree beyond chance.
local classes = require "train.metrics.classes"
local keywords = require "host.keywords"

local NAN <const> = 0 / 0

local CohenKappa = require "train.metrics.counts"("CohenKappa", "max")

---The agreement so far, 1 for all, 0 for that of chance; NaN before the first sample.
---@return number
function CohenKappa:result()
  local torch = require "torch"
  local matrix = self:matrix()
  if self.kind == "multilabel" then
    require("native.vm").raise("usage", "CohenKappa: several labels have no one agreement",
      'average = "binary": all of them as one yes or no')
  end
  if not matrix then
    classes.warn(self, "no samples: the result is NaN")
    return NAN
  end
  matrix = matrix:cpu()
  if self.labels then
    local index = torch.tensor(self.labels)
    matrix = matrix:index_select(0, index):index_select(1, index)
  end
  local predicted, there, total = matrix:sum(0), matrix:sum(1), matrix:sum():item()
  local places = torch.arange(matrix:size(0), {dtype = torch.float64})
  local apart = (places:unsqueeze(0) - places:unsqueeze(1)):abs()
  if self.weights == "none" then
    apart = apart:ne(0):to(torch.float64)
  elseif self.weights == "quadratic" then
    apart = apart:square()
  end
  local chance = (apart * predicted:outer(there)):sum():item()
  local result = total == 0 and NAN or chance == 0 and self.zero_division
    or 1 - (apart * matrix):sum():item() * total / chance
  if result ~= result then classes.warn(self, (total == 0 and "no samples" or "only one class") .. ": the result is NaN") end
  return result
end

---How far predicted and true classes agree beyond chance, as scikit-learn's cohen_kappa_score.
---@param arguments? table weights = "none", "linear" or "quadratic": how much classes that are far apart disagree;
---zero_division = nan, 0 or 1 where there is one class only; labels = {0, 2}: samples of these; num_classes, needed where
---predictions are classes; threshold = 0.5 (a score exactly on it is no); from_logits = false; ignore_index;
---one_hot = false; top_k = 1; average = "binary": yes and no of any shape
---@return table metric
---@example local kappa = train.metrics.CohenKappa {num_classes = 3}
--- kappa:update(torch.tensor {0, 1, 2, 2}, torch.tensor {0, 1, 2, 1})
--- ("%.4f"):format(kappa:result())  --> 0.6364
return function(arguments)
  local where = "train.metrics.CohenKappa"
  local self = setmetatable(keywords.check(where, arguments, {
    weights = "none", zero_division = NAN, labels = keywords.none, num_classes = keywords.none, threshold = 0.5,
    from_logits = false, one_hot = false, ignore_index = keywords.none, top_k = 1, average = keywords.none,
  }), CohenKappa)
  classes.check(where, self, {"binary"})
  require("train.options").check(where, self, {weights = {"none", "linear", "quadratic"}})
  self.whole = true
  self:reset()
  return self
end
