-- nn.Embedding: a table of vectors looked up by index.
local allocate = require "torch.nn.allocate"
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local init = require "torch.nn.initializers"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const>, embedding <const> = native.fields, catalog.find_any("aten::embedding")

---@class Embedding : Module
local Embedding = module.class("Embedding")
local parse = require "torch.nn.typed"(
  signature("nn.Embedding", "num_embeddings, embedding_dim, padding_idx=nil, max_norm=nil, norm_type=2.0, "
  .. "scale_grad_by_freq=false, sparse=false, device=nil, dtype=nil"),
  "nn.Embedding", "num_embeddings: size, embedding_dim: size, padding_idx: integer?, max_norm: number?, "
  .. "norm_type: number, scale_grad_by_freq: flag, sparse: flag")

---@param num_embeddings integer rows
---@param embedding_dim integer columns
---@param padding_idx integer? a row of zeros without gradient, nil
---@param max_norm number? rows looked up are scaled in place to at most this norm, nil
---@param norm_type number the norm's exponent, 2.0
---@param scale_grad_by_freq boolean divides gradients by how often the row was looked up, false
---@param sparse boolean the gradient is a sparse tensor, false
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.Embedding(10, 4)(torch.tensor{1, 2}).shape  --> torch.Size([2, 4])
---@source torch.nn.Embedding
function Embedding:__init(...)
  local count, dim, padding, max_norm, norm_type, by_freq, sparse, device, dtype = parse(...)
  if padding ~= nil then
    if padding >= count or padding < -count then vm.raise("usage", "Padding_idx must be within num_embeddings") end
    if padding < 0 then padding = padding + count end
  end
  self.num_embeddings, self.embedding_dim, self.padding_idx = count, dim, padding
  self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse = max_norm, norm_type, by_freq, sparse
  self.weight = allocate.parameter({count, dim}, device, dtype)
  self:reset_parameters()
end

--- Draws the parameters anew, as PyTorch does when it makes the layer.
---@example local layer = nn.Embedding(3, 2)
--- nn.init.zeros_(layer.weight)
--- layer:reset_parameters()
--- torch.count_nonzero(layer.weight):item()  --> 6
function Embedding:reset_parameters()
  init.normal_(self.weight)
  if self.padding_idx then self.weight:detach():select(0, self.padding_idx):fill_(0) end
end

---@param x Tensor integers of any shape
---@return Tensor [..., embedding_dim]
function Embedding:forward(x)
  local f = fields(self)
  if f.max_norm then
    return functional.embedding(x, f.weight, f.padding_idx, f.max_norm, f.norm_type, f.scale_grad_by_freq, f.sparse)
  end
  return embedding(f.weight, x, f.padding_idx or -1, f.scale_grad_by_freq, f.sparse)
end

function Embedding:extra_repr()
  local out = ("%d, %d"):format(self.num_embeddings, self.embedding_dim)
  if self.padding_idx ~= nil then out = out .. ", " .. text.pairs("padding_idx", self.padding_idx) end
  if self.max_norm ~= nil then out = out .. ", " .. text.pairs("max_norm", self.max_norm) end
  if self.norm_type ~= 2 then out = out .. ", " .. text.pairs("norm_type", self.norm_type) end
  if self.scale_grad_by_freq then out = out .. ", scale_grad_by_freq=True" end
  if self.sparse then out = out .. ", sparse=True" end
  return out
end

return Embedding
