-- What scores and targets are about: yes and no, one class of several, or several labels; and their checks.
--
-- kind "binary": scores of yes [n, ...] or [n, 1, ...]. "multiclass": scores [n, classes, ...] and classes [n, ...], or
-- classes twice. "multilabel": scores and yes or no, both [n, labels, ...].
local tensors = require "train.metrics.tensors"
local vm = require "native.vm"

local classes = {}

local function fail(self, kind, message, hint) vm.raise(kind, getmetatable(self).__name .. ": " .. message, hint) end

local function wrong_shape(self, pred, target)
  fail(self, "shape", ("scores of shape %s do not go with a target of shape %s"):format(tostring(pred.shape),
    tostring(target.shape)), "[batch, classes, ...] and [batch, ...], or twice the same for yes and no")
end

-- [n, 1, ...] beside [n, ...] is the same.
local function drop_single(pred, target)
  local p, t = pred:dim(), target:dim()
  if p == t + 1 and p > 1 and pred:size(1) == 1 then return pred:squeeze(1), target end
  if t == p + 1 and t > 1 and target:size(1) == 1 then return pred, target:squeeze(1) end
  return pred, target
end

local function weight_of(self, weight, target)
  if weight == nil then return nil end
  if weight.requires_grad then weight = weight:detach() end
  if weight:is_same_size(target) then return weight end
  local dims = target:dim()
  local same = weight:dim() > 0 and dims > 0 and weight:size(0) == target:size(0)
  if same and weight:numel() == target:numel() then return weight:reshape(target.shape) end
  if same and weight:dim() == 1 then
    local shape = {weight:size(0)}
    for i = 2, dims do shape[i] = 1 end
    return weight:view(shape):expand_as(target)
  end
  fail(self, "shape", ("the weight must have the target's shape %s, or one number for each of its first dimension, got %s")
    :format(tostring(target.shape), tostring(weight.shape)))
end

-- Targets of the scores' shape, where neither the loss nor the user says what they are.
local function tell_guess(self, pred)
  self.guesses = nil
  local name = getmetatable(self).__name
  require("host").log.warn((self.one_hot and "%s: targets of the scores' shape %s are taken for one-hot classes; for labels "
    .. "give train.metrics.%s()" or "%s: targets of the scores' shape %s are taken for yes and no of labels; for one-hot "
    .. "classes give train.metrics.%s {one_hot = true}"):format(name, tostring(pred.shape), name))
end

--- Puts a batch in one of the forms above.
---@param self table a metric with num_classes, average and one_hot, where it has them
---@param pred Tensor
---@param target Tensor
---@param weight? Tensor
---@return string kind
---@return integer count of classes (binary: 2) or labels
---@return Tensor pred as it is, but for a dimension of 1
---@return Tensor target of pred's shape, without the dimension of classes for multiclass scores
---@return Tensor? weight of target's shape
function classes.layout(self, pred, target, weight)
  tensors.check(self, pred, target, weight)
  if pred.requires_grad then pred = pred:detach() end
  if (self.one_hot or self.guesses) and pred:dim() > 1 and pred:size(1) > 1 and pred:is_same_size(target) then
    if self.guesses then tell_guess(self, pred) end
    if self.one_hot then target = tensors.best(target) end
  end
  pred, target = drop_single(pred, target)
  local p, t = pred:dim(), target:dim()
  local known, kind, count = self.num_classes, nil, nil
  if p == t + 1 and t > 0 then
    kind, count = "multiclass", pred:size(1)
    for i = 0, t - 1 do
      if pred:size(i == 0 and 0 or i + 1) ~= target:size(i) then wrong_shape(self, pred, target) end
    end
  elseif p == t then
    if not pred:is_same_size(target) then wrong_shape(self, pred, target) end
    if known and known > 1 and not pred:is_floating_point() and pred.dtype ~= require("torch").bool then
      kind, count = "multiclass", known
    elseif t < 2 or pred:size(1) == 1 or self.average == "binary" then
      kind, count = "binary", 2
    else
      kind, count = "multilabel", pred:size(1)
    end
  else
    wrong_shape(self, pred, target)
  end
  if known and known ~= count and not (kind == "binary" and known == 1) then
    fail(self, "shape", ("num_classes is %d, the scores of shape %s are of %d"):format(known, tostring(pred.shape), count))
  end
  if self.average == "binary" and kind == "multiclass" and count > 2 then
    fail(self, "usage", ('average = "binary" is about yes and no, the scores are of %d classes'):format(count),
      'average = "micro", "macro", "weighted" or "none"')
  end
  return kind, count, pred, target, weight_of(self, weight, target)
end

--- Classes as whole numbers below `count` (yes and no: 2). Wrong ones are an error: at once on the CPU, on a device when
--- the result is read.
---@param self table a metric
---@param values Tensor
---@param count integer
---@param what string "the target holds"
---@return Tensor int64
function classes.whole(self, values, count, what)
  local int64 = require("torch").int64
  local whole = values.dtype == int64 and values or values:to(int64)
  if values:numel() == 0 then return whole end
  if values.is_cpu then
    local low, high = whole:aminmax()
    low, high = low:item(), high:item()
    local broken = values:is_floating_point() and not values:eq(whole):all():item()
    if low < 0 or high >= count or broken then
      fail(self, "usage", ("%s %s, expected classes 0 to %d"):format(what, broken and "fractions"
        or "class " .. (low < 0 and low or high), count - 1),
        count == 2 and "num_classes, where there are more" or "ignore_index, where it is not to be counted")
    end
    return whole
  end
  local wrong = whole:lt(0) | whole:ge(count)
  if values:is_floating_point() then wrong = wrong | values:ne(whole) end
  classes.suspect(self, wrong)
  return whole:masked_fill(wrong, 0)
end

--- Targets as whole numbers; those of ignore_index weigh nothing.
---@param self table a metric, with ignore_index
---@param target Tensor
---@param count integer
---@param weight? Tensor
---@return Tensor target int64
---@return Tensor? weight
function classes.targets(self, target, count, weight)
  local ignored = self.ignore_index
  if ignored then
    local kept = target:ne(ignored)
    weight = weight and weight:mul(kept) or kept:double()
    target = target:masked_fill(~kept, 0)
  end
  return classes.whole(self, target, count, "the target holds"), weight
end

--- Remembers on the device how many targets or scores were wrong.
function classes.suspect(self, wrong)
  local sum = wrong:sum()
  if self.wrong then self.wrong:add_(sum) else self.wrong = require("native.tensor").keep(sum) end
end

--- Raises if something on a device was wrong.
function classes.confirm(self)
  local wrong = self.wrong and self.wrong:item() or 0
  if wrong > 0 then
    fail(self, "usage", ("%d targets or scores were not what they must be: classes beyond the last, NaN or no probabilities")
      :format(wrong), "on the CPU the first wrong batch is an error")
  end
end

local function check_scores(self, pred, bounded)
  if pred:numel() == 0 then return end
  if not pred.is_cpu then
    return classes.suspect(self, bounded and ~(pred:ge(0) & pred:le(1)) or pred:ne(pred))
  end
  if bounded then
    local low, high = pred:aminmax()
    low, high = low:item(), high:item()
    if low >= 0 and high <= 1 then return end
    if low == low and high == high then
      fail(self, "usage", ("probabilities of 0 to 1 expected, got %.6g"):format(low < 0 and low or high), "from_logits = true")
    end
  else
    local sum = pred:sum():item()
    if sum == sum or not pred:isnan():any():item() then return end
  end
  fail(self, "usage", "a score is NaN")
end

--- Scores that may be: NaN, and with `bounded` what is no probability, is an error as for targets.
---@return Tensor pred in float64, if it held whole numbers or yes and no
function classes.scores(self, pred, bounded)
  if not pred:is_floating_point() then pred = pred:double() end
  check_scores(self, pred, bounded)
  return pred
end

--- [n, classes, ...] -> [m, classes]; what has no classes -> [m].
function classes.rows(pred, has_classes)
  if not has_classes then return pred:flatten() end
  if pred:dim() == 2 then return pred end
  return pred:movedim(1, -1):reshape(-1, pred:size(1))
end

--- One warning of each metric.
function classes.warn(self, message)
  if self.warned then return end
  self.warned = true
  require("host").log.warn(getmetatable(self).__name .. ": " .. message)
end

local AVERAGES <const> = {"micro", "macro", "weighted", "none", "binary"}
classes.AVERAGES = AVERAGES

local function list_of_classes(name, list)
  local ok = type(list) == "table" and #list > 0
  local seen = {}
  for _, class in ipairs(ok and list or {}) do
    ok = ok and math.type(class) == "integer" and class >= 0 and not seen[class]
    seen[class] = true
  end
  if not ok then vm.raise("usage", name .. ": labels must be a list of different classes, whole numbers from 0") end
end

--- Checks the options that these metrics share, and sets num_classes of labels and `parts` of lists.
---@param where string "train.metrics.F1"
---@param self table the options
---@param averages? string[] those that it knows
function classes.check(where, self, averages)
  require("train.options").check(where, self, {average = averages or AVERAGES, num_classes = "positive_count",
    threshold = "number", from_logits = "flag", one_hot = "flag", top_k = "positive_count", ignore_index = "integer"})
  if self.labels ~= nil then
    list_of_classes(where, self.labels)
    if self.num_classes then
      for _, class in ipairs(self.labels) do
        if class >= self.num_classes then
          vm.raise("usage", ("%s: labels has class %d, num_classes is %d"):format(where, class, self.num_classes))
        end
      end
    end
  end
  local zero = self.zero_division
  if zero ~= nil and zero == zero and zero ~= 0 and zero ~= 1 then
    vm.raise("usage", ("%s: zero_division must be 0, 1 or nan (0/0), got %s"):format(where, vm.describe(zero)))
  end
  if self.from_logits and self.threshold and not (self.threshold > 0 and self.threshold < 1) then
    vm.raise("usage", ("%s: threshold is a probability between 0 and 1 with from_logits, got %s"):format(where,
      tostring(self.threshold)))
  end
  if self.average == "none" then
    self.parts = {}
    local labels = self.labels
    for i = 1, labels and #labels or self.num_classes or 0 do
      self.parts[i] = {"_" .. (labels and labels[i] or i - 1), i - 1}
    end
  end
end

--- What two metrics must have in common to be merged.
function classes.check_merge(self, other, options)
  for _, option in ipairs(options) do
    if self[option] ~= other[option] then
      fail(self, "usage", ("cannot merge: %s is %s here, %s there"):format(option, tostring(self[option]),
        tostring(other[option])))
    end
  end
end

return classes
