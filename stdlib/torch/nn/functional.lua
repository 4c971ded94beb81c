-- torch.nn.functional: PyTorch's functions, thin over the catalogued operators.
local catalog = require "native.ops"
local keywords = require "host.keywords"
local ordered = require "host.ordered"
local signature = require "torch.signature"
local vm = require "native.vm"

local functional = {}

-- Operators that take what the function of that name takes.
for _, name in ipairs {
  "linear", "bilinear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose3d",
  "max_pool1d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
  "adaptive_avg_pool1d",
  "relu6", "sigmoid", "tanh", "gelu", "softplus", "logsigmoid", "softsign", "tanhshrink", "softshrink", "hardshrink",
  "prelu", "glu", "one_hot", "pad", "pixel_shuffle", "pixel_unshuffle", "cosine_similarity",
  "pairwise_distance", "grid_sample", "affine_grid", "scaled_dot_product_attention",
} do
  functional[name] = catalog.find(name) or catalog.find_any("aten::" .. name)
end
functional.conv_transpose2d = catalog.find_any("aten::conv_transpose2d")
functional.logsigmoid = catalog.find_any("aten::log_sigmoid")

local function op(name) return catalog.find_any("aten::" .. name) end

local is_same_size <const> = op "is_same_size"

-- The operators' number for a reduction's name.
local REDUCTIONS <const> = {none = 0, mean = 1, sum = 2}
local function reduction_number(name)
  return REDUCTIONS[name] or vm.raise("usage", ("%s is not a valid value for reduction"):format(vm.describe(name)),
    "none, mean and sum are")
end

-- Activations with an in-place variant: f(input, ..., inplace).
for _, name in ipairs {"relu", "silu", "mish", "hardswish", "hardsigmoid", "selu"} do
  local plain, in_place = op(name), op(name .. "_")
  functional[name] = function(input, inplace)
    if inplace == nil or inplace == false then return plain(input) end
    if type(inplace) == "table" then
      inplace = keywords.check("F." .. name, inplace, {inplace = false}).inplace
    end
    return (inplace and in_place or plain)(input)
  end
end

for name, spec in pairs {
  leaky_relu = "input, negative_slope=0.01, inplace=false", elu = "input, alpha=1.0, inplace=false",
  celu = "input, alpha=1.0, inplace=false", hardtanh = "input, min_val=-1.0, max_val=1.0, inplace=false",
  threshold = "input, threshold, value, inplace=false",
} do
  local plain, in_place = op(name), op(name .. "_")
  local parse = signature("F." .. name, spec)
  functional[name] = function(...)
    local values = table.pack(parse(...))
    local chosen = values[values.n] and in_place or plain
    return chosen(table.unpack(values, 1, values.n - 1))
  end
end

for _, name in ipairs {"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"} do
  local plain, in_place = op(name), op(name .. "_")
  local public = name == "feature_dropout" and "dropout2d" or name
  local parse = signature("F." .. public, "input, p=0.5, training=true, inplace=false")
  functional[public] = function(...)
    local input, p, training, inplace = parse(...)
    if p < 0 or p > 1 then
      vm.raise("usage", "dropout probability has to be between 0 and 1, but got " .. p)
    end
    return (inplace and in_place or plain)(input, p, training)
  end
end

for _, name in ipairs {"softmax", "log_softmax"} do
  local of = op(name)
  local parse = signature("F." .. name, "input, dim=nil, dtype=nil")
  functional[name] = function(...)
    local input, dim, dtype = parse(...)
    if dim == nil then
      vm.raise("usage", ("F.%s: argument 'dim' is missing"):format(name), "the last dimension is -1")
    end
    return of(input, dim, dtype)
  end
end

function functional.softmin(input, ...) return functional.softmax(-input, ...) end

-- A None in the output size keeps that size of the input.
for dims, name in pairs {[2] = "adaptive_avg_pool2d", [3] = "adaptive_avg_pool3d"} do
  local pool = op(name)
  local parse = signature("F." .. name, "input, output_size")
  functional[name] = function(...)
    local input, size = parse(...)
    if type(size) == "table" then
      local whole = {}
      for i = 1, dims do
        whole[i] = math.type(size[i]) and size[i] or input:size(input:dim() - dims + i - 1)
      end
      size = whole
    end
    return pool(input, size)
  end
end

-- Tensor.unfold is another operator: these are im2col and col2im.
do
  local columns, image = op "im2col", op "col2im"
  local parse = signature("F.unfold", "input, kernel_size, dilation=1, padding=0, stride=1")
  local parse_fold = signature("F.fold", "input, output_size, kernel_size, dilation=1, padding=0, stride=1")
  functional.unfold = function(...) return columns(parse(...)) end
  functional.fold = function(...) return image(parse_fold(...)) end
end

do
  local pool, with_indices = op "max_pool2d", op "max_pool2d_with_indices"
  local parse = signature("F.max_pool2d",
    "input, kernel_size, stride=nil, padding=0, dilation=1, ceil_mode=false, return_indices=false")
  functional.max_pool2d = function(...)
    local input, kernel_size, stride = ...
    if select("#", ...) <= 3 and math.type(kernel_size) and (stride == nil or math.type(stride)) then
      if stride == nil then return pool(input, kernel_size) end
      return pool(input, kernel_size, stride)
    end
    local x, kernel, step, padding, dilation, ceil, indices = parse(...)
    return (indices and with_indices or pool)(x, kernel, step or kernel, padding, dilation, ceil)
  end
end

do
  local normalize = op "batch_norm"
  local parse = signature("F.batch_norm",
    "input, running_mean, running_var, weight=nil, bias=nil, training=false, momentum=0.1, eps=1e-5")
  local function check_count(input)
    local count = input:numel() // input:size(1)
    if count == 1 then
      vm.raise("shape", "Expected more than 1 value per channel when training, got input size "
        .. tostring(input.shape))
    end
  end
  functional.batch_norm = function(...)
    local input, mean, var, weight, bias, training, momentum, eps
    if select("#", ...) == 8 then input, mean, var, weight, bias, training, momentum, eps = ...
    else
      local values = table.pack(...)
      -- running_mean and running_var may be None
      if values.n >= 3 and values[2] == nil then values[2] = false end
      if values.n >= 3 and values[3] == nil then values[3] = false end
      input, mean, var, weight, bias, training, momentum, eps = parse(table.unpack(values, 1, values.n))
    end
    if training then check_count(input) end
    return normalize(input, weight, bias, mean or nil, var or nil, training, momentum, eps, true)
  end
end

do
  local normalize = op "layer_norm"
  local parse = signature("F.layer_norm", "input, normalized_shape, weight=nil, bias=nil, eps=1e-5")
  functional.layer_norm = function(...) return normalize(parse(...)) end
end

do
  local normalize = op "group_norm"
  local parse = signature("F.group_norm", "input, num_groups, weight=nil, bias=nil, eps=1e-5")
  functional.group_norm = function(...) return normalize(parse(...)) end
end

do
  local parse = signature("F.normalize", "input, p=2.0, dim=1, eps=1e-12")
  local norm = op "linalg_vector_norm"
  functional.normalize = function(...)
    local input, p, dim, eps = parse(...)
    return input / norm(input, p, {dim}, true):clamp_min(eps):expand_as(input)
  end
end

do
  local embed, renorm = op "embedding", op "embedding_renorm_"
  local parse = signature("F.embedding", "input, weight, padding_idx=nil, max_norm=nil, norm_type=2.0, "
    .. "scale_grad_by_freq=false, sparse=false")
  functional.embedding = function(...)
    local input, weight, padding, max_norm, norm_type, by_freq, sparse = parse(...)
    local rows = weight:size(0)
    if padding ~= nil then
      if padding >= rows or padding < -rows then
        vm.raise("usage", "Padding_idx must be within num_embeddings, got " .. padding)
      end
      if padding < 0 then padding = padding + rows end
    end
    if max_norm ~= nil then renorm(weight:detach(), input:contiguous(), max_norm, norm_type) end
    return embed(weight, input, padding or -1, by_freq, sparse)
  end
end

-- Losses ------------------------------------------------------------------------------------------------------

do
  local of = op "cross_entropy_loss"
  local parse = signature("F.cross_entropy",
    "input, target, weight=nil, ignore_index=-100, reduction='mean', label_smoothing=0.0")
  functional.cross_entropy = function(input, target, ...)
    if select("#", ...) == 0 then return of(input, target) end
    local x, y, weight, ignore_index, reduction, smoothing = parse(input, target, ...)
    return of(x, y, weight, reduction_number(reduction), ignore_index, smoothing)
  end
end

do
  local of = op "nll_loss_nd"
  local parse = signature("F.nll_loss", "input, target, weight=nil, ignore_index=-100, reduction='mean'")
  functional.nll_loss = function(...)
    local input, target, weight, ignore_index, reduction = parse(...)
    return of(input, target, weight, reduction_number(reduction), ignore_index)
  end
end

-- PyTorch broadcasts these two with a warning; the warning's cause is nearly always a mistake.
local function check_shapes(name, input, target)
  if is_same_size(input, target) then return end
  require("host").log.warn(("F.%s: the target's size %s differs from the input's size %s: they are broadcast, "
    .. "which is likely a mistake"):format(name, tostring(target.shape), tostring(input.shape)))
end

for name, spec in pairs {
  mse_loss = "input, target, reduction='mean'", l1_loss = "input, target, reduction='mean'",
} do
  local of = op(name)
  local parse = signature("F." .. name, spec)
  functional[name] = function(...)
    local input, target, reduction = parse(...)
    check_shapes(name, input, target)
    return of(input, target, reduction_number(reduction))
  end
end

for name, argument in pairs {smooth_l1_loss = "beta", huber_loss = "delta"} do
  local of = op(name)
  local parse = signature("F." .. name, "input, target, reduction='mean', " .. argument .. "=1.0")
  functional[name] = function(...)
    local input, target, reduction, width = parse(...)
    check_shapes(name, input, target)
    return of(input, target, reduction_number(reduction), width)
  end
end

do
  local of, with_logits = op "binary_cross_entropy", op "binary_cross_entropy_with_logits"
  local parse = signature("F.binary_cross_entropy", "input, target, weight=nil, reduction='mean'")
  local parse_logits = signature("F.binary_cross_entropy_with_logits",
    "input, target, weight=nil, reduction='mean', pos_weight=nil")
  local function same_shape(input, target)
    if not is_same_size(input, target) then
      vm.raise("shape", ("Target size (%s) must be the same as input size (%s)"):format(tostring(target.shape),
        tostring(input.shape)))
    end
  end
  functional.binary_cross_entropy = function(...)
    local input, target, weight, reduction = parse(...)
    same_shape(input, target)
    return of(input, target, weight, reduction_number(reduction))
  end
  functional.binary_cross_entropy_with_logits = function(...)
    local input, target, weight, reduction, pos_weight = parse_logits(...)
    same_shape(input, target)
    return with_logits(input, target, weight, pos_weight, reduction_number(reduction))
  end
end

do
  local of = op "kl_div"
  local parse = signature("F.kl_div", "input, target, reduction='mean', log_target=false")
  functional.kl_div = function(...)
    local input, target, reduction, log_target = parse(...)
    if reduction == "batchmean" then
      return of(input, target, 2, {log_target = log_target}) / input:size(0)
    end
    return of(input, target, reduction_number(reduction), {log_target = log_target})
  end
end

return setmetatable(functional, {
  __name = "torch.nn.functional",
  __index = function(_, name)
    vm.raise("usage", ("torch.nn.functional has no '%s'"):format(tostring(name)),
      keywords.did_you_mean(name, ordered.keys(functional)))
  end,
})
