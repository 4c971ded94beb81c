-- train.metrics.AUC: the area under the ROC curve, how often a yes has a higher score than a no.
local classes = require "train.metrics.classes"
local curves = require "train.metrics.curves"
local keywords = require "host.keywords"

local NAN <const> = 0 / 0
local WHY <const> = "the targets are of one class only"

local AUC = require "train.metrics.scores"("AUC", "max")

-- Hand and Till: the mean over pairs of classes, among the samples of the two.
local function one_against_one(self)
  classes.confirm(self)
  local targets = self.targets and self.targets:narrow(0, 0, self.size)
  local weights = self.weights and self.weights:narrow(0, 0, self.size)
  local there, list, total = {}, {}, 0.0
  if targets then
    local counts = targets:bincount({weights = weights, minlength = self.count}):tolist()
    for i = 1, self.labels and #self.labels or self.count do
      local class = self.labels and self.labels[i] or i - 1
      if (counts[class + 1] or 0) > 0 then
        list[#list + 1], there[class] = class, counts[class + 1]
        total = total + counts[class + 1]
      end
    end
  end
  local sum, divisor = 0.0, 0.0
  for i, a in ipairs(list) do
    for j = i + 1, #list do
      local b = list[j]
      local function among(all) return all:eq(a) | all:eq(b) end
      local first, second = curves.roc_area(curves.sums(self, a, among)), curves.roc_area(curves.sums(self, b, among))
      local weight = self.average == "weighted" and (there[a] + there[b]) / total or 1
      sum, divisor = sum + weight * (first + second) / 2, divisor + weight
    end
  end
  if divisor == 0 then classes.warn(self, WHY .. ": the result is NaN") end
  return divisor == 0 and NAN or sum / divisor
end

---The area so far, of ranks, ties half; NaN and a warning if there is one class only.
---@return number|Tensor area a Tensor of one number a class with average = "none"
function AUC:result()
  if self.multi_class == "ovo" and self.kind == "multiclass" then return one_against_one(self) end
  return curves.average(self, curves.roc_area, WHY)
end

---The area under the ROC curve, exact as scikit-learn's roc_auc_score: 5 bytes are kept for each score until reset, on its
---device, 4 more for the class of several; with `bins` sums alone, at as many thresholds as Keras's num_thresholds.
---@param arguments? table average = "macro", "weighted", "micro" or "none", over classes or labels; multi_class = "ovr", a class
---against all others, or "ovo", each against each; labels = {0, 2}: these alone, also where they are absent; bins, which wants
---probabilities; from_logits = false; num_classes; ignore_index; one_hot = false
---@return table metric
---@example local auc = train.metrics.AUC()
--- auc:update(torch.tensor {0.1, 0.5, 0.5, 0.9}, torch.tensor {0, 0, 1, 1})
--- auc:result()  --> 0.875
return function(arguments)
  local self = curves.new(AUC, arguments, {average = "macro", multi_class = "ovr", labels = keywords.none},
    {"macro", "weighted", "micro", "none"})
  require("train.options").check("train.metrics.AUC", self, {multi_class = {"ovr", "ovo"}})
  if self.multi_class == "ovo" and (self.bins or self.average ~= "macro" and self.average ~= "weighted") then
    require("native.vm").raise("usage", 'train.metrics.AUC: multi_class = "ovo" goes with average = "macro" or "weighted", without bins')
  end
  return self
end
