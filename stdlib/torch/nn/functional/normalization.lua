-- Normalization and embedding of torch.nn.functional.
local catalog = require "native.ops"
local signature = require "torch.signature"
local vm = require "native.vm"

local normalization = {}

local function op(name) return catalog.find_any("aten::" .. name) end

local batch_norm <const>, layer_norm <const>, group_norm <const> = op "batch_norm", op "layer_norm", op "group_norm"
local vector_norm <const> = op "linalg_vector_norm"
local embedding <const>, renorm <const> = op "embedding", op "embedding_renorm_"

local parse_batch = signature("F.batch_norm",
  "input, running_mean, running_var, weight=nil, bias=nil, training=false, momentum=0.1, eps=1e-5")
local parse_layer = signature("F.layer_norm", "input, normalized_shape, weight=nil, bias=nil, eps=1e-5")
local parse_group = signature("F.group_norm", "input, num_groups, weight=nil, bias=nil, eps=1e-5")
local parse_normalize = signature("F.normalize", "input, p=2.0, dim=1, eps=1e-12")
local parse_embedding = signature("F.embedding",
  "input, weight, padding_idx=nil, max_norm=nil, norm_type=2.0, scale_grad_by_freq=false, sparse=false")

local function check_count(input)
  local count = input:numel() // input:size(1)
  if count == 1 then
    vm.raise("shape", "Expected more than 1 value per channel when training, got input size " .. tostring(input.shape))
  end
end

--- Normalizes each channel over the batch, or by running statistics. A shape error if training has one value a channel.
---@param input Tensor [batch, channels, ...]
---@param running_mean Tensor? [channels], updated in place when training
---@param running_var Tensor? [channels], updated in place when training
---@param weight Tensor? [channels] a factor, nil
---@param bias Tensor? [channels] added, nil
---@param training boolean uses the statistics of the batch, false
---@param momentum number the batch's share in the running statistics, 0.1
---@param eps number added to the variance, 1e-5
---@return Tensor of input's shape
---@source torch.nn.functional.batch_norm
function normalization.batch_norm(...)
  local input, mean, var, weight, bias, training, momentum, eps
  if select("#", ...) == 8 then input, mean, var, weight, bias, training, momentum, eps = ...
  else
    local values = table.pack(...)
    -- running_mean and running_var may be None
    if values.n >= 3 and values[2] == nil then values[2] = false end
    if values.n >= 3 and values[3] == nil then values[3] = false end
    input, mean, var, weight, bias, training, momentum, eps = parse_batch(table.unpack(values, 1, values.n))
  end
  if training then check_count(input) end
  return batch_norm(input, weight, bias, mean or nil, var or nil, training, momentum, eps, true)
end

--- Normalizes each sample over its last dimensions.
---@param input Tensor [..., normalized_shape]
---@param normalized_shape integer[] the last dimensions
---@param weight Tensor? of normalized_shape, a factor, nil
---@param bias Tensor? of normalized_shape, added, nil
---@param eps number added to the variance, 1e-5
---@return Tensor of input's shape
---@source torch.nn.functional.layer_norm
function normalization.layer_norm(...) return layer_norm(parse_layer(...)) end

--- Normalizes each sample over groups of channels.
---@param input Tensor [batch, channels, ...]
---@param num_groups integer divides channels
---@param weight Tensor? [channels] a factor, nil
---@param bias Tensor? [channels] added, nil
---@param eps number added to the variance, 1e-5
---@return Tensor of input's shape
---@source torch.nn.functional.group_norm
function normalization.group_norm(...) return group_norm(parse_group(...)) end

--- Divides by the p-norm over a dimension.
---@param input Tensor
---@param p number the norm's exponent, 2.0
---@param dim integer the dimension, from 0, 1
---@param eps number the least divisor, 1e-12
---@return Tensor of input's shape
---@source torch.nn.functional.normalize
function normalization.normalize(...)
  local input, p, dim, eps = parse_normalize(...)
  return input / vector_norm(input, p, {dim}, true):clamp_min(eps):expand_as(input)
end

--- Rows of a table by index. A usage error for a padding_idx outside it.
---@param input Tensor integers of any shape
---@param weight Tensor [rows, columns]
---@param padding_idx integer? a row without gradient, nil
---@param max_norm number? rows looked up are scaled in place to at most this norm, nil
---@param norm_type number the norm's exponent, 2.0
---@param scale_grad_by_freq boolean divides gradients by how often the row was looked up, false
---@param sparse boolean the gradient is a sparse tensor, false
---@return Tensor [..., columns]
---@source torch.nn.functional.embedding
function normalization.embedding(...)
  local input, weight, padding, max_norm, norm_type, by_freq, sparse = parse_embedding(...)
  local rows = weight:size(0)
  if padding ~= nil then
    if padding >= rows or padding < -rows then
      vm.raise("usage", "Padding_idx must be within num_embeddings, got " .. padding)
    end
    if padding < 0 then padding = padding + rows end
  end
  if max_norm ~= nil then renorm(weight:detach(), input:contiguous(), max_norm, norm_type) end
  return embedding(weight, input, padding or -1, by_freq, sparse)
end

return normalization
