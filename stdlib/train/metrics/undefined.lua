-- What a metric says when there is nothing to say: NaN, and one warning for each metric object.
local classes = require "train.metrics.classes"

---@param self table the metric
---@param why string "there are no values"
---@return number NaN
return function(self, why)
  classes.warn(self, why .. ": the result is NaN")
  return 0 / 0
end
