-- train.metrics.Mean: the weighted mean of values. Sums are float64; those of device tensors stay on the device.
local Mean = require "train.metrics.weighted_sum"("Mean")

---Adds a value, or every element of a tensor of several. What weighs 0 may be NaN.
---@param value number|Tensor a number, or a tensor
---@param weight? number|Tensor how much it counts, default 1; a tensor stays on its device: one element, or the weight of each
---element, or of each entry of the first dimension
function Mean:update(value, weight) self:add(value, weight) end

---Keras's names.
Mean.update_state, Mean.reset_state = Mean.update, Mean.reset

---The weighted mean of values: `update(value, weight)`, `result()`, `reset()`.
---@return table metric
---@example local loss = train.metrics.Mean()
--- loss:update(0.5, 4)  -- a batch of 4
--- loss:update(2, 1)
--- loss:result()  --> 0.8
return function()
  local self = setmetatable({}, Mean)
  self:reset()
  return self
end
