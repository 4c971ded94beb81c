-- train.metrics.Sum: the sum of values. It is float64 and stays on the values' device.
local Sum = {__name = "Sum"}
Sum.__index = Sum

---Forgets every value.
function Sum:reset() self.total = nil end

---Adds a number, or all elements of a tensor.
---@param value number|Tensor
---@param weight? number default 1
function Sum:update(value, weight)
  weight = weight or 1
  if type(value) == "number" then
    self.total = (self.total or 0) + value * weight
    return
  end
  local torch = require "torch"
  local sum = value:detach():sum({dtype = torch.float64}):mul(weight)
  self.total = require("native.tensor").keep(self.total and self.total + sum or sum)
end

---The sum so far.
---@return number
function Sum:result()
  if self.total == nil then return 0.0 end
  return type(self.total) == "number" and self.total or self.total:item()
end

---Adds what another Sum has seen.
function Sum:merge(other) self:update(other:result()) end

---The sum of values: `update(value, weight)`, `result()`, `reset()`.
---@return table metric
return function() return setmetatable({}, Sum) end
