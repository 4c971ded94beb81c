-- Normalization of torch.nn.functional.
local catalog = require "native.ops"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"

local normalization = {}

local function op(name) return catalog.find_any("aten::" .. name) end

local batch_norm <const>, layer_norm <const>, group_norm <const> = op "batch_norm", op "layer_norm", op "group_norm"
local instance_norm <const> = op "instance_norm"

local parse_batch = signature("F.batch_norm",
  "input, running_mean=nil, running_var=nil, weight=nil, bias=nil, training=false, momentum=0.1, eps=1e-5")
local parse_instance = signature("F.instance_norm", "input, running_mean=nil, running_var=nil, weight=nil, bias=nil, "
  .. "use_input_stats=true, momentum=0.1, eps=1e-5")
local parse_layer = signature("F.layer_norm", "input, normalized_shape, weight=nil, bias=nil, eps=1e-5")
local parse_group = signature("F.group_norm", "input, num_groups, weight=nil, bias=nil, eps=1e-5")
local parse_normalize = signature("F.normalize", "input, p=2.0, dim=1, eps=1e-12, out=nil")
local parse_response = signature("F.local_response_norm", "input, size, alpha=1e-4, beta=0.75, k=1.0")

-- Statistics of one value are none.
local function check_count(count, size)
  if count == 1 then
    vm.raise("shape", "Expected more than 1 value per channel when training, got input size " .. size)
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
---@example F.batch_norm(torch.tensor{{1.}, {3.}}, nil, nil, {training = true}):flatten()
--- --> tensor([-1.0000,  1.0000])
---@source torch.nn.functional.batch_norm
function normalization.batch_norm(...)
  local input, mean, var, weight, bias, training, momentum, eps = parse_batch(...)
  if training then
    local count = input:size(0)
    for dim = 2, input:dim() - 1 do count = count * input:size(dim) end
    if count == 1 then check_count(count, tostring(input.shape)) end
    if eps <= 0 then
      vm.raise("usage", "batch_norm eps must be positive during training, but got " .. text.value(eps))
    end
  elseif eps < 0 then
    vm.raise("usage", "batch_norm eps must be non-negative, but got " .. text.value(eps))
  end
  return batch_norm(input, weight, bias, mean, var, training, momentum, eps, true)
end

--- Normalizes each channel of each sample, or by running statistics.
---@param input Tensor [batch, channels, ...]
---@param running_mean Tensor? [channels], updated in place with use_input_stats
---@param running_var Tensor? [channels], updated in place with use_input_stats
---@param weight Tensor? [channels] a factor, nil
---@param bias Tensor? [channels] added, nil
---@param use_input_stats boolean uses the statistics of the sample, true
---@param momentum number the sample's share in the running statistics, 0.1
---@param eps number added to the variance, 1e-5
---@return Tensor of input's shape
---@example F.instance_norm(torch.tensor{{{1., 3.}}})  --> tensor([[[-1.0000,  1.0000]]])
---@source torch.nn.functional.instance_norm
function normalization.instance_norm(...)
  local input, mean, var, weight, bias, use_input, momentum, eps = parse_instance(...)
  if use_input then
    local count = 1
    for dim = 2, input:dim() - 1 do count = count * input:size(dim) end
    if count == 1 then
      vm.raise("shape", "Expected more than 1 spatial element when training, got input size " .. tostring(input.shape))
    end
  end
  return instance_norm(input, weight, bias, mean, var, use_input, momentum, eps, true)
end

--- Normalizes each sample over its last dimensions.
---@param input Tensor [..., normalized_shape]
---@param normalized_shape integer[] the last dimensions
---@param weight Tensor? of normalized_shape, a factor, nil
---@param bias Tensor? of normalized_shape, added, nil
---@param eps number added to the variance, 1e-5
---@return Tensor of input's shape
---@example F.layer_norm(torch.tensor{1., 3.}, {2})  --> tensor([-1.0000,  1.0000])
---@source torch.nn.functional.layer_norm
function normalization.layer_norm(...) return layer_norm(parse_layer(...)) end

--- Normalizes each sample over groups of channels.
---@param input Tensor [batch, channels, ...]
---@param num_groups integer divides channels
---@param weight Tensor? [channels] a factor, nil
---@param bias Tensor? [channels] added, nil
---@param eps number added to the variance, 1e-5
---@return Tensor of input's shape
---@example F.group_norm(torch.tensor{{1., 3., 2., 6.}}, 2)  --> tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
---@source torch.nn.functional.group_norm
function normalization.group_norm(...)
  local input, groups, weight, bias, eps = parse_group(...)
  local dims = input:dim()
  if dims < 2 then
    vm.raise("shape", "Expected at least 2 dimensions for input tensor but received " .. dims)
  end
  if groups ~= 0 then  -- the operator refuses it
    local first = input:size(0) * input:size(1) // groups
    local count = first
    for dim = 2, dims - 1 do count = count * input:size(dim) end
    if count == 1 then
      check_count(count, "[" .. table.concat({first, groups, table.unpack(input.shape, 3)}, ", ") .. "]")
    end
  end
  return group_norm(input, groups, weight, bias, eps, true)
end

local norm

--- Divides by the p-norm over a dimension.
---@param input Tensor
---@param p number the norm's exponent, 2.0
---@param dim integer|integer[] the dimension, from 0, 1
---@param eps number the least divisor, 1e-12
---@param out Tensor? where the result goes, nil
---@return Tensor of input's shape
---@example F.normalize(torch.tensor{3., 4.}, {dim = 0})  --> tensor([0.6000, 0.8000])
---@source torch.nn.functional.normalize
function normalization.normalize(...)
  local input, p, dim, eps, out = parse_normalize(...)
  norm = norm or require("torch.functional").norm
  local divisor = norm(input, p, dim, true):clamp_min(eps):expand_as(input)
  if out == nil then return input / divisor end
  return catalog.find("div")(input, divisor, {out = out})
end

--- Divides by a power of the mean square over neighbouring channels (Krizhevsky 2012).
---@param input Tensor [batch, channels, ...]
---@param size integer of channels in the mean
---@param alpha number factor of the mean, 1e-4
---@param beta number exponent, 0.75
---@param k number added to the mean, 1.0
---@return Tensor of input's shape
---@example F.local_response_norm(torch.ones(1, 2, 1), 2):squeeze()  --> tensor([1.0000, 0.9999])
---@source torch.nn.functional.local_response_norm
function normalization.local_response_norm(...)
  local input, size, alpha, beta, k = parse_response(...)
  local dims = input:dim()
  if dims < 3 then
    vm.raise("shape", ("Expected 3D or higher dimensionality                          input (got %d dimensions)")
      :format(dims))
  end
  if input:numel() == 0 then return input end
  local pad = op "pad"
  local before, after = size // 2, (size - 1) // 2
  local square = input:mul(input)
  if dims == 3 then
    square = pad(square:unsqueeze(1), {0, 0, before, after})
    square = op "avg_pool2d"(square, {size, 1}, 1):squeeze(1)
  else
    local shape = input.shape
    square = square:view({shape[1], 1, shape[2], shape[3], -1})
    square = op "avg_pool3d"(pad(square, {0, 0, 0, 0, before, after}), {size, 1, 1}, 1):squeeze(1)
    square = square:view(shape)
  end
  return input / square:mul(alpha):add(k):pow(beta)
end

return normalization
