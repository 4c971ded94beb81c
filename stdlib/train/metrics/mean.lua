-- train.metrics.Mean: the weighted mean of values. Sums are float64; those of device tensors stay on the device.
local undefined = require "train.metrics.undefined"
local new_class = require "train.metrics.weighted_sum"
local Mean, WeightedSum = new_class("Mean"), new_class.methods

---Adds a value, or every element of a tensor of several. What weighs 0 may be NaN.
---@param value number|Tensor a number, or a tensor
---@param weight? number|Tensor how much it counts, default 1; a tensor stays on its device: one element, or the weight of each
---element, or of each entry of the first dimension
function Mean:update(value, weight) self:add(value, weight) end

---The weighted mean so far; NaN, and one warning, before the first value.
---@return number
function Mean:result()
  local mean = WeightedSum.result(self)
  if mean ~= mean and self:empty() then return undefined(self, "there are no values") end
  return mean
end

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
