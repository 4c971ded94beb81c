-- Embeddings of torch.nn.functional: rows of a table by index.
local catalog = require "native.ops"
local native = require "native.tensor"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"
local warn = require "torch.warn"

local embeddings = {}

local function op(name) return catalog.find_any("aten::" .. name) end

local embedding <const>, renorm <const> = op "embedding", op "embedding_renorm_"
local parse_embedding = signature("F.embedding",
  "input, weight, padding_idx=nil, max_norm=nil, norm_type=2.0, scale_grad_by_freq=false, sparse=false")

--- Rows of a table by index. A usage error for a padding_idx outside it.
---@param input Tensor integers of any shape
---@param weight Tensor [rows, columns]
---@param padding_idx integer? a row without gradient, nil
---@param max_norm number? rows looked up are scaled in place to at most this norm, nil
---@param norm_type number the norm's exponent, 2.0
---@param scale_grad_by_freq boolean divides gradients by how often the row was looked up, false
---@param sparse boolean the gradient is a sparse tensor, false
---@return Tensor [..., columns]
---@example F.embedding(torch.tensor{1, 0}, torch.tensor{{1., 2.}, {3., 4.}}):tolist()  --> {{3.0, 4.0}, {1.0, 2.0}}
---@source torch.nn.functional.embedding
function embeddings.embedding(...)
  local input, weight, padding, max_norm, norm_type, by_freq, sparse = parse_embedding(...)
  if padding ~= nil then
    local rows = weight:size(0)
    if padding >= rows and padding > 0 or padding < -rows then
      vm.raise("usage", "Padding_idx must be within num_embeddings")
    end
    if padding < 0 then padding = padding + rows end
  end
  if max_norm ~= nil then
    input = input:contiguous()
    renorm(weight:detach(), input, max_norm, norm_type)
  end
  return embedding(weight, input, padding or -1, by_freq, sparse)
end

local bag <const>, arange <const> = op "embedding_bag", op "arange"
local MODES <const> = {sum = 0, mean = 1, max = 2}
local parse_bag = signature("F.embedding_bag", "input, weight, offsets=nil, max_norm=nil, norm_type=2, "
  .. "scale_grad_by_freq=false, mode='mean', sparse=false, per_sample_weights=nil, include_last_offset=false, "
  .. "padding_idx=nil")

local function fail(message) vm.raise("usage", message) end

--- Sums, means or maxima of the rows of each bag of indices, without the rows themselves.
---@param input Tensor indices [bags, length], or [all bags' indices] with offsets
---@param weight Tensor [rows, columns]
---@param offsets Tensor? where each bag begins in a 1-D input
---@param max_norm number? rows looked up are scaled in place to at most this norm, nil
---@param norm_type number the norm's exponent, 2
---@param scale_grad_by_freq boolean divides gradients by how often the row was looked up, false
---@param mode string sum, mean or max; 'mean'
---@param sparse boolean the gradient is a sparse tensor, false
---@param per_sample_weights Tensor? a factor of each index, mode 'sum' alone
---@param include_last_offset boolean offsets ends with the length of input, false
---@param padding_idx integer? a row that does not count, nil
---@return Tensor [bags, columns]
---@example F.embedding_bag(torch.tensor{{0, 1}}, torch.tensor{{1., 2.}, {3., 4.}}, {mode = "sum"})
--- --> tensor([[4., 6.]])
---@source torch.nn.functional.embedding_bag
function embeddings.embedding_bag(...)
  local input, weight, offsets, max_norm, norm_type, by_freq, mode, sparse, factors, include_last, padding =
    parse_bag(...)
  if weight.dtype == native.int64 and input:is_floating_point() then
    warn("Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, ...)` is "
      .. "deprecated, and should now be `embedding_bag(input, weight, ...)`.")
    weight, input = input, weight
  end
  if factors ~= nil and tostring(input.shape) ~= tostring(factors.shape) then
    fail(("embedding_bag: If per_sample_weights (%s) is not None, then it must have the same shape as the input (%s)")
      :format(tostring(factors.shape), tostring(input.shape)))
  end
  local dims = input:dim()
  if weight:dim() ~= 2 then
    fail("weight has to be a 2D Tensor, but got Tensor of dimension " .. weight:dim())
  end
  if dims == 2 then
    if offsets ~= nil then
      fail("if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. "
        .. "However, found offsets of type <class 'torch.Tensor'>")
    end
    offsets = arange(0, input:numel(), input:size(1), {dtype = input.dtype, device = input.device})
    include_last = false
    input = input:reshape(-1)
    factors = factors and factors:reshape(-1)
  elseif dims == 1 then
    if offsets == nil then fail "offsets has to be a 1D Tensor but got None" end
    if offsets:dim() ~= 1 then fail "offsets has to be a 1D Tensor" end
  else
    fail("input has to be 1D or 2D Tensor, but got Tensor of dimension " .. dims)
  end
  local number = MODES[mode] or fail "mode has to be one of sum, mean or max"
  if number == 2 then
    if by_freq then fail "max mode does not support scaling the gradient by the frequency" end
    if sparse then fail "max mode does not support sparse weights" end
  end
  if max_norm ~= nil then renorm(weight:detach(), input, max_norm, norm_type) end
  if factors ~= nil and number ~= 0 then
    fail(("embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got "
      .. "mode='%s'). Please open a feature request on GitHub."):format(text.value(mode)))
  end
  return (bag(weight, input, offsets, by_freq, number, sparse, factors, include_last, padding))
end

return embeddings
