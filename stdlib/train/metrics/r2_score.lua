-- train.metrics.R2Score: how much of the targets' variance predictions explain, the coefficient of determination.
local keywords = require "host.keywords"
local moments = require "train.metrics.moments"
local regression = require "train.metrics.regression"
local sums = require "train.metrics.sums"
local undefined = require "train.metrics.undefined"

local NAME <const> = "train.metrics.R2Score"

local R2Score = sums.class("R2Score", {"rows", "weight", "shift", "mean", "scatter", "residual"}, "max")

---Adds values.
---@param pred Tensor [n] or [n, outputs]
---@param target Tensor of the same shape
---@param weight? Tensor [n]
function R2Score:update(pred, target, weight)
  pred, target, weight = regression.columns(self, pred, target, weight)
  if pred:size(0) == 0 then return end
  local residual = (target - pred):square()
  residual = (weight and residual * weight or residual):sum(0)
  moments.add(self, {target}, weight)
  local held = self.sums.residual
  self.sums.residual = require("native.tensor").keep(held and held + residual or residual)
end

---Adds what another R2Score of the same options has seen.
function R2Score:merge(other)
  sums.check_options(self, other._options, "merge")
  local given, held = other.sums, self.sums
  if not given.rows then return end
  moments.join(self, held, given)
  local own = held.residual
  held.residual = require("native.tensor").keep(own and own + given.residual:to(own.device) or given.residual)
end

-- scikit-learn's: a target that never changes has 1 where it is always met, else 0; or what the division says.
local function score(self, residual, variance)
  if variance ~= 0 then return 1 - residual / variance end
  if self.force_finite then return residual == 0 and 1.0 or 0.0 end
  return residual == 0 and 0 / 0 or -math.huge
end

---The score so far: 1 is perfect, 0 as good as the targets' mean, NaN for fewer than two rows; a list of one number an
---output with multioutput = "raw_values".
---@return number|number[]
function R2Score:result()
  local rows = self.sums.rows or 0
  if rows < 2 then return undefined(self, ("two rows are needed, there are %d"):format(rows)) end
  if sums.read(self.sums.weight) == 0 then return undefined(self, "all weights are 0") end
  local freedom = rows - self.adjusted - 1
  if freedom <= 0 then
    return undefined(self, ("adjusted = %d needs more than %d rows, there are %d"):format(self.adjusted,
      self.adjusted + 1, rows))
  end
  local values, variances = sums.read(self.sums.residual), sums.read(self.sums.scatter:flatten())
  for i, residual in ipairs(values) do values[i] = score(self, residual, variances[i]) end
  local combined = regression.combine(self, values, variances)
  local nan = combined ~= combined
  for _, value in ipairs(type(combined) == "table" and combined or {}) do nan = nan or value ~= value end
  if nan then undefined(self, "the targets never change") end
  if self.adjusted == 0 then return combined end
  local function adjust(value) return 1 - (1 - value) * (rows - 1) / freedom end
  if type(combined) == "number" then return adjust(combined) end
  for i, value in ipairs(combined) do combined[i] = adjust(value) end
  return combined
end

---The coefficient of determination, equal to scikit-learn's r2_score.
---@param arguments? table multioutput = "uniform_average" | "raw_values" | "variance_weighted" | list of weights;
---force_finite = true: a target that never changes has 1 or 0 rather than NaN or -inf; adjusted = 0: the number of
---regressors to adjust for; num_outputs: how many there are, so that raw values have a log each
---@return table metric
---@example local r2 = train.metrics.R2()
--- r2:update(torch.tensor{2.5, 0.0, 2.0, 8.0}, torch.tensor{3.0, -0.5, 2.0, 7.0})
--- ("%.4f"):format(r2:result())  --> 0.9486
return function(arguments)
  local self = setmetatable(keywords.check(NAME, arguments, {multioutput = "uniform_average", force_finite = true, adjusted = 0,
    num_outputs = keywords.none}), R2Score)
  require("train.options").check(NAME, self, {force_finite = "flag", adjusted = "count"})
  regression.check(NAME, self, true)
  self._options = "none"
  self:reset()
  return self
end
