-- train.metrics.MeanAbsolutePercentageError: the mean of the absolute differences, relative to the target.
local EPSILON <const> = 2.0 ^ -52  -- of float64

local make = require("train.metrics.mean_error")("MeanAbsolutePercentageError", function(difference, target)
  return difference:abs() / target:to(difference.dtype):abs():clamp_min(EPSILON)
end)

---The mean absolute percentage error, equal to scikit-learn's: a fraction (0.5 is 50 %; Keras's is 100 times it), relative to
---the target's magnitude, but at least 2^-52.
---@param arguments? table multioutput: nothing (all values alike), "uniform_average", "raw_values" (a list) or a list of
---weights, of [n, outputs]; num_outputs: how many there are, so that raw values have a log each
---@return table metric
---@example local mape = train.metrics.MAPE()
--- mape:update(torch.tensor{1.0, 3.0}, torch.tensor{1.0, 4.0})
--- mape:result()  --> 0.125
return function(arguments) return make(arguments) end
