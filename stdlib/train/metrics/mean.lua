-- train.metrics.Mean: the weighted mean of values. Sums are float64 and stay on the values' device.
local Mean = {__name = "Mean"}
Mean.__index = Mean

---Forgets every value.
function Mean:reset() self.total, self.weight = nil, 0 end

---Adds a value, or every element of a tensor of several.
---@param value number|userdata a number, or a tensor
---@param weight? number how much it counts, default 1
function Mean:update(value, weight)
  weight = weight or 1
  if type(value) == "number" or type(self.total) == "number" then
    if type(value) ~= "number" then value = value:item() end
    local total = self.total or 0
    self.total = type(total) == "number" and total + value * weight or total:add_(value * weight)
    self.weight = self.weight + weight
    return
  end
  value = value:detach()
  local count = value:numel()
  if count ~= 1 then
    value = value:sum()
  elseif value:dim() ~= 0 then
    value = value:reshape({})
  end
  if self.total then
    self.total:add_(value, {alpha = weight})
  else
    local torch = require "torch"
    self.total = value:to(torch.float64):mul(weight)
  end
  self.weight = self.weight + weight * count
end

---The mean so far; NaN before the first value.
---@return number
function Mean:result()
  if self.weight == 0 then return 0 / 0 end
  local total = type(self.total) == "number" and self.total or self.total:item()
  return total / self.weight
end

---Adds what another Mean has seen.
function Mean:merge(other)
  if other.weight == 0 then return end
  local total = type(other.total) == "number" and other.total or other.total:item()
  local own = self.total == nil and 0 or type(self.total) == "number" and self.total or self.total:item()
  self.total, self.weight = own + total, self.weight + other.weight
end

---The weighted mean of values: `update(value, weight)`, `result()`, `reset()`.
---@return table metric
return function()
  local self = setmetatable({}, Mean)
  self:reset()
  return self
end
