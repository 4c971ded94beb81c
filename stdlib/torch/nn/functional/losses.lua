-- Losses of torch.nn.functional. `reduction` is 'mean', 'sum' or 'none'; the first two give a 0-dim tensor.
local catalog = require "native.ops"
local signature = require "torch.signature"
local vm = require "native.vm"

local losses = {}

local function op(name) return catalog.find_any("aten::" .. name) end

local is_same_size <const> = op "is_same_size"

-- The operators' number for a reduction's name.
local REDUCTIONS <const> = {none = 0, mean = 1, sum = 2}
local function reduction_number(name)
  return REDUCTIONS[name] or vm.raise("usage", ("%s is not a valid value for reduction"):format(vm.describe(name)),
    "none, mean and sum are")
end

local cross_entropy <const>, nll_loss <const>, kl_div <const> = op "cross_entropy_loss", op "nll_loss_nd", op "kl_div"
local parse_cross_entropy = signature("F.cross_entropy",
  "input, target, weight=nil, ignore_index=-100, reduction='mean', label_smoothing=0.0")
local parse_nll = signature("F.nll_loss", "input, target, weight=nil, ignore_index=-100, reduction='mean'")
local parse_kl_div = signature("F.kl_div", "input, target, reduction='mean', log_target=false")

--- Softmax and negative log likelihood of classes.
---@param input Tensor logits [batch, classes, ...] or [classes]
---@param target Tensor int64 classes [batch, ...], or probabilities of input's shape
---@param weight Tensor? [classes] how much each class counts, nil
---@param ignore_index integer targets that do not count, -100
---@param reduction string over the samples, 'mean'
---@param label_smoothing number share of the uniform distribution, 0.0
---@return Tensor 0-dim, or of target's shape
---@source torch.nn.functional.cross_entropy
function losses.cross_entropy(input, target, ...)
  if select("#", ...) == 0 then return cross_entropy(input, target) end
  local x, y, weight, ignore_index, reduction, smoothing = parse_cross_entropy(input, target, ...)
  return cross_entropy(x, y, weight, reduction_number(reduction), ignore_index, smoothing)
end

--- Negative log likelihood of classes.
---@param input Tensor log-probabilities [batch, classes, ...] or [classes]
---@param target Tensor int64 classes [batch, ...]
---@param weight Tensor? [classes] how much each class counts, nil
---@param ignore_index integer targets that do not count, -100
---@param reduction string over the samples, 'mean'
---@return Tensor 0-dim, or of target's shape
---@source torch.nn.functional.nll_loss
function losses.nll_loss(...)
  local input, target, weight, ignore_index, reduction = parse_nll(...)
  return nll_loss(input, target, weight, reduction_number(reduction), ignore_index)
end

-- PyTorch broadcasts these with a warning; the warning's cause is nearly always a mistake.
local function check_shapes(name, input, target)
  if is_same_size(input, target) then return end
  require("host").log.warn(("F.%s: the target's size %s differs from the input's size %s: they are broadcast, "
    .. "which is likely a mistake"):format(name, tostring(target.shape), tostring(input.shape)))
end

local function distance(name)
  local of = op(name)
  local parse = signature("F." .. name, "input, target, reduction='mean'")
  return function(...)
    local input, target, reduction = parse(...)
    check_shapes(name, input, target)
    return of(input, target, reduction_number(reduction))
  end
end

--- The squared difference.
---@param input Tensor
---@param target Tensor of input's shape; others are broadcast, with a warning
---@param reduction string over all elements, 'mean'
---@return Tensor 0-dim, or of input's shape
---@source torch.nn.functional.mse_loss
losses.mse_loss = distance "mse_loss"

--- The absolute difference.
---@param input Tensor
---@param target Tensor of input's shape; others are broadcast, with a warning
---@param reduction string over all elements, 'mean'
---@return Tensor 0-dim, or of input's shape
---@source torch.nn.functional.l1_loss
losses.l1_loss = distance "l1_loss"

local function mixed_distance(name, argument)
  local of = op(name)
  local parse = signature("F." .. name, "input, target, reduction='mean', " .. argument .. "=1.0")
  return function(...)
    local input, target, reduction, width = parse(...)
    check_shapes(name, input, target)
    return of(input, target, reduction_number(reduction), width)
  end
end

--- The squared difference below beta (divided by 2 beta), the absolute one above.
---@param input Tensor
---@param target Tensor of input's shape; others are broadcast, with a warning
---@param reduction string over all elements, 'mean'
---@param beta number where the two meet, 1.0
---@return Tensor 0-dim, or of input's shape
---@source torch.nn.functional.smooth_l1_loss
losses.smooth_l1_loss = mixed_distance("smooth_l1_loss", "beta")

--- Half the squared difference below delta, delta times the absolute one above.
---@param input Tensor
---@param target Tensor of input's shape; others are broadcast, with a warning
---@param reduction string over all elements, 'mean'
---@param delta number where the two meet, 1.0
---@return Tensor 0-dim, or of input's shape
---@source torch.nn.functional.huber_loss
losses.huber_loss = mixed_distance("huber_loss", "delta")

local binary <const>, with_logits <const> = op "binary_cross_entropy", op "binary_cross_entropy_with_logits"
local parse_binary = signature("F.binary_cross_entropy", "input, target, weight=nil, reduction='mean'")
local parse_logits = signature("F.binary_cross_entropy_with_logits",
  "input, target, weight=nil, reduction='mean', pos_weight=nil")

local function check_same_shape(input, target)
  if is_same_size(input, target) then return end
  vm.raise("shape", ("Target size (%s) must be the same as input size (%s)"):format(tostring(target.shape),
    tostring(input.shape)))
end

--- Binary cross entropy of probabilities. A shape error unless the shapes are equal.
---@param input Tensor probabilities
---@param target Tensor 0 to 1, of input's shape
---@param weight Tensor? factor of each element, nil
---@param reduction string over all elements, 'mean'
---@return Tensor 0-dim, or of input's shape
---@source torch.nn.functional.binary_cross_entropy
function losses.binary_cross_entropy(...)
  local input, target, weight, reduction = parse_binary(...)
  check_same_shape(input, target)
  return binary(input, target, weight, reduction_number(reduction))
end

--- A sigmoid and binary cross entropy in one. A shape error unless the shapes are equal.
---@param input Tensor logits
---@param target Tensor 0 to 1, of input's shape
---@param weight Tensor? factor of each element, nil
---@param reduction string over all elements, 'mean'
---@param pos_weight Tensor? factor of the positive part, nil
---@return Tensor 0-dim, or of input's shape
---@source torch.nn.functional.binary_cross_entropy_with_logits
function losses.binary_cross_entropy_with_logits(...)
  local input, target, weight, reduction, pos_weight = parse_logits(...)
  check_same_shape(input, target)
  return with_logits(input, target, weight, pos_weight, reduction_number(reduction))
end

--- Kullback-Leibler divergence: target (log target - input).
---@param input Tensor log-probabilities
---@param target Tensor probabilities, or their logarithms with log_target
---@param reduction string 'batchmean' (PyTorch's advice) divides by the batch size, 'mean'
---@param log_target boolean target is given as logarithms, false
---@return Tensor 0-dim, or of input's shape
---@source torch.nn.functional.kl_div
function losses.kl_div(...)
  local input, target, reduction, log_target = parse_kl_div(...)
  if reduction == "batchmean" then
    return kl_div(input, target, 2, {log_target = log_target}) / input:size(0)
  end
  return kl_div(input, target, reduction_number(reduction), {log_target = log_target})
end

return losses
