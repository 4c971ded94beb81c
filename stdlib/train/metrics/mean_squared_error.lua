-- train.metrics.MeanSquaredError: the mean of the squared differences.
local make = require("train.metrics.mean_error")("MeanSquaredError", function(difference) return difference:square() end)

---The mean squared error, equal to scikit-learn's mean_squared_error.
---@param arguments? table multioutput: nothing (all values alike), "uniform_average", "raw_values" (a list) or a list of
---weights, of [n, outputs]; num_outputs: how many there are, so that raw values have a log each
---@return table metric
---@example local mse = train.metrics.MSE()
--- mse:update(torch.tensor{1.0, 2.0}, torch.tensor{1.0, 4.0})
--- mse:result()  --> 2.0
return function(arguments) return make(arguments) end
