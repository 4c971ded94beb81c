-- Normalizations of torch.nn without running statistics: over features, groups of channels, neighbouring channels.
local allocate = require "torch.nn.allocate"
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local layer = require "torch.nn.layer"
local native = require "native.model"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const> = native.fields
local layer_norm <const>, rms_norm <const> = catalog.find_any "aten::layer_norm", catalog.find_any "aten::rms_norm"
local group_norm <const>, response_norm <const> = functional.group_norm, functional.local_response_norm

local layers = {}

--- Sets the weight to 1 and the bias to 0.
---@example local layer = nn.LayerNorm(2)
--- nn.init.zeros_(layer.weight)
--- layer:reset_parameters()
--- layer.weight:sum():item()  --> 2.0
local function reset_parameters(self)
  if self.weight then self.weight:detach():fill_(1.0) end
  if self.bias then self.bias:detach():zero_() end
end

local function add_parameters(self, shape, affine, bias, device, dtype)
  self:register_parameter("weight", affine and allocate.parameter(shape, device, dtype) or nil)
  self:register_parameter("bias", affine and bias and allocate.parameter(shape, device, dtype) or nil)
  self:reset_parameters()
end

--- Normalization over the last dimensions.
---@param normalized_shape integer|integer[] the last dimensions
---@param eps number added to the variance, 1e-5
---@param elementwise_affine boolean has a weight and a bias, true
---@param bias boolean with elementwise_affine, has a bias, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.LayerNorm(2)(torch.tensor{1., 3.}):detach()  --> tensor([-1.0000,  1.0000])
---@source torch.nn.LayerNorm
local LayerNorm, parse_layer = layer("LayerNorm",
  "normalized_shape, eps=1e-5, elementwise_affine=true, bias=true, device=nil, dtype=nil",
  "normalized_shape: sizes, eps: number, elementwise_affine: flag, bias: flag?")
layers.LayerNorm = LayerNorm

function LayerNorm:__init(...)
  local shape, eps, affine, bias, device, dtype = parse_layer(...)
  if type(shape) ~= "table" then shape = {shape} end
  self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, affine
  add_parameters(self, shape, affine, bias, device, dtype)
end
LayerNorm.reset_parameters = reset_parameters

---@param x Tensor [..., normalized_shape]
---@return Tensor of x's shape
function LayerNorm:forward(x)
  local f = fields(self)
  return layer_norm(x, f.normalized_shape, f.weight, f.bias, f.eps)
end

function LayerNorm:extra_repr()
  return text.value(self.normalized_shape) .. ", " .. text.pairs("eps", self.eps, "elementwise_affine",
    self.elementwise_affine, "bias", self.bias ~= nil)
end

--- Division by the root of the mean square over the last dimensions.
---@param normalized_shape integer|integer[] the last dimensions
---@param eps number? added to the mean square, that of the dtype
---@param elementwise_affine boolean has a weight, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.RMSNorm(2)(torch.tensor{3., 3.}):detach()  --> tensor([1., 1.])
---@source torch.nn.RMSNorm
local RMSNorm, parse_rms = layer("RMSNorm", "normalized_shape, eps=nil, elementwise_affine=true, device=nil, dtype=nil",
  "normalized_shape: sizes, eps: number?, elementwise_affine: flag")
layers.RMSNorm = RMSNorm

function RMSNorm:__init(...)
  local shape, eps, affine, device, dtype = parse_rms(...)
  if type(shape) ~= "table" then shape = {shape} end
  self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, affine
  self:register_parameter("weight", affine and allocate.parameter(shape, device, dtype) or nil)
  self:reset_parameters()
end
RMSNorm.reset_parameters = reset_parameters

---@param x Tensor [..., normalized_shape]
---@return Tensor of x's shape
function RMSNorm:forward(x)
  local f = fields(self)
  return rms_norm(x, f.normalized_shape, f.weight, f.eps)
end

function RMSNorm:extra_repr()
  return text.value(self.normalized_shape) .. ", "
    .. text.fields(self, "eps", "elementwise_affine")
end

--- Normalization over groups of channels.
---@param num_groups integer divides num_channels
---@param num_channels integer
---@param eps number added to the variance, 1e-5
---@param affine boolean has a weight and a bias, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example nn.GroupNorm(2, 4)(torch.rand(3, 4, 5)).shape  --> torch.Size([3, 4, 5])
---@source torch.nn.GroupNorm
local GroupNorm, parse_group = layer("GroupNorm",
  "num_groups, num_channels, eps=1e-5, affine=true, device=nil, dtype=nil, *, bias=true",
  "num_groups: size, num_channels: size, eps: number, affine: flag")
layers.GroupNorm = GroupNorm

function GroupNorm:__init(...)
  local groups, channels, eps, affine, device, dtype, bias = parse_group(...)
  if groups == 0 then vm.raise("usage", "num_groups must not be 0") end
  if channels % groups ~= 0 then
    vm.raise("usage", ("num_channels (%d) must be divisible by num_groups (%d)"):format(channels, groups))
  end
  self.num_groups, self.num_channels, self.eps, self.affine = groups, channels, eps, affine
  add_parameters(self, {channels}, affine, bias, device, dtype)
end
GroupNorm.reset_parameters = reset_parameters

---@param x Tensor [batch, num_channels, ...]
---@return Tensor of x's shape
function GroupNorm:forward(x)
  local f = fields(self)
  return group_norm(x, f.num_groups, f.weight, f.bias, f.eps)
end

function GroupNorm:extra_repr()
  return ("%d, %d, "):format(self.num_groups, self.num_channels)
    .. text.pairs("eps", self.eps, "affine", self.affine, "bias", self.bias ~= nil)
end

local function response_repr(self)
  return self.size .. ", " .. text.fields(self, "alpha", "beta", "k")
end

--- Division by a power of the mean square over neighbouring channels (Krizhevsky 2012).
---@param size integer of channels in the mean
---@param alpha number factor of the mean, 1e-4
---@param beta number exponent, 0.75
---@param k number added to the mean, 1.0
---@example nn.LocalResponseNorm(2)(torch.ones(1, 2, 1)):squeeze()  --> tensor([1.0000, 0.9999])
---@source torch.nn.LocalResponseNorm
local LocalResponseNorm = layer("LocalResponseNorm", "size, alpha=0.0001, beta=0.75, k=1.0",
  "size: size, alpha: number, beta: number, k: number")
layers.LocalResponseNorm = LocalResponseNorm

---@param x Tensor [batch, channels, ...]
---@return Tensor of x's shape
function LocalResponseNorm:forward(x)
  local f = fields(self)
  return response_norm(x, f.size, f.alpha, f.beta, f.k)
end
LocalResponseNorm.extra_repr = response_repr

local cross_map

--- LocalResponseNorm of images as Torch7 had it: the window of channels is centred.
---@param size integer of channels in the mean
---@param alpha number factor of the mean, 1e-4
---@param beta number exponent, 0.75
---@param k number added to the mean, 1
---@example nn.CrossMapLRN2d(2)(torch.ones(1, 2, 1, 1)):squeeze()  --> tensor([1.0000, 0.9999])
---@source torch.nn.CrossMapLRN2d
local CrossMapLRN2d = layer("CrossMapLRN2d", "size, alpha=0.0001, beta=0.75, k=1",
  "size: size, alpha: number, beta: number, k: number")
layers.CrossMapLRN2d = CrossMapLRN2d

---@param x Tensor [batch, channels, height, width]
---@return Tensor of x's shape
function CrossMapLRN2d:forward(x)
  local f = fields(self)
  cross_map = cross_map or require "torch.nn.cross_map"
  return cross_map.apply(x, f.size, f.alpha, f.beta, f.k)
end
CrossMapLRN2d.extra_repr = response_repr

return layers
