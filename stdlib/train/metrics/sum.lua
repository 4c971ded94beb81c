-- train.metrics.Sum: the sum of values. It is float64 and stays on the values' device.
local Sum = require "train.metrics.weighted_sum"("Sum")

---Adds a number, or all elements of a tensor.
---@param value number|Tensor
---@param weight? number|Tensor default 1; a tensor: the weight of each element, or of each entry of the first dimension
function Sum:update(value, weight) self:add(value, weight) end

---The sum so far.
---@return number
function Sum:result()
  if self.total == nil then return 0.0 end
  return type(self.total) == "number" and self.total or self.total:item()
end

---Keras's names.
Sum.update_state, Sum.reset_state = Sum.update, Sum.reset

---The sum of values: `update(value, weight)`, `result()`, `reset()`.
---@return table metric
return function()
  local self = setmetatable({}, Sum)
  self:reset()
  return self
end
