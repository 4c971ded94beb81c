-- train.metrics.RootMeanSquaredError: the root of the mean of the squared differences.
local make = require("train.metrics.mean_error")("RootMeanSquaredError", function(difference) return difference:square() end, math.sqrt)

---The root of the mean squared error of all values so far, as Keras and torchmetrics have it. With multioutput it is
---scikit-learn's: the mean of the outputs' roots.
---@param arguments? table multioutput: nothing (all values alike), "uniform_average", "raw_values" (a list) or a list of
---weights, of [n, outputs]; num_outputs: how many there are, so that raw values have a log each
---@return table metric
---@example local rmse = train.metrics.RMSE()
--- rmse:update(torch.tensor{1.0, 2.0}, torch.tensor{1.0, 6.0})
--- ("%.4f"):format(rmse:result())  --> 2.8284
return function(arguments) return make(arguments) end
