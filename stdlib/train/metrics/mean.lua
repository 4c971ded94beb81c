-- train.metrics.Mean: the weighted mean of values. Sums are float64; those of device tensors stay on the device.
local Mean = {__name = "Mean"}
Mean.__index = Mean

local function number(value) return type(value) == "number" and value or value:item() end

---Forgets every value.
function Mean:reset() self.total, self.weight = nil, 0 end

-- Note [Sums on the host]
-- A tensor on the CPU is read at once, which waits for nothing, and summed as a Lua number, a float64 (0.25 us; a
-- float64 tensor to add to takes 2). On another device the sum stays there, until it is read.

-- value * weight as float64 on value's device; 0 where the weight is, whatever the value.
local function weigh(value, weight)
  local torch = require "torch"
  local product = value:to(torch.float64):mul(weight)
  return type(weight) == "number" and product or product:masked_fill(weight:eq(0), 0)
end

---Adds a value, or every element of a tensor of several.
---@param value number|Tensor a number, or a tensor
---@param weight? number|Tensor how much it counts, default 1; a tensor of one element stays on its device
function Mean:update(value, weight)
  weight = weight or 1
  if weight == 0 then return end  -- the mean of nothing is NaN, which must not reach the sum
  local count, total = 1, self.total
  if type(value) ~= "number" then
    count = value:numel()
    if count ~= 1 then value = value:detach():sum({dtype = require("torch").float64}) end
    if value.is_cpu or type(total) == "number" then
      value = value:item()
      if type(value) == "boolean" then value = value and 1 or 0 end
    end
  end
  if type(value) == "number" then
    if total == nil or type(total) == "number" then
      self.total = (total or 0.0) + value * weight
    else
      total:add_(value * weight)
    end
  else
    value = weigh(value:detach():reshape({}), weight)
    if total then
      total:add_(value)
    else
      self.total = require("native.tensor").keep(value)
    end
  end
  self.weight = self.weight + weight * count
  if type(self.weight) ~= "number" then require("native.tensor").keep(self.weight) end
end

---The mean so far; NaN before the first value.
---@return number
function Mean:result()
  if self.weight == 0 then return 0 / 0 end
  return number(self.total) / number(self.weight)
end

---Adds what another Mean has seen.
function Mean:merge(other)
  if other.weight == 0 then return end
  self.total = number(self.total or 0) + number(other.total)
  self.weight = number(self.weight) + number(other.weight)
end

---The weighted mean of values: `update(value, weight)`, `result()`, `reset()`.
---@return table metric
return function()
  local self = setmetatable({}, Mean)
  self:reset()
  return self
end
