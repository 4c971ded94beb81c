-- train.metrics.MeanAbsoluteError: the mean of the absolute differences.
local make = require("train.metrics.mean_error")("MeanAbsoluteError", function(difference) return difference:abs() end)

---The mean absolute error, equal to scikit-learn's mean_absolute_error.
---@param arguments? table multioutput: nothing (all values alike), "uniform_average", "raw_values" (a list) or a list of
---weights, of [n, outputs]; num_outputs: how many there are, so that raw values have a log each
---@return table metric
---@example local mae = train.metrics.MAE()
--- mae:update(torch.tensor{1.0, 2.0}, torch.tensor{1.0, 4.0})
--- mae:result()  --> 1.0
return function(arguments) return make(arguments) end
