-- train.metrics.PearsonCorrCoef: the linear correlation of predictions and targets.
local keywords = require "host.keywords"
local moments = require "train.metrics.moments"
local regression = require "train.metrics.regression"
local sums = require "train.metrics.sums"
local undefined = require "train.metrics.undefined"

local NAME <const> = "train.metrics.PearsonCorrCoef"

local PearsonCorrCoef = sums.class("PearsonCorrCoef", {"rows", "weight", "shift", "mean", "scatter"}, "max")

---Adds values.
---@param pred Tensor [n] or [n, outputs]
---@param target Tensor of the same shape
---@param weight? Tensor [n]
function PearsonCorrCoef:update(pred, target, weight)
  pred, target, weight = regression.columns(self, pred, target, weight)
  if pred:size(0) == 0 then return end
  moments.add(self, {pred, target}, weight)
end

---Adds what another PearsonCorrCoef has seen.
function PearsonCorrCoef:merge(other)
  sums.check_options(self, other._options, "merge")
  moments.join(self, self.sums, other.sums)
end

---The correlation so far, -1 to 1; NaN where predictions or targets never change; a list of one number an output with
---multioutput = "raw_values".
---@return number|number[]
function PearsonCorrCoef:result()
  if not self.sums.rows then return undefined(self, "there are no values") end
  local values, constant = {}, false
  for i, scatter in ipairs(sums.read(self.sums.scatter)) do
    local still
    values[i], still = moments.correlation(scatter)
    constant = constant or still
  end
  if constant then undefined(self, "predictions or targets never change") end
  return regression.combine(self, values)
end

---Pearson's correlation coefficient, equal to scipy.stats.pearsonr.
---@param arguments? table multioutput = "uniform_average" | "raw_values" | list of weights; num_outputs: how many there are,
---so that raw values have a log each
---@return table metric
---@example local pearson = train.metrics.Pearson()
--- pearson:update(torch.tensor{1.0, 2.0, 3.0}, torch.tensor{1.0, 2.0, 2.0})
--- ("%.4f"):format(pearson:result())  --> 0.8660
return function(arguments)
  local self = setmetatable(keywords.check(NAME, arguments, {multioutput = "uniform_average", num_outputs = keywords.none}),
    PearsonCorrCoef)
  regression.check(NAME, self)
  self._options = "none"
  self:reset()
  return self
end
