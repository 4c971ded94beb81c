-- What Mean, Accuracy, LogLoss and Brier are made of: a sum of weighted values and the sum of the weights, in float64.
local magnitude <const> = require "native.magnitude"
local add_on_host <const>, number_on_host <const> = magnitude.add_on_host, magnitude.number_on_host
local is_tensor <const> = require("native.tensor").is_tensor
local vm = require "native.vm"

-- Note [Sums on the host]
-- A tensor on the CPU is read at once, which waits for nothing, and summed as a Lua number, a float64 (0.25 us; a
-- float64 tensor to add to takes 2). On another device the sum stays there, until it is read.

local function refuse(self, what, value)
  vm.raise("usage", ("%s: the %s must be a number or a Tensor of real numbers, got %s"):format(getmetatable(self).__name, what,
    vm.describe(value)))
end

-- The number of a tensor of one element; yes is 1.
local function read(value)
  local item = value:item()
  if type(item) == "boolean" then return item and 1 or 0 end
  return item
end

local function number(sum)
  if type(sum) == "userdata" then return sum:item() end
  return sum or 0
end

-- own + value, where both are numbers or one-element tensors. On a device it is added in place.
local function plus(own, value)
  if type(value) == "userdata" and (value.is_cpu or type(own) == "number" and own ~= 0) then
    value = read(value)
  end
  if type(value) == "number" then
    if type(own) ~= "userdata" then return (own or 0) + value end
    return own:add_(value)
  end
  if type(own) == "userdata" then return own:add_(value) end
  return require("native.tensor").keep(value:detach():to(require("torch").float64, {copy = true}):reshape({}))
end

-- A weight for each element: of the values' shape, or one for each entry of their first dimension.
local function expand(self, weight, value)
  weight = weight:detach()
  local dims = value:dim()
  if weight:numel() == 1 then return weight:reshape({}):expand_as(value) end
  if weight:dim() == dims and weight:is_same_size(value) then return weight end
  if weight:dim() == 1 and dims > 1 and weight:size(0) == value:size(0) then
    local shape = {weight:size(0)}
    for i = 2, dims do shape[i] = 1 end
    return weight:view(shape):expand_as(value)
  end
  vm.raise("shape", ("%s: the weight must have the shape %s of the values, or one number for each entry of their first "
    .. "dimension, got %s"):format(getmetatable(self).__name, tostring(value.shape), tostring(weight.shape)))
end

local WeightedSum = {}

---Forgets every value.
function WeightedSum:reset() self.total, self.weight = nil, 0 end

-- What weighs 0 may be NaN: it does not reach the sum.
local function add_weighted(self, value, weight)
  local float64 = require("torch").float64
  if type(value) ~= "number" and (not require("torch").is_tensor(value) or value:is_complex()) then refuse(self, "value", value) end
  if weight:is_complex() then refuse(self, "weight", weight) end
  if type(value) == "number" then value = require("torch").full_like(weight, value, {dtype = float64}) end
  local weights = expand(self, weight, value)
  if value:is_floating_point() then
    value = value:detach():to(float64):mul(weights):masked_fill(weights:eq(0), 0)
  else
    value = value:mul(weights)
  end
  self.total = plus(self.total, value:sum({dtype = float64}))
  self.weight = plus(self.weight, weights:sum({dtype = float64}))
end

-- Adds a number or all elements of a tensor, each as often as its weight says.
function WeightedSum:add(value, weight)
  weight = weight or 1
  local sum, weights = add_on_host(self.total, self.weight, value, weight)
  if sum then
    self.total, self.weight = sum, weights
    return
  end
  if type(weight) == "userdata" then
    if weight:numel() ~= 1 or not weight.is_cpu then return add_weighted(self, value, weight) end
    weight = read(weight)
  end
  if type(weight) ~= "number" then refuse(self, "weight", weight) end
  if weight == 0 then return end  -- the mean of nothing is NaN, which must not reach the sum
  local count, total = 1, self.total
  if type(value) ~= "number" then
    if not is_tensor(value) then refuse(self, "value", value) end
    value = number_on_host(value) or value
  end
  if type(value) ~= "number" then
    count = value:numel()
    if count ~= 1 then
      if value:is_complex() then refuse(self, "value", value) end
      value = value:detach():sum({dtype = require("torch").float64})
    end
    if value.is_cpu then
      local item = read(value)
      if type(item) ~= "number" then refuse(self, "value", value) end  -- it is complex
      value = item
    end
  end
  if type(value) == "number" and type(total) ~= "userdata" then
    self.total = (total or 0.0) + value * weight
  else
    if weight ~= 1 and type(value) == "userdata" then value = value:detach():to(require("torch").float64) end
    self.total = plus(total, value * weight)
  end
  weight = weight * count
  if type(self.weight) == "number" then self.weight = self.weight + weight else self.weight = plus(self.weight, weight) end
end

---Whether nothing that counts was seen.
---@return boolean
function WeightedSum:empty() return number(self.weight) == 0 end

---The mean so far; NaN before the first value.
---@return number
function WeightedSum:result()
  local weight = number(self.weight)
  if weight == 0 then return 0 / 0 end
  return number(self.total) / weight
end

---Adds what another metric of the same class has seen.
function WeightedSum:merge(other)
  if other.total == nil then return end
  self.total, self.weight = number(self.total) + number(other.total), number(self.weight) + number(other.weight)
end

---What a checkpoint keeps.
---@return table
function WeightedSum:state_dict()
  local function copy(sum) return type(sum) == "userdata" and sum:clone() or sum end
  return {total = copy(self.total), weight = copy(self.weight)}
end

---Goes on where state_dict was taken.
---@param state table
function WeightedSum:load_state_dict(state)
  local function copy(sum) return type(sum) == "userdata" and require("native.tensor").keep(sum:clone()) or sum end
  self.total, self.weight = copy(state.total), copy(state.weight)
end

---A class of metrics with these methods.
---@param _ table
---@param name string
---@param direction? string "min" or "max"
---@return table class
local function new_class(_, name, direction)
  local class = {__name = name, direction = direction}
  for method, f in pairs(WeightedSum) do class[method] = f end
  class.__index = class
  return class
end

-- A class of metrics of classes: targets that were wrong on a device are told of in the result, no samples once.
---@param name string
---@param direction string "min" or "max"
---@return table class
local function of_classes(name, direction)
  local classes, undefined = require "train.metrics.classes", require "train.metrics.undefined"
  local class = new_class(nil, name, direction)
  function class:reset() self.total, self.weight, self.wrong = nil, 0, nil end
  function class:result()
    classes.confirm(self)
    local value = WeightedSum.result(self)
    return value == value and value or undefined(self, "no samples")
  end
  return class
end

return setmetatable({methods = WeightedSum, of_classes = of_classes}, {__call = new_class})
