-- Cross entropy of a linear layer's outputs, a part of the batch at a time: the logits of a large vocabulary are never all
-- there at once. What is computed in which dtype is PyTorch's choice for every device but CUDA, where it saves one copy.
local autograd = require "torch.autograd"
local torch = require "torch"
local vm = require "native.vm"

local chunked = {}

local function is_half(dtype) return dtype == torch.float16 or dtype == torch.bfloat16 end

local function parts_of(method, samples, in_features, classes)
  local factor = math.tointeger(method:match(":(%d+)$") or 1)
  local target = -(-samples // -(-classes // in_features))
  local size = 1
  while size < target do size = size * 2 end
  return math.min(size // factor, samples)
end

--- What the options come to for these sizes: rows of a part, policy, dtype of sums.
---@param options table of nn.LinearCrossEntropyOptions
---@return table {chunk, policy, acc, retain}
function chunked.resolve(options, samples, in_features, classes, dtype, device)
  local policy, method, chunk = options.acc_policy, options.chunking_method, options.batch_chunk_size
  if method == "auto" and chunk then method = nil end
  local on_cpu = tostring(device):find("^cpu") ~= nil
  if policy == "auto" then policy = on_cpu and is_half(dtype) and "accurate" or "compact" end
  if method == "auto" then
    method = is_half(dtype) and on_cpu and "aspect_ratio" or "aspect_ratio:2"
  end
  local rows = math.min(chunk or samples, samples)
  if method then
    rows = parts_of(method, samples, in_features, classes)
    if chunk and chunk ~= rows then
      vm.raise("usage", ("batch_chunk_size (=%d) and chunking_method ('%s') give different chunk sizes (%d vs %d); pass only "
        .. "one."):format(chunk, method, chunk, rows))
    end
  end
  local acc = options.acc_dtype or options.acc_policy == "auto" and is_half(dtype) and torch.float32 or dtype
  if dtype ~= acc and not (is_half(dtype) and acc == torch.float32) then
    vm.raise("dtype", ("linear_cross_entropy supports float32 acc_dtype with float16/bfloat16 inputs, but got %s acc_dtype and "
      .. "%s inputs."):format(tostring(acc), tostring(dtype)))
  end
  return {chunk = math.max(1, rows), policy = policy, acc = acc, retain = options.allow_retain_graph}
end

-- The factor of each sample: minus its class's weight, over the sum of weights for the mean; 0 where it does not count.
local function factors_of(target, index, mask, weight, dtype, reduction, upstream)
  local factors
  if weight == nil then factors = mask:logical_not():to(dtype)
  elseif target:numel() > weight:numel() then factors = torch.where(mask, 0, weight:to(dtype):index_select(0, index))
  else factors = torch.where(mask, 0, weight:index_select(0, index):to(dtype)) end
  if reduction == "mean" then
    local sum = factors:sum()
    factors:div_(torch.where(sum:eq(0), torch.nan, -sum))
  elseif reduction == "sum" then factors:neg_()
  elseif upstream ~= nil then factors:neg_():mul_(upstream:to(factors.dtype)) end
  return factors
end

-- The loss and the gradients that `needs` asks for, all in one walk over the parts; for reduction 'none' the losses, or the
-- gradients if `upstream` is given.
local function walk(input, matrix, target, bias, weight, given, needs, upstream)
  local dtype, acc, reduction = input.dtype, given.acc, given.reduction
  local mixed, thrifty = dtype ~= acc, given.policy ~= "accurate"
  local logits_dtype = mixed and not (dtype == torch.float16 and thrifty) and acc or dtype
  local output_dtype = mixed and dtype == torch.float16 and acc or dtype
  local direct = given.policy == "compact" and logits_dtype == dtype  -- the weight's gradient without a buffer
  local samples, device = input:size(0), input.device
  local classes = matrix:size(0)
  local mask = target:eq(given.ignore_index)
  local outside = given.ignore_index < 0 or given.ignore_index >= classes
  local index = outside and torch.where(mask, 0, target) or target
  local factors = factors_of(target, index, mask, weight, mixed and acc or dtype, reduction, upstream)
  local cast, cast_bias = matrix:to(logits_dtype), bias and bias:to(logits_dtype)
  local widened = mixed and (needs.matrix or dtype ~= logits_dtype)
  local losses_alone = reduction == "none" and upstream == nil
  local output = losses_alone and torch.empty({samples}, {dtype = dtype, device = device})
    or torch.zeros({}, {dtype = output_dtype, device = device})
  if reduction == "mean" and samples == 0 then output:fill_(torch.nan) end
  local of_input = needs.input and torch.empty(input.shape,
    {dtype = mixed and not thrifty and acc or dtype, device = device})
  local of_matrix = needs.matrix and torch.zeros(matrix.shape, {dtype = dtype, device = device})
  local of_bias = needs.bias and torch.zeros({classes}, {dtype = dtype, device = device})

  local function add_gradients(logits, rows, wide, factor, at, first, count)
    if of_bias then
      local sum = mixed and torch.zeros({classes}, {dtype = acc, device = device}) or of_bias
      sum:sub_(logits:sum(0, {dtype = mixed and acc or dtype})):index_add_(0, at, factor)
      if mixed then of_bias:add_(sum:to(dtype)) end
    end
    if of_input then
      local part = cast:index_select(0, at) * factor:to(logits_dtype):unsqueeze(1)
      of_input:narrow(0, first, count):copy_(torch.addmm(part, logits, cast, {alpha = -1}))
    end
    if of_matrix and direct then
      of_matrix:addmm_(logits:t(), rows, {alpha = -1})
      local weighted = mixed and wide:mul_(factor:unsqueeze(1)) or rows * factor:unsqueeze(1)
      of_matrix:index_add_(0, at, weighted:to(dtype))
    elseif of_matrix then
      local part = logits:to(acc):t():mm(wide)
      part:index_add_(0, at, mixed and wide:mul_(factor:unsqueeze(1)) or wide * factor:unsqueeze(1), {alpha = -1})
      of_matrix:sub_(part)
    end
  end

  for first = 0, samples - 1, given.chunk do
    local count = math.min(given.chunk, samples - first)
    local rows, at, factor = input:narrow(0, first, count), index:narrow(0, first, count), factors:narrow(0, first, count)
    local wide = widened and rows:to(acc) or rows
    local logits = (mixed and dtype ~= logits_dtype and wide or rows):mm(cast:t())
    if cast_bias then logits:add_(cast_bias) end
    logits:sub_(logits:amax(1, true))
    local of_target = logits:gather(1, at:unsqueeze(1)):squeeze(1)
    if losses_alone then
      local sum = logits:exp_():sum(1, {dtype = acc})
      output:narrow(0, first, count):copy_(sum:log_():sub_(of_target:to(sum.dtype)):mul_(factor:to(sum.dtype)))
    else
      output:add_(factor:dot(of_target:to(factor.dtype)))
      local sum = logits:exp_():sum(1, {dtype = acc})
      if of_input or of_matrix or of_bias then logits:mul_((factor / sum):to(logits_dtype):unsqueeze(1)) end
      output:sub_(factor:to(sum.dtype):dot(sum:log_()))
      if of_input or of_matrix or of_bias then add_gradients(logits, rows, wide, factor, at, first, count) end
    end
  end
  return output:to(dtype), of_input and of_input:to(dtype), of_matrix, of_bias
end

local Reduced = autograd.Function("LinearCrossEntropy")  -- gradients come with the loss

function Reduced.forward(ctx, input, matrix, bias, target, weight, given, needs)
  local output, of_input, of_matrix, of_bias = walk(input, matrix, target, bias, weight, given, needs)
  ctx.gradients, ctx.retain = {of_input, of_matrix, of_bias}, given.retain
  return output
end

function Reduced.backward(ctx, grad)
  local gradients = ctx.gradients
  if not gradients then
    vm.raise("usage", "linear_cross_entropy chunked backward called twice; retain_graph=True / double backward are not "
      .. "supported.")
  end
  if not ctx.retain then ctx.gradients = nil end
  local function scaled(i) return gradients[i] and gradients[i] * grad or nil end
  return scaled(1), scaled(2), scaled(3), nil, nil, nil, nil
end

local Each = autograd.Function("LinearCrossEntropyOfEach")  -- the parts are walked again for gradients

function Each.forward(ctx, input, matrix, bias, target, weight, given)
  ctx.arguments, ctx.given = {input:detach(), matrix:detach(), target, bias and bias:detach(), weight}, given
  return (walk(input, matrix, target, bias, weight, given, {}))
end

function Each.backward(ctx, grad)
  local needed, a = ctx.needs_input_grad, ctx.arguments
  local _, of_input, of_matrix, of_bias = walk(a[1], a[2], a[3], a[4], a[5], ctx.given,
    {input = needed[1], matrix = needed[2], bias = needed[3]}, grad)
  return of_input or nil, of_matrix or nil, of_bias or nil, nil, nil, nil
end

--- The loss of input [samples, in_features] and classes [samples].
---@param given table of chunked.resolve, with reduction and ignore_index
---@return Tensor
function chunked.loss(input, matrix, target, bias, weight, given)
  if given.reduction == "none" then return Each.apply(input, matrix, bias, target, weight, given) end
  local on = torch.is_grad_enabled()
  local needs = {input = on and input.requires_grad, matrix = on and matrix.requires_grad,
    bias = on and bias ~= nil and bias.requires_grad}
  return Reduced.apply(input, matrix, bias, target, weight, given, needs)
end

return chunked
