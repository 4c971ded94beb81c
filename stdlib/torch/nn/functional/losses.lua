-- Losses of classes and probabilities, of torch.nn.functional.
local catalog = require "native.ops"
local reduction = require "torch.nn.functional.reduction"
local signature = require "torch.signature"
local vm = require "native.vm"
local warn = require "torch.warn"

local losses = {}

local function op(name) return catalog.find_any("aten::" .. name) end

local is_same_size <const>, int64 <const> = op "is_same_size", require("native.tensor").int64

local function fail(message, ...) vm.raise("shape", message:format(...)) end

local cross_entropy <const>, nll_loss <const> = op "cross_entropy_loss", op "nll_loss_nd"
local parse_cross_entropy = signature("F.cross_entropy", "input, target, weight=nil, size_average=nil, "
  .. "ignore_index=-100, reduce=nil, reduction='mean', label_smoothing=0.0")
local parse_nll = signature("F.nll_loss",
  "input, target, weight=nil, size_average=nil, ignore_index=-100, reduce=nil, reduction='mean'")

local look_at_first = require "torch.nn.functional.softmax_before"  -- nil after the first call

--- Softmax and negative log likelihood of classes. Warns if the first batch of all has gone through a softmax before.
---@param input Tensor logits [batch, classes, ...] or [classes]
---@param target Tensor int64 classes [batch, ...], or probabilities of input's shape
---@param weight Tensor? [classes] how much each class counts, nil
---@param size_average boolean? deprecated, nil
---@param ignore_index integer targets that do not count, -100
---@param reduce boolean? deprecated, nil
---@param reduction string over the samples, 'mean'
---@param label_smoothing number share of the uniform distribution, 0.0
---@return Tensor 0-dim, or of target's shape
---@example F.cross_entropy(torch.zeros(2, 4), torch.tensor{0, 3})  --> tensor(1.3863)
---@source torch.nn.functional.cross_entropy
function losses.cross_entropy(...)
  local x, y, weight, average, ignore_index, reduce, name, smoothing = parse_cross_entropy(...)
  if look_at_first then
    look_at_first(x)
    look_at_first = nil
  end
  return cross_entropy(x, y, weight, reduction.number(name, average, reduce), ignore_index, smoothing)
end

--- Negative log likelihood of classes.
---@param input Tensor log-probabilities [batch, classes, ...] or [classes]
---@param target Tensor int64 classes [batch, ...]
---@param weight Tensor? [classes] how much each class counts, nil
---@param size_average boolean? deprecated, nil
---@param ignore_index integer targets that do not count, -100
---@param reduce boolean? deprecated, nil
---@param reduction string over the samples, 'mean'
---@return Tensor 0-dim, or of target's shape
---@example F.nll_loss(torch.tensor{{-1., -2.}}, torch.tensor{1})  --> tensor(2.)
---@source torch.nn.functional.nll_loss
function losses.nll_loss(...)
  local input, target, weight, average, ignore_index, reduce, name = parse_nll(...)
  return nll_loss(input, target, weight, reduction.number(name, average, reduce), ignore_index)
end

local linear <const> = op "linear"
local parse_linear = signature("F.linear_cross_entropy", "input, linear_weight, target, *, linear_bias=nil, weight=nil, "
  .. "reduction='mean', ignore_index=nil, label_smoothing=0.0, options=nil")

-- "(3, 4)", as Python writes a tuple.
local function tuple(list) return "(" .. table.concat(list, ", ") .. (#list == 1 and ",)" or ")") end

local function equal(a, b) return table.concat(a, ",") == table.concat(b, ",") end

local function in_parts(input, matrix, target, bias, weight, name, ignore_index, options)
  local chunked = require "torch.nn.functional.chunked_cross_entropy"
  reduction.number(name)
  local batched = input:dim() == 2
  if not batched then input, target = input:unsqueeze(0), target:unsqueeze(0) end
  local given = chunked.resolve(options, input:size(0), input:size(1), matrix:size(0), input.dtype, input.device)
  given.reduction, given.ignore_index = name, ignore_index
  local loss = chunked.loss(input, matrix, target, bias, weight, given)
  return not batched and name == "none" and loss:squeeze(0) or loss
end

--- A linear layer and cross_entropy in one.
---@param input Tensor [batch, in_features] or [in_features]
---@param linear_weight Tensor [classes, ..., in_features]
---@param target Tensor int64 classes [batch, ...], or probabilities
---@param linear_bias Tensor? [classes, ...], nil
---@param weight Tensor? [classes] how much each class counts, nil
---@param reduction string over the samples, 'mean'
---@param ignore_index integer? targets that do not count, -100
---@param label_smoothing number share of the uniform distribution, 0.0
---@param options table? of nn.LinearCrossEntropyOptions: the batch is computed in parts, which saves memory, nil
---@return Tensor 0-dim, or of target's shape
---@example local x, weight, target = torch.randn(4, 3), torch.randn(5, 3), torch.tensor{0, 1, 2, 3}
--- torch.allclose(F.linear_cross_entropy(x, weight, target), F.cross_entropy(F.linear(x, weight), target))  --> true
---@source torch.nn.functional.linear_cross_entropy
function losses.linear_cross_entropy(...)
  local input, matrix, target, bias, weight, name, ignore_index, smoothing, options = parse_linear(...)
  local shape, rows = {table.unpack(input.shape)}, {table.unpack(matrix.shape)}
  if #shape < 1 or #shape > 2 then fail("expected input with dimensionality 1 or 2, got %d", #shape) end
  if #rows < 2 then fail("expected linear_weight with dimensionality at least 2, got %d", #rows) end
  local in_features = table.remove(shape)
  local of_matrix = table.remove(rows)
  if in_features ~= of_matrix then
    fail("expected equal input and linear_weight last dimensions (in_features), got %d and %d, respectively",
      in_features, of_matrix)
  end
  if bias ~= nil and not equal(bias.shape, rows) then
    fail("expected linear_bias shape %s, got %s", tuple(rows), tuple(bias.shape))
  end
  if #rows > 1 and #shape == 0 then
    fail("K-dimensional loss defined by linear_weight shape %s requires batched input, (N, %d), got unbatched input with "
      .. "shape %s", tuple(matrix.shape), in_features, tuple(input.shape))
  end
  local logits_shape = table.move(rows, 1, #rows, #shape + 1, shape)
  if ignore_index ~= nil and equal(target.shape, logits_shape) then
    vm.raise("usage", "ignore_index cannot be specified when target contains probabilities")
  end
  if options ~= nil then
    if #rows == 1 and smoothing == 0 and target.dtype == int64 then
      return in_parts(input, matrix, target, bias, weight, name, ignore_index or -100, options)
    end
    warn(("linear_cross_entropy: ``options`` ignored; chunked path needs reduction in {'mean','sum','none'}, label_smoothing "
      .. "== 0, target.dtype == int64, out_features == (). Got reduction='%s', label_smoothing=%s, target.dtype=%s."):format(
      tostring(name), tostring(smoothing), tostring(target.dtype)))
  end
  if #rows > 1 then
    matrix = matrix:reshape({-1, in_features})
    bias = bias and bias:reshape(-1)
  end
  local logits = linear(input, matrix, bias):reshape(logits_shape)
  return cross_entropy(logits, target, weight, reduction.number(name), ignore_index or -100, smoothing)
end

local binary <const>, with_logits <const> = op "binary_cross_entropy", op "binary_cross_entropy_with_logits"
local parse_binary = signature("F.binary_cross_entropy",
  "input, target, weight=nil, size_average=nil, reduce=nil, reduction='mean'")
local parse_logits = signature("F.binary_cross_entropy_with_logits",
  "input, target, weight=nil, size_average=nil, reduce=nil, reduction='mean', pos_weight=nil")

--- Binary cross entropy of probabilities. A shape error unless the shapes are equal.
---@param input Tensor probabilities
---@param target Tensor 0 to 1, of input's shape
---@param weight Tensor? factor of each element, nil
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string over all elements, 'mean'
---@return Tensor 0-dim, or of input's shape
---@example F.binary_cross_entropy(torch.tensor{0.5, 0.5}, torch.tensor{0., 1.})  --> tensor(0.6931)
---@source torch.nn.functional.binary_cross_entropy
function losses.binary_cross_entropy(...)
  local input, target, weight, average, reduce, name = parse_binary(...)
  local number = reduction.number(name, average, reduce)
  if not is_same_size(input, target) then
    fail("Using a target size (%s) that is different to the input size (%s) is deprecated. Please ensure they have the "
      .. "same size.", tostring(target.shape), tostring(input.shape))
  end
  if weight ~= nil then
    weight = weight:expand(require("torch.shapes").broadcast_shapes(target.shape, weight.shape))
  end
  return binary(input, target, weight, number)
end

--- A sigmoid and binary cross entropy in one. A shape error unless the shapes are equal.
---@param input Tensor logits
---@param target Tensor 0 to 1, of input's shape
---@param weight Tensor? factor of each element, nil
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string over all elements, 'mean'
---@param pos_weight Tensor? factor of the positive part, nil
---@return Tensor 0-dim, or of input's shape
---@example F.binary_cross_entropy_with_logits(torch.zeros(2), torch.tensor{0., 1.})  --> tensor(0.6931)
---@source torch.nn.functional.binary_cross_entropy_with_logits
function losses.binary_cross_entropy_with_logits(...)
  local input, target, weight, average, reduce, name, pos_weight = parse_logits(...)
  local number = reduction.number(name, average, reduce)
  if not is_same_size(input, target) then
    fail("Target size (%s) must be the same as input size (%s)", tostring(target.shape), tostring(input.shape))
  end
  return with_logits(input, target, weight, pos_weight, number)
end

local kl_div <const> = op "kl_div"
local parse_kl_div = signature("F.kl_div",
  "input, target, size_average=nil, reduce=nil, reduction='mean', log_target=false")

--- Kullback-Leibler divergence: target (log target - input).
---@param input Tensor log-probabilities
---@param target Tensor probabilities, or their logarithms with log_target
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'batchmean' (PyTorch's advice) divides by the batch size, 'mean'
---@param log_target boolean target is given as logarithms, false
---@return Tensor 0-dim, or of input's shape
---@example F.kl_div(torch.tensor{{0.5, 0.5}}:log(), torch.tensor{{0.5, 0.5}}, {reduction = "batchmean"})
--- --> tensor(0.)
---@source torch.nn.functional.kl_div
function losses.kl_div(...)
  local input, target, average, reduce, name, log_target = parse_kl_div(...)
  local number
  if average ~= nil or reduce ~= nil then
    number = reduction.number(name, average, reduce)
  else
    if name == "mean" then
      warn("reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only "
        .. "by the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the same as "
        .. "'batchmean' in the next major release.")
    end
    number = name == "batchmean" and 2 or reduction.number(name)
  end
  local loss = kl_div(input, target, number, {log_target = log_target})
  if name == "batchmean" and input:dim() ~= 0 then return loss / input:size(0) end
  return loss
end

local ctc_loss <const> = op "ctc_loss"
local parse_ctc = signature("F.ctc_loss",
  "log_probs, targets, input_lengths, target_lengths, blank=0, reduction='mean', zero_infinity=false")

--- Connectionist temporal classification (Graves 2006).
---@param log_probs Tensor log-probabilities [time, batch, classes] or [time, classes]
---@param targets Tensor classes [batch, most] or all samples' one after the other
---@param input_lengths Tensor|integer[] [batch]
---@param target_lengths Tensor|integer[] [batch]
---@param blank integer the class of no symbol, 0
---@param reduction string over the samples, each divided by its target's length for 'mean'; 'mean'
---@param zero_infinity boolean infinite losses and their gradients are 0, false
---@return Tensor 0-dim, or [batch]
---@example local scores = torch.zeros(4, 1, 3):log_softmax(2)
--- F.ctc_loss(scores, torch.tensor{{1, 2}}, {4}, {2})  --> tensor(0.8432)
---@source torch.nn.functional.ctc_loss
function losses.ctc_loss(...)
  local log_probs, targets, inputs, lengths, blank, name, zero_infinity = parse_ctc(...)
  return ctc_loss(log_probs, targets, inputs, lengths, blank, reduction.number(name), zero_infinity)
end

return losses
