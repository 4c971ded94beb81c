-- train.metrics.ConfusionMatrix: how often each class was taken for each.
local classes = require "train.metrics.classes"
local keywords = require "host.keywords"

local ConfusionMatrix = require "train.metrics.counts"("ConfusionMatrix")

---The matrix so far: rows are true classes, columns predicted ones. Whole numbers, unless samples had weights or it is
---normalized; of labels a matrix [2, 2] each.
---@return Tensor matrix [classes, classes], of labels [labels, 2, 2]
function ConfusionMatrix:result()
  local torch = require "torch"
  local matrix = self:matrix()
  if not matrix then
    classes.warn(self, "no samples")
    local count = self.num_classes or 0
    matrix = torch.zeros(count, count, {dtype = torch.float64})
  end
  if self.labels and self.kind ~= "binary" then
    local index = torch.tensor(self.labels, {device = matrix.device})
    matrix = matrix:index_select(0, index)
    if self.kind ~= "multilabel" then matrix = matrix:index_select(1, index) end
  end
  local normalize = self.normalize
  if normalize ~= "none" then
    local sum
    if normalize == "true" then
      sum = matrix:sum(-1, true)
    elseif normalize == "pred" then
      sum = matrix:sum(-2, true)
    else
      sum = matrix:sum({-2, -1}, true)
    end
    return torch.where(sum:eq(0), 0.0, matrix / sum)
  end
  return self.weighted and matrix:clone() or matrix:to(torch.int64)
end

---How often each class was taken for each, as scikit-learn's confusion_matrix; of labels as multilabel_confusion_matrix.
---train.fit logs no number of it: read `result()` in a callback.
---@param arguments? table normalize = "none", "true" (rows sum to 1), "pred" (columns) or "all"; labels = {2, 0}: these, in this
---order; num_classes, needed where predictions are classes; threshold = 0.5 (a score exactly on it is no); from_logits = false;
---ignore_index; one_hot = false; top_k = 1; average = "binary": yes and no of any shape
---@return table metric
---@example local confusion = train.metrics.ConfusionMatrix {num_classes = 3}
--- confusion:update(torch.tensor {0, 1, 1, 2}, torch.tensor {0, 1, 2, 2})
--- confusion:result():tolist()  --> {{1, 0, 0}, {0, 1, 0}, {0, 1, 1}}
return function(arguments)
  local where = "train.metrics.ConfusionMatrix"
  local self = setmetatable(keywords.check(where, arguments, {
    normalize = "none", labels = keywords.none, num_classes = keywords.none, threshold = 0.5, from_logits = false,
    one_hot = false, ignore_index = keywords.none, top_k = 1, average = keywords.none,
  }), ConfusionMatrix)
  classes.check(where, self, {"binary"})
  require("train.options").check(where, self, {normalize = {"none", "true", "pred", "all"}})
  self.whole, self.parts = true, {}
  self:reset()
  return self
end
