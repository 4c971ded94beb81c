-- train.metrics.CosineSimilarity: the cosine of the angle between predictions and targets, vector by vector.
local keywords = require "host.keywords"
local regression = require "train.metrics.regression"
local sums = require "train.metrics.sums"
local torch = require "torch"
local undefined = require "train.metrics.undefined"
local vm = require "native.vm"

local NAME <const> = "train.metrics.CosineSimilarity"

local CosineSimilarity = sums.class("CosineSimilarity", {"total", "weight"}, "max")

---Adds vectors.
---@param pred Tensor [n, d], or with the vectors along `dim`
---@param target Tensor of the same shape
---@param weight? Tensor one number a vector, or one a row
function CosineSimilarity:update(pred, target, weight)
  pred, target = regression.pair(self, pred, target, weight)
  target = target:to(pred.dtype)
  local dims = pred:dim()
  if dims == 0 or self.dim >= dims or self.dim < -dims then
    vm.raise("shape", ("CosineSimilarity: vectors along dim %d expected, got the shape %s"):format(self.dim, tostring(pred.shape)))
  end
  local function length(x) return torch.linalg.vector_norm(x, 2, self.dim) end
  local lengths = length(pred) * length(target)
  local cosine = (pred * target):sum(self.dim) / torch.where(lengths:eq(0), 1.0, lengths)
  local count = cosine:numel()
  if weight then
    weight = regression.weight(self, weight, cosine)
    cosine, count = cosine * weight, weight:expand_as(cosine):sum()
  end
  sums.add(self, {total = cosine:sum(), weight = count})
end

---The mean cosine so far (the sum with reduction = "sum"), NaN before the first vector.
---@return number
function CosineSimilarity:result()
  local weight = sums.read(self.sums.weight or 0)
  if weight == 0 then return undefined(self, "there are no vectors") end
  local total = sums.read(self.sums.total)
  return self.reduction == "sum" and total or total / weight
end

---The cosine similarity of vectors, 1 for the same direction, -1 for the opposite, as Keras has it: a vector of zeros has 0.
---@param arguments? table dim = -1: the dimension that the vectors lie along; reduction = "mean" | "sum" over vectors
---@return table metric
---@example local cosine = train.metrics.CosineSimilarity()
--- cosine:update(torch.tensor{{0.0, 1.0}, {1.0, 1.0}}, torch.tensor{{1.0, 0.0}, {1.0, 1.0}})
--- ("%.2f"):format(cosine:result())  --> 0.50
return function(arguments)
  local self = setmetatable(keywords.check(NAME, arguments, {dim = -1, reduction = "mean"}), CosineSimilarity)
  require("train.options").check(NAME, self, {reduction = {"mean", "sum"}, dim = "integer"})
  self._options = sums.options_text(self, {"dim"})
  self:reset()
  return self
end
