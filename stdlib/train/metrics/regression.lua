-- What metrics of numbers share: pairs of predictions and targets in float64, sample weights, several outputs.
local options = require "train.options"
local tensors = require "train.metrics.tensors"
local torch = require "torch"
local vm = require "native.vm"

local regression = {}

local float64 <const> = torch.float64
local AVERAGES <const> = {uniform_average = true, raw_values = true}

---The shapes as text, for an error.
local function wrong_shape(self, what, got, expected)
  vm.raise("shape", ("%s: %s of shape %s, expected %s"):format(self.__name, what, tostring(got.shape), expected))
end

-- [n, 1] beside [n] is one number a sample on both sides; broadcast they would be n * n pairs.
local function aligned(self, pred, target)
  if pred:is_same_size(target) then return pred, target end
  if pred:dim() == target:dim() + 1 and pred:size(-1) == 1 then
    pred = pred:squeeze(-1)
  elseif target:dim() == pred:dim() + 1 and target:size(-1) == 1 then
    target = target:squeeze(-1)
  end
  if not pred:is_same_size(target) then wrong_shape(self, "target", target, "the predictions' " .. tostring(pred.shape)) end
  return pred, target
end

---Predictions and targets of one shape, without their graphs; the predictions in float64, so that what is made of both is.
---@param weight? Tensor only looked at
---@return Tensor pred
---@return Tensor target
function regression.pair(self, pred, target, weight)
  tensors.check(self, pred, target, weight)
  pred, target = aligned(self, pred, target)
  if pred.requires_grad then pred = pred:detach() end
  if target.requires_grad then target = target:detach() end
  if target.dtype == torch.bool then target = target:to(float64) end
  return pred:to(float64), target
end

---Sample weights in float64: of the values' shape, or one for each row, which then is [n, 1, ...].
---@param weight Tensor
---@param like Tensor the values
---@return Tensor
function regression.weight(self, weight, like)
  weight = weight:detach():to(float64)
  if weight:is_same_size(like) then return weight end
  local dims = like:dim()
  if weight:dim() == 2 and weight:size(1) == 1 then weight = weight:squeeze(1) end
  if dims == 0 or weight:dim() ~= 1 or weight:size(0) ~= like:size(0) then
    wrong_shape(self, "weight", weight, ("the values' %s, or one weight for each row"):format(tostring(like.shape)))
  end
  local shape = {weight:size(0)}
  for i = 2, dims do shape[i] = 1 end
  return weight:reshape(shape)
end

---The same as columns: [n, outputs] and weights [n, 1]. [n] is one output.
---@return Tensor pred
---@return Tensor target
---@return Tensor|nil weight
function regression.columns(self, pred, target, weight)
  pred, target = regression.pair(self, pred, target, weight)
  if pred:dim() == 0 then pred, target = pred:reshape({1}), target:reshape({1}) end
  if pred:dim() == 1 then pred, target = pred:unsqueeze(1), target:unsqueeze(1) end
  if pred:dim() ~= 2 or pred:size(1) == 0 then wrong_shape(self, "predictions", pred, "[n] or [n, outputs]") end
  local wanted = self.num_outputs
  if wanted and pred:size(1) ~= wanted then wrong_shape(self, "predictions", pred, ("[n, %d]: num_outputs"):format(wanted)) end
  if weight then
    weight = weight:detach():to(float64)
    if weight:numel() ~= pred:size(0) then wrong_shape(self, "weight", weight, ("[%d], one for each row"):format(pred:size(0))) end
    weight = weight:reshape({-1, 1})
  end
  return pred, target, weight
end

---What several outputs make together.
---@param self table with `multioutput`
---@param values number[] one an output
---@param variances? number[] the weights of "variance_weighted"
---@return number|number[]
function regression.combine(self, values, variances)
  local how = self.multioutput
  if how == "raw_values" then return values end
  local weights = type(how) == "table" and how or how == "variance_weighted" and variances or nil
  if weights and #weights ~= #values then
    vm.raise("usage", ("%s: multioutput has %d weights, there are %d outputs"):format(self.__name, #weights, #values))
  end
  local total, weight = 0.0, 0.0
  for i, value in ipairs(values) do
    local w = weights and weights[i] or 1
    total = total + value * w
    weight = weight + w
  end
  if weight == 0 then return regression.combine({multioutput = "uniform_average"}, values) end
  return total / weight
end

---Checks multioutput and num_outputs; with num_outputs, raw values have a log each: <name>_0, <name>_1 ...
---@param where string "train.metrics.R2Score"
---@param self table
---@param variances? boolean whether "variance_weighted" is possible
function regression.check(where, self, variances)
  options.check(where, self, {num_outputs = "positive_count"})
  local how = self.multioutput
  local weights = type(how) == "table" and #how > 0
  for _, weight in ipairs(weights and how or {}) do weights = weights and type(weight) == "number" and weight >= 0 end
  if how ~= nil and not (AVERAGES[how] or variances and how == "variance_weighted" or weights) then
    vm.raise("usage", ('%s: multioutput must be "uniform_average", "raw_values"%s or a list of weights, got %s'):format(where,
      variances and ', "variance_weighted"' or "", vm.describe(how)))
  end
  if how == "raw_values" and self.num_outputs then
    self.parts = {}
    for i = 1, self.num_outputs do self.parts[i] = {"_" .. i - 1, i} end
  end
end

return regression
