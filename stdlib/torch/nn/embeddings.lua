-- Embeddings of torch.nn: tables of vectors looked up by index, one by one or in bags.
local allocate = require "torch.nn.allocate"
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local init = require "torch.nn.initializers"
local layer = require "torch.nn.layer"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const>, embedding <const> = native.fields, catalog.find_any "aten::embedding"
local embedding_bag <const> = functional.embedding_bag

local parse_bags = signature("EmbeddingBag.forward", "input, offsets=nil, per_sample_weights=nil")

local layers = {}

-- A row counted from 0.
local function row_of(padding, count, word)
  if padding == nil then return nil end
  if padding >= count and padding > 0 or padding < -count then
    vm.raise("usage", word .. " must be within num_embeddings")
  end
  return padding < 0 and padding + count or padding
end

-- The table: drawn, or given.
local function add_weight(self, given, trained, device, dtype)
  local count, dim = self.num_embeddings, self.embedding_dim
  if given == nil then
    self.weight = allocate.parameter({count, dim}, device, dtype)
    self:reset_parameters()
    self.weight:requires_grad_(trained)
    return
  end
  if #given.shape ~= 2 or given:size(0) ~= count or given:size(1) ~= dim then
    vm.raise("shape", "Shape of weight does not match num_embeddings and embedding_dim")
  end
  self.weight = native.parameter(given, trained)
end

--- Draws the parameters anew, as PyTorch does when it makes the layer.
---@example local layer = nn.Embedding(3, 2)
--- nn.init.zeros_(layer.weight)
--- layer:reset_parameters()
--- torch.count_nonzero(layer.weight):item()  --> 6
local function reset_parameters(self)
  init.normal_(self.weight)
  if self.padding_idx then self.weight:detach():select(0, self.padding_idx):fill_(0) end
end

local function check_pretrained(embeddings)
  if embeddings:dim() ~= 2 then vm.raise("shape", "Embeddings parameter is expected to be 2-dimensional") end
  return embeddings:size(0), embeddings:size(1)
end

--- A table of vectors looked up by index.
---@param num_embeddings integer rows
---@param embedding_dim integer columns
---@param padding_idx integer? a row of zeros without gradient, nil
---@param max_norm number? rows looked up are scaled in place to at most this norm, nil
---@param norm_type number the norm's exponent, 2.0
---@param scale_grad_by_freq boolean divides gradients by how often the row was looked up, false
---@param sparse boolean the gradient is a sparse tensor, false
---@param _weight Tensor? the table, drawn if not given
---@param _freeze boolean the table is not trained, false
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.Embedding(10, 4)(torch.tensor{1, 2}).shape  --> torch.Size([2, 4])
---@source torch.nn.Embedding
local Embedding, parse = layer("Embedding", "num_embeddings, embedding_dim, padding_idx=nil, max_norm=nil, norm_type=2.0, "
  .. "scale_grad_by_freq=false, sparse=false, _weight=nil, _freeze=false, device=nil, dtype=nil",
  "num_embeddings: size, embedding_dim: size, padding_idx: integer?, max_norm: number?, norm_type: number, "
  .. "scale_grad_by_freq: flag, sparse: flag, _weight: tensor?, _freeze: flag")
layers.Embedding = Embedding

function Embedding:__init(...)
  local count, dim, padding, max_norm, norm_type, by_freq, sparse, weight, freeze, device, dtype = parse(...)
  self.num_embeddings, self.embedding_dim = count, dim
  self.padding_idx = row_of(padding, count, "Padding_idx")
  self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse = max_norm, norm_type, by_freq, sparse
  add_weight(self, weight, not freeze, device, dtype)
end
Embedding.reset_parameters = reset_parameters

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
  if self.padding_idx ~= nil then out = out .. ", " .. text.fields(self, "padding_idx") end
  if self.max_norm ~= nil then out = out .. ", " .. text.fields(self, "max_norm") end
  if self.norm_type ~= 2 then out = out .. ", " .. text.fields(self, "norm_type") end
  if self.scale_grad_by_freq then out = out .. ", scale_grad_by_freq=True" end
  if self.sparse then out = out .. ", sparse=True" end
  return out
end

local parse_pretrained = signature("nn.Embedding.from_pretrained", "embeddings, freeze=true, padding_idx=nil, "
  .. "max_norm=nil, norm_type=2.0, scale_grad_by_freq=false, sparse=false")

--- An embedding of a table that is there already, with which it shares memory.
---@param embeddings Tensor [rows, columns]
---@param freeze boolean the table is not trained, true
---@param padding_idx integer? a row without gradient, nil
---@param max_norm number? rows looked up are scaled in place to at most this norm, nil
---@param norm_type number the norm's exponent, 2.0
---@param scale_grad_by_freq boolean divides gradients by how often the row was looked up, false
---@param sparse boolean the gradient is a sparse tensor, false
---@return Module
---@example nn.Embedding.from_pretrained(torch.tensor{{1., 2.}, {3., 4.}})(torch.tensor{1})  --> tensor([[3., 4.]])
---@source torch.nn.Embedding.from_pretrained
function Embedding.from_pretrained(...)
  local embeddings, freeze, padding, max_norm, norm_type, by_freq, sparse = parse_pretrained(...)
  local rows, columns = check_pretrained(embeddings)
  return Embedding(rows, columns, padding, max_norm, norm_type, by_freq, sparse, embeddings, freeze)
end

--- Sums, means or maxima of the vectors of each bag of indices, without the vectors themselves.
---@param num_embeddings integer rows
---@param embedding_dim integer columns
---@param max_norm number? rows looked up are scaled in place to at most this norm, nil
---@param norm_type number the norm's exponent, 2.0
---@param scale_grad_by_freq boolean divides gradients by how often the row was looked up, false
---@param mode string sum, mean or max; 'mean'
---@param sparse boolean the gradient is a sparse tensor, false
---@param _weight Tensor? the table, drawn if not given
---@param include_last_offset boolean offsets ends with the length of input, false
---@param padding_idx integer? a row that does not count, nil
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.EmbeddingBag(10, 4)(torch.tensor{1, 2, 5}, torch.tensor{0, 2}).shape  --> torch.Size([2, 4])
---@source torch.nn.EmbeddingBag
local EmbeddingBag, parse_bag = layer("EmbeddingBag", "num_embeddings, embedding_dim, max_norm=nil, norm_type=2.0, "
  .. "scale_grad_by_freq=false, mode='mean', sparse=false, _weight=nil, include_last_offset=false, padding_idx=nil, "
  .. "device=nil, dtype=nil", "num_embeddings: size, embedding_dim: size, max_norm: number?, norm_type: number, "
  .. "scale_grad_by_freq: flag, mode: text, sparse: flag, _weight: tensor?, include_last_offset: flag, padding_idx: integer?")
layers.EmbeddingBag = EmbeddingBag

function EmbeddingBag:__init(...)
  local count, dim, max_norm, norm_type, by_freq, mode, sparse, weight, include_last, padding, device, dtype = parse_bag(...)
  self.num_embeddings, self.embedding_dim = count, dim
  self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, by_freq
  self.padding_idx = row_of(padding, count, "padding_idx")
  add_weight(self, weight, true, device, dtype)
  self.mode, self.sparse, self.include_last_offset = mode, sparse, include_last
end
EmbeddingBag.reset_parameters = reset_parameters

---@param x Tensor indices [bags, length], or [all bags' indices] with offsets
---@param offsets Tensor? where each bag begins in a 1-D input
---@param per_sample_weights Tensor? a factor of each index, mode 'sum' alone
---@return Tensor [bags, embedding_dim]
function EmbeddingBag:forward(x, ...)
  local offsets, per_sample_weights
  x, offsets, per_sample_weights = parse_bags(x, ...)
  local f = fields(self)
  return embedding_bag(x, f.weight, offsets, f.max_norm, f.norm_type, f.scale_grad_by_freq, f.mode, f.sparse,
    per_sample_weights, f.include_last_offset, f.padding_idx)
end

function EmbeddingBag:extra_repr()
  local out = ("%d, %d"):format(self.num_embeddings, self.embedding_dim)
  if self.max_norm ~= nil then out = out .. ", " .. text.fields(self, "max_norm") end
  if self.norm_type ~= 2 then out = out .. ", " .. text.fields(self, "norm_type") end
  if self.scale_grad_by_freq then out = out .. ", scale_grad_by_freq=True" end
  out = out .. ", mode=" .. text.quoted(self.mode)
  if self.padding_idx ~= nil then out = out .. ", " .. text.fields(self, "padding_idx") end
  return out
end

local parse_pretrained_bag = signature("nn.EmbeddingBag.from_pretrained", "embeddings, freeze=true, max_norm=nil, "
  .. "norm_type=2.0, scale_grad_by_freq=false, mode='mean', sparse=false, include_last_offset=false, padding_idx=nil")

--- A bag of a table that is there already, with which it shares memory.
---@param embeddings Tensor [rows, columns]
---@param freeze boolean the table is not trained, true
---@param max_norm number? rows looked up are scaled in place to at most this norm, nil
---@param norm_type number the norm's exponent, 2.0
---@param scale_grad_by_freq boolean divides gradients by how often the row was looked up, false
---@param mode string sum, mean or max; 'mean'
---@param sparse boolean the gradient is a sparse tensor, false
---@param include_last_offset boolean offsets ends with the length of input, false
---@param padding_idx integer? a row that does not count, nil
---@return Module
---@example nn.EmbeddingBag.from_pretrained(torch.tensor{{1., 2.}, {3., 4.}})(torch.tensor{{0, 1}})
--- --> tensor([[2., 3.]])
---@source torch.nn.EmbeddingBag.from_pretrained
function EmbeddingBag.from_pretrained(...)
  local embeddings, freeze, max_norm, norm_type, by_freq, mode, sparse, include_last, padding = parse_pretrained_bag(...)
  local rows, columns = check_pretrained(embeddings)
  local bag = EmbeddingBag(rows, columns, max_norm, norm_type, by_freq, mode, sparse, embeddings, include_last, padding)
  bag.weight:requires_grad_(not freeze)
  return bag
end

return layers
