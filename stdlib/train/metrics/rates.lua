-- Rates of right decisions, averaged over classes: Precision, Recall, F1, FBeta, Specificity, and Accuracy by class.
local classes = require "train.metrics.classes"
local keywords = require "host.keywords"

local NAN <const> = 0 / 0
local SUMS <const> = {"tp", "fp", "fn", "tn"}

local rates = {}

local function ratio(self, numerator, denominator)
  if denominator == 0 then return self.zero_division end
  return numerator / denominator
end

-- The mean of what is not NaN; where all weights are 0, of all alike.
local function mean(values, weights)
  local sum, total, plain, count = 0.0, 0.0, 0.0, 0
  for i, value in ipairs(values) do
    if value == value then
      sum, total = sum + value * (weights and weights[i] or 1), total + (weights and weights[i] or 1)
      plain, count = plain + value, count + 1
    end
  end
  if count == 0 then return NAN end
  if total == 0 then return plain / count end
  return sum / total
end

-- The classes that count: those of `labels`, else all; of several classes in a mean those that are there or were taken.
local function chosen(self, by_class, average)
  local list = {}
  if self.labels then
    for i, class in ipairs(self.labels) do
      list[i] = by_class[class + 1]
      if not list[i] then
        require("native.vm").raise("usage", ("%s: labels has class %d, there are %d"):format(getmetatable(self).__name, class,
          #by_class))
      end
    end
    return list
  end
  local drop = self.kind ~= "multilabel" and average == "macro"
  for _, it in ipairs(by_class) do
    if not drop or it.seen or it.tp + it.fp + it.fn > 0 then list[#list + 1] = it end
  end
  return list
end

local function average_of(self)
  return self.average or self.count == 2 and self.kind ~= "multilabel" and "binary" or "macro"
end

local function warned(self, value, message)
  if value ~= value then classes.warn(self, message .. ": the result is NaN") end
  return value
end

--- The rate so far.
---@param self table of train.metrics.counts, with `rate(self, it)`: numerator and denominator of {tp =, fp =, fn =, tn =}
---@return number|Tensor rate a Tensor of one number a class with average = "none"
function rates.result(self)
  local average, by_class = average_of(self), self:read()
  if not by_class then
    if average ~= "none" or not self.num_classes then return warned(self, NAN, "no samples") end
    by_class = {}
    for i = 1, self.num_classes do by_class[i] = {tp = NAN, fp = NAN, fn = NAN, tn = NAN} end
  end
  if average == "binary" then
    return warned(self, ratio(self, self:rate(by_class[2])), "it is not defined without a yes")
  end
  local list, values, weights = chosen(self, by_class, average), {}, average == "weighted" and {} or nil
  if average == "micro" then
    local sum = {}
    for _, name in ipairs(SUMS) do
      sum[name] = 0
      for _, it in ipairs(list) do sum[name] = sum[name] + it[name] end
    end
    list = {sum}
  end
  for i, it in ipairs(list) do
    values[i] = ratio(self, self:rate(it))
    if weights then weights[i] = it.tp + it.fn end
  end
  if average ~= "none" then return warned(self, mean(values, weights), "it is not defined for any class") end
  for _, value in ipairs(values) do warned(self, value, "it is not defined for a class") end
  return require("torch").tensor(values, {dtype = require("torch").float64})
end

--- A class of these metrics.
---@param name string
---@param rate fun(self, it): number, number
---@return table class
function rates.class(name, rate)
  local class = require "train.metrics.counts"(name, "max")
  class.rate, class.result = rate, rates.result
  return class
end

--- A metric of such a class.
---@param class table
---@param arguments? table
---@param more? table<string, any> options beside those of all, with their defaults
---@return table metric
function rates.new(class, arguments, more)
  local where = "train.metrics." .. class.__name
  local defaults = {average = keywords.none, num_classes = keywords.none, labels = keywords.none, threshold = 0.5,
    from_logits = false, zero_division = 0, one_hot = false, ignore_index = keywords.none, top_k = 1}
  for option, default in pairs(more or {}) do defaults[option] = default end
  local self = setmetatable(keywords.check(where, arguments, defaults), class)
  classes.check(where, self)
  self:reset()
  return self
end

return rates
