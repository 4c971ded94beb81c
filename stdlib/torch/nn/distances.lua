-- Distances of torch.nn between two batches of vectors.
local catalog = require "native.ops"
local layer = require "torch.nn.layer"
local native = require "native.model"

local fields <const> = native.fields
local cosine <const>, pairwise <const> = catalog.find_any "aten::cosine_similarity",
  catalog.find_any "aten::pairwise_distance"

local layers = {}

--- The cosine of the angle between vectors along a dimension.
---@param dim integer the vectors' dimension, 1
---@param eps number the least product of their norms, 1e-8
---@example nn.CosineSimilarity()(torch.eye(2), torch.ones(2, 2))  --> tensor([0.7071, 0.7071])
---@source torch.nn.CosineSimilarity
local CosineSimilarity = layer("CosineSimilarity", "dim=1, eps=1e-8", "dim: integer, eps: number")
layers.CosineSimilarity = CosineSimilarity

---@param x1 Tensor
---@param x2 Tensor of a shape that fits x1's
---@return Tensor without the dimension
function CosineSimilarity:forward(x1, x2)
  local f = fields(self)
  return cosine(x1, x2, f.dim, f.eps)
end

--- The p-norm of the difference of vectors in the last dimension.
---@param p number the norm's exponent, 2.0
---@param eps number added to the difference, 1e-6
---@param keepdim boolean the last dimension stays, of size 1; false
---@example nn.PairwiseDistance()(torch.zeros(1, 2), torch.tensor{{3., 4.}})  --> tensor([5.0000])
---@source torch.nn.PairwiseDistance
local PairwiseDistance, parse = layer("PairwiseDistance", "p=2.0, eps=1e-6, keepdim=false",
  "p: number, eps: number, keepdim: flag")
layers.PairwiseDistance = PairwiseDistance

function PairwiseDistance:__init(...) self.norm, self.eps, self.keepdim = parse(...) end

---@param x1 Tensor [batch, features] or [features]
---@param x2 Tensor of a shape that fits x1's
---@return Tensor [batch]
function PairwiseDistance:forward(x1, x2)
  local f = fields(self)
  return pairwise(x1, x2, f.norm, f.eps, f.keepdim)
end

return layers
