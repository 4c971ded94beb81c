-- What IoU and Dice share: how much of each class was predicted, was there, and was both.
local classes = require "train.metrics.classes"
local keywords = require "host.keywords"
local regression = require "train.metrics.regression"
local sums = require "train.metrics.sums"
local tensors = require "train.metrics.tensors"
local torch = require "torch"
local undefined = require "train.metrics.undefined"
local vm = require "native.vm"

local AVERAGES <const> = {"macro", "micro", "weighted", "none"}
local LEVELS <const> = {"global", "samplewise"}
local EXPECTED <const> = "scores [batch, classes, ...] beside classes [batch, ...], or twice the same shape"

local function raise_shape(self, pred, target)
  vm.raise("shape", ("%s: predictions of shape %s do not go with a target of shape %s"):format(self.__name,
    tostring(pred.shape), tostring(target.shape)), EXPECTED)
end

local function same_sizes(pred, target, skip)
  for i = 0, target:dim() - 1 do
    if pred:size((skip and i > 0) and i + 1 or i) ~= target:size(i) then return false end
  end
  return true
end

local function is_score(x) return x:is_floating_point() end

-- The number of classes when each is yes or no by itself, nil for one class a place; predictions without a needless
-- dimension of one class.
local function classes_of_masks(self, pred, target)
  if self.multilabel then
    if pred:dim() ~= target:dim() or pred:dim() < 2 or not same_sizes(pred, target) then raise_shape(self, pred, target) end
    if self.num_classes and self.num_classes ~= pred:size(1) then raise_shape(self, pred, target) end
    return pred:size(1), pred
  end
  local deeper = pred:dim() > 1 and pred:dim() == target:dim() + 1
  if deeper and pred:size(1) == 1 and (self.num_classes or 1) == 1 then pred = pred:squeeze(1) end
  if pred:dim() ~= target:dim() then return nil, pred end
  local masks = self.num_classes == 1 or self.num_classes == nil and (is_score(pred) or pred.dtype == torch.bool)
  if masks and (pred:dim() == 0 or not same_sizes(pred, target)) then raise_shape(self, pred, target) end
  return masks and 1 or nil, pred
end

-- Weights in float64 of the target's shape; 0 where the target is ignored.
local function weights(self, target, weight)
  local result = weight and regression.weight(self, weight, target):expand_as(target)
  if self.ignore_index then
    local counted = target:ne(self.ignore_index)
    result = result and result * counted or counted:to(torch.float64)
  end
  return result
end

-- [batch, classes] of masks.
local function count_masks(self, pred, target, weight, count)
  local shape = {target:size(0), count, -1}
  local counted = weights(self, target, weight)
  local there = target:ne(0)
  if is_score(pred) then
    local threshold = self.threshold
    if self.from_logits then threshold = math.log(threshold / (1 - threshold)) end
    pred = pred:gt(threshold)
  else
    pred = pred:ne(0)
  end
  local function sum(mask)
    mask = mask:reshape(shape)
    return counted and (mask * counted:reshape(shape)):sum(2) or mask:sum(2, {dtype = torch.float64})
  end
  return sum(pred:logical_and(there)), sum(pred), sum(there)
end

-- [batch, classes] of labels.
local function count_labels(self, pred, target, weight)
  local count = self.num_classes
  if pred:dim() == target:dim() + 1 and pred:dim() > 1 then
    if not same_sizes(pred, target, true) or count and pred:size(1) ~= count then raise_shape(self, pred, target) end
    count = pred:size(1)
    pred = tensors.best(pred)
  elseif pred:dim() ~= target:dim() or pred:dim() == 0 or not same_sizes(pred, target) then
    raise_shape(self, pred, target)
  elseif not count then
    vm.raise("usage", self.__name .. ": num_classes is needed for predictions that are classes", "num_classes = 1: masks of yes and no")
  elseif is_score(pred) then
    vm.raise("usage", ("%s: scores of %d classes must have the shape [batch, classes, ...], got the target's %s"):format(
      self.__name, count, tostring(pred.shape)))
  end
  local batch = target:size(0)
  local counted = weights(self, target, weight)
  counted = counted and counted:reshape({batch, -1}) or torch.ones({1, 1}, {dtype = torch.float64, device = target.device})
  target, pred = target:reshape({batch, -1}), pred:reshape({batch, -1})
  if self.ignore_index then
    local ignored = target:eq(self.ignore_index)
    target, pred = target:masked_fill(ignored, 0), pred:masked_fill(ignored, 0)
  end
  target, pred = classes.whole(self, target, count, "the target holds"),
    classes.whole(self, pred, count, "the predictions hold")
  counted = counted:expand_as(target)
  local function sum(index, values)
    return torch.zeros({batch, count}, {dtype = torch.float64, device = target.device}):scatter_add_(1, index, values)
  end
  return sum(target, counted * pred:eq(target)), sum(pred, counted), sum(target, counted)
end

-- The scores of classes in the last dimension, and which of them are there at all.
local function scores(self, both, predicted, there)
  local part, all = self._score(both, predicted, there)
  local present = all:ne(0)
  return part / torch.where(present, all, 1.0), present
end

-- The average over the last dimension, the classes; and where there is one.
local function average(self, both, predicted, there)
  if self.average == "micro" then
    local score, present = scores(self, both:sum(-1, true), predicted:sum(-1, true), there:sum(-1, true))
    return score:squeeze(-1), present:squeeze(-1)
  end
  local score, present = scores(self, both, predicted, there)
  local weight = self.average == "weighted" and there or present:to(torch.float64)
  local total = weight:sum(-1)
  local some = total:ne(0)
  return (score * weight):sum(-1) / torch.where(some, total, 1.0), some
end

local function without_background(self, counts)
  if self.include_background or counts:size(-1) == 1 then return counts end
  return counts:narrow(-1, 1, counts:size(-1) - 1)
end

-- The sums of each sample's own score; a sample without the class is left out, or has zero_division.
local function of_samples(self, both, predicted, there, weight)
  local score, present
  if self.average == "none" and both:size(-1) > 1 then
    score, present = scores(self, both, predicted, there)
  else
    score, present = average(self, both, predicted, there)
  end
  local counted = present:to(torch.float64)
  local given = self.zero_division
  if given and given == given then
    score, counted = torch.where(present, score, given), torch.ones_like(counted)
  end
  if weight and weight:numel() == both:size(0) then
    counted = counted * weight:detach():to(torch.float64):reshape(score:dim() == 1 and {-1} or {-1, 1})
  end
  return {total = (score * counted):sum(0), weight = counted:sum(0)}
end

-- NaN where nothing was there.
local function read_mean(self, total, weight)
  total, weight = sums.read(total), sums.read(weight)
  if type(total) == "number" then
    return weight ~= 0 and total / weight or undefined(self, "no sample has the class")
  end
  for i = 1, #total do total[i] = weight[i] ~= 0 and total[i] / weight[i] or 0 / 0 end
  return total
end

---The constructor of a metric.
---@param name string "JaccardIndex"
---@param score fun(both: Tensor, predicted: Tensor, there: Tensor): Tensor, Tensor its numerator and its denominator
---@return fun(arguments: table?): table
return function(name, score)
  local where = "train.metrics." .. name
  local Class = sums.class(name, {"both", "predicted", "there", "total", "weight"}, "max")
  Class._score = score

  ---Adds samples.
  ---@param pred Tensor scores [batch, classes, ...], classes [batch, ...] (with num_classes), or scores of yes [batch, ...]
  ---@param target Tensor classes [batch, ...], of each place; 0 and 1 where pred has scores of yes
  ---@param weight? Tensor of target's shape, or [batch]
  function Class:update(pred, target, weight)
    tensors.check(self, pred, target, weight)
    if target:dim() > 0 and target:size(0) == 0 then return end
    pred = pred:detach()
    local count, masks = classes_of_masks(self, pred, target)
    local both, predicted, there
    if count then
      both, predicted, there = count_masks(self, masks, target, weight, count)
    else
      both, predicted, there = count_labels(self, masks, target, weight)
    end
    both, predicted, there = without_background(self, both), without_background(self, predicted), without_background(self, there)
    if self.aggregation_level == "samplewise" then
      sums.add(self, of_samples(self, both, predicted, there, weight))
    else
      sums.add(self, {both = both:sum(0), predicted = predicted:sum(0), there = there:sum(0)})
    end
  end

  ---The score so far, 0 to 1; with average = "none" a list of one number a class. NaN before the first sample.
  ---@return number|number[]
  function Class:result()
    classes.confirm(self)
    local held = self.sums
    if not (held.both or held.total) then return undefined(self, "there are no samples") end
    if self.aggregation_level == "samplewise" then return read_mean(self, held.total, held.weight) end
    local nothing = self.zero_division or 0.0
    if self.average == "none" and held.both:size(0) > 1 then
      local values, present = scores(self, held.both, held.predicted, held.there)
      return torch.where(present, values, nothing):tolist()
    end
    local value, some = average(self, held.both, held.predicted, held.there)
    value = torch.where(some, value, nothing):item()
    return value == value and value or undefined(self, "no class is there")
  end

  return function(arguments)
    local self = setmetatable(keywords.check(where, arguments, {num_classes = keywords.none, average = "macro", threshold = 0.5,
      from_logits = false, multilabel = false, ignore_index = keywords.none, include_background = true,
      zero_division = keywords.none, aggregation_level = "global"}), Class)
    require("train.options").check(where, self, {num_classes = "positive_count", average = AVERAGES, threshold = "number",
      from_logits = "flag", multilabel = "flag", include_background = "flag", aggregation_level = LEVELS,
      ignore_index = "integer"})
    local zero = self.zero_division
    if not (zero == nil or zero == 0 or zero == 1 or type(zero) == "number" and zero ~= zero) then
      vm.raise("usage", ("%s: zero_division must be 0, 1 or NaN, got %s"):format(where, vm.describe(zero)))
    end
    if self.average == "none" and (self.num_classes or 1) > 1 then
      self.parts = {}
      for class = self.include_background and 0 or 1, self.num_classes - 1 do
        self.parts[#self.parts + 1] = {"_" .. class, #self.parts + 1}
      end
    end
    self._options = sums.options_text(self, {"threshold", "from_logits", "multilabel", "ignore_index", "include_background",
      "aggregation_level"})
    if self.aggregation_level == "samplewise" then
      self._options = self._options .. " " .. sums.options_text(self, {"average", "zero_division"})
    end
    self:reset()
    return self
  end
end
