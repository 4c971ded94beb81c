-- nn.utils.fusion: normalization by running statistics folded into the layer before it.
local named = require "torch.named"
local native = require "native.model"
local torch = require "torch"
local vm = require "native.vm"

local fusion = {}

local function parameter(data, like) return native.parameter(data, like.requires_grad) end

--- Weight and bias of a convolution with the normalization after it.
---@param conv_w Tensor
---@param conv_b Tensor?
---@param bn_rm Tensor running mean
---@param bn_rv Tensor running variance
---@param bn_eps number
---@param bn_w Tensor?
---@param bn_b Tensor?
---@param transpose boolean of a transposed convolution, false
---@return Tensor weight
---@return Tensor bias
---@example local one = torch.ones(1)
--- local weight = nn.utils.fuse_conv_bn_weights(torch.ones(1, 1, 1), nil, one, one, 0.0, 2 * one, one)
--- weight:item()  --> 2.0
---@source torch.nn.utils.fuse_conv_bn_weights
fusion.fuse_conv_bn_weights = named("nn.utils.fuse_conv_bn_weights",
  "conv_w, conv_b=nil, bn_rm=nil, bn_rv=nil, bn_eps=nil, bn_w=nil, bn_b=nil, transpose=false",
  function(weight, bias, mean, var, eps, scale, shift, transpose)
    local dtype, bias_dtype = weight.dtype, bias ~= nil and bias.dtype or weight.dtype
    bias = bias or torch.zeros_like(mean)
    scale, shift = scale or torch.ones_like(mean), shift or torch.zeros_like(mean)
    local deviation = torch.rsqrt(var + eps)
    local shape = transpose and {1, -1} or {-1, 1}
    for i = 3, weight:dim() do shape[i] = 1 end
    local fused = (weight * (scale * deviation):reshape(shape)):to(dtype)
    local fused_bias = ((bias - mean) * deviation * scale + shift):to(bias_dtype)
    return parameter(fused, weight), parameter(fused_bias, bias)
  end)

--- Weight and bias of a linear layer with the normalization after it.
---@param linear_w Tensor
---@param linear_b Tensor?
---@param bn_rm Tensor running mean
---@param bn_rv Tensor running variance
---@param bn_eps number
---@param bn_w Tensor
---@param bn_b Tensor
---@return Tensor weight
---@return Tensor bias
---@example local one = torch.ones(1)
--- local weight = nn.utils.fuse_linear_bn_weights(torch.ones(1, 1), nil, one, one, 0.0, 2 * one, one)
--- weight:item()  --> 2.0
---@source torch.nn.utils.fuse_linear_bn_weights
fusion.fuse_linear_bn_weights = named("nn.utils.fuse_linear_bn_weights",
  "linear_w, linear_b=nil, bn_rm=nil, bn_rv=nil, bn_eps=nil, bn_w=nil, bn_b=nil", function(weight, bias, mean, var, eps, scale, shift)
    local dtype, bias_dtype = weight.dtype, bias ~= nil and bias.dtype or weight.dtype
    bias = bias or torch.zeros_like(mean)
    scale = scale * torch.rsqrt(var + eps)
    local fused = weight * scale:unsqueeze(-1):to(dtype)
    local fused_bias = ((bias - mean) * scale + shift):to(bias_dtype)
    return parameter(fused, weight), parameter(fused_bias, bias)
  end)

local function check(layer, norm)
  if layer.training or norm.training then vm.raise("usage", "Fusion only for eval!") end
  if norm.running_mean == nil or norm.running_var == nil then
    vm.raise("usage", "bn.running_mean and bn.running_var must not be None")
  end
end

-- The layer's slots may be nil: what it has is replaced in place.
local function with(layer, weight, bias)
  layer.weight = weight
  layer.bias = bias
  return layer
end

--- A copy of a convolution that also does the normalization after it. Both must be in evaluation mode.
---@param conv Module
---@param bn Module
---@param transpose boolean of a transposed convolution, false
---@return Module
---@example local conv, bn = nn.Conv2d(1, 2, 3):eval(), nn.BatchNorm2d(2):eval()
--- nn.utils.fuse_conv_bn_eval(conv, bn)(torch.ones(1, 1, 3, 3)).shape  --> torch.Size([1, 2, 1, 1])
---@source torch.nn.utils.fuse_conv_bn_eval
fusion.fuse_conv_bn_eval = named("nn.utils.fuse_conv_bn_eval", "conv, bn, transpose=false", function(conv, bn, transpose)
  check(conv, bn)
  local fused = conv:deepcopy()
  return with(fused, fusion.fuse_conv_bn_weights(fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps,
    bn.weight, bn.bias, transpose))
end)

--- A copy of a linear layer that also does the normalization after it. Both must be in evaluation mode.
---@param linear Module
---@param bn Module
---@return Module
---@example local linear, bn = nn.Linear(1, 2):eval(), nn.BatchNorm1d(2):eval()
--- nn.utils.fuse_linear_bn_eval(linear, bn)(torch.ones(3, 1)).shape  --> torch.Size([3, 2])
---@source torch.nn.utils.fuse_linear_bn_eval
fusion.fuse_linear_bn_eval = named("nn.utils.fuse_linear_bn_eval", "linear, bn", function(linear, bn)
  check(linear, bn)
  if linear.out_features ~= bn.num_features and bn.num_features ~= 1 then
    vm.raise("shape", ("To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got "
      .. "linear.out_features=%d and bn.num_features=%d"):format(linear.out_features, bn.num_features))
  end
  local fused = linear:deepcopy()
  return with(fused, fusion.fuse_linear_bn_weights(fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps,
    bn.weight, bn.bias))
end)

return fusion
