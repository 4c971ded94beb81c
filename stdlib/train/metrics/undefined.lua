-- What a metric says when there is nothing to say: NaN, and one warning for each metric object.
---@param self table the metric
---@param why string "MeanSquaredError: no values were given"
---@return number NaN
return function(self, why)
  if not self._warned then
    self._warned = true
    require("native.log").warn(why .. ": the result is NaN")
  end
  return 0 / 0
end
