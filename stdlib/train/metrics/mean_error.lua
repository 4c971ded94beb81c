-- Metrics that are the mean of an error of each value: MSE, RMSE, MAE, MAPE.
local keywords = require "host.keywords"
local regression = require "train.metrics.regression"
local sums = require "train.metrics.sums"
local undefined = require "train.metrics.undefined"

---Makes the constructor of a metric.
---@param name string "MeanSquaredError"
---@param error_of fun(difference: Tensor, target: Tensor): Tensor the error of each value
---@param finish? fun(mean: number): number what is said of a mean
---@return fun(arguments: table?): table
return function(name, error_of, finish)
  local where = "train.metrics." .. name
  local Class = sums.class(name, {"total", "weight"}, "min")

  ---Adds values.
  ---@param pred Tensor [n], [n, outputs], or of any shape
  ---@param target Tensor of the same shape
  ---@param weight? Tensor [n], or of the values' shape
  function Class:update(pred, target, weight)
    local count, total
    if self.multioutput then
      pred, target, weight = regression.columns(self, pred, target, weight)
      total = error_of(pred - target, target)
      if weight then
        total, count = (total * weight):sum(0), weight:sum()
      else
        total, count = total:sum(0), pred:size(0)
      end
    else
      pred, target = regression.pair(self, pred, target, weight)
      total = error_of(pred - target, target)
      if weight then
        weight = regression.weight(self, weight, pred)
        total, count = (total * weight):sum(), weight:expand_as(pred):sum()
      else
        total, count = total:sum(), pred:numel()
      end
    end
    sums.add(self, {total = total, weight = count})
  end

  ---The mean so far, NaN before the first value; a list of one number an output with multioutput = "raw_values".
  ---@return number|number[]
  function Class:result()
    local weight = sums.read(self.sums.weight or 0)
    if weight == 0 then return undefined(self, "there are no values") end
    local total = sums.read(self.sums.total)
    local function of(value) return finish and finish(value / weight) or value / weight end
    if not self.multioutput then return of(total) end
    for i, value in ipairs(total) do total[i] = of(value) end
    return regression.combine(self, total)
  end

  return function(arguments)
    local self = setmetatable(keywords.check(where, arguments, {multioutput = keywords.none, num_outputs = keywords.none}), Class)
    regression.check(where, self)
    self._options = self.multioutput and "by output" or "over all values"
    self:reset()
    return self
  end
end
