-- train.metrics.Accuracy: the fraction of samples whose class is right, also among the k best; or of right yes and no.
local keywords = require "host.keywords"

local Accuracy = {__name = "Accuracy", direction = "max"}
Accuracy.__index = Accuracy

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

local function number(total) return type(total) == "number" and total or total:item() end

---Forgets every sample.
function Accuracy:reset() self.total, self.weight = nil, 0 end

-- Broadcast sizes would count samples that are not there.
local function check_shapes(pred, target)
  local dims = target:dim()
  local classes = pred:dim() - dims  -- 1: pred has them in its second dimension
  local fits = dims > 0 or classes == 0
  if classes < 0 or classes > 1 then return end
  for i = 0, dims - 1 do fits = fits and pred:size(i == 0 and 0 or i + classes) == target:size(i) end
  if not fits then
    require("native.vm").raise("shape", ("Accuracy: scores of shape %s do not go with a target of shape %s")
      :format(tostring(pred.shape), tostring(target.shape)), "[batch, classes, ...] and [batch, ...], or twice the same for yes and no")
  end
end

-- 1 for each right sample, of target's shape.
local function right(self, pred, target)
  check_shapes(pred, target)
  if pred:dim() == target:dim() then  -- one number a sample: yes or no
    local threshold = self.threshold
    if self.from_logits then threshold = math.log(threshold / (1 - threshold)) end
    if self.top_k ~= 1 then usage("Accuracy: top_k needs scores of several classes") end
    return pred:gt(threshold):eq(target:ne(0))
  end
  if pred:dim() ~= target:dim() + 1 then
    usage(("Accuracy: scores of shape [batch, classes, ...] and classes of shape [batch, ...] expected, got %d and %d dimensions")
      :format(pred:dim(), target:dim()))
  end
  if self.top_k == 1 then return pred:argmax(1):eq(target) end
  local _, best = pred:detach():topk(math.min(self.top_k, pred:size(1)), 1)
  return best:eq(target:unsqueeze(1)):any(1)
end

---Adds a batch.
---@param pred Tensor scores [batch, classes, ...], or probabilities of yes [batch, ...] (logits with from_logits)
---@param target Tensor classes [batch, ...]
---@param weight? Tensor of target's shape
function Accuracy:update(pred, target, weight)
  local hits = right(self, pred, target)
  local sum
  if weight then
    if tostring(weight.shape) ~= tostring(target.shape) then
      require("native.vm").raise("shape", ("Accuracy: the weight must have the target's shape %s, got %s"):format(
        tostring(target.shape), tostring(weight.shape)))
    end
    local float64 = require("torch").float64
    sum = hits:mul(weight):sum({dtype = float64})
    self.weight = self.weight + weight:sum({dtype = float64}):item()
  else
    sum = hits:sum()
    self.weight = self.weight + target:numel()
  end
  if sum.is_cpu then sum = sum:item() end  -- Note [Sums on the host]
  self.total = self.total and self.total + sum or sum
  if type(self.total) ~= "number" then require("native.tensor").keep(self.total) end
end

---The fraction so far; NaN before the first sample.
---@return number
function Accuracy:result()
  if self.weight == 0 then return 0 / 0 end
  return number(self.total) / self.weight
end

---Adds what another Accuracy has seen.
function Accuracy:merge(other)
  if other.weight == 0 then return end
  self.total = number(self.total or 0) + number(other.total)
  self.weight = self.weight + other.weight
end

---The fraction of samples that are right.
---@param arguments? table top_k = 1, threshold = 0.5 (a score exactly on it is no), from_logits = false
---@return table metric
return function(arguments)
  local self = setmetatable(keywords.check("train.metrics.Accuracy", arguments, {
    top_k = 1, threshold = 0.5, from_logits = false,
  }), Accuracy)
  if math.type(self.top_k) ~= "integer" or self.top_k < 1 then
    usage(("train.metrics.Accuracy: top_k must be a whole number of 1 or more, got %s"):format(tostring(self.top_k)))
  end
  self:reset()
  return self
end
