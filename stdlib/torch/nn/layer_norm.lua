-- nn.LayerNorm: normalization over the last dimensions.
local allocate = require "torch.nn.allocate"
local catalog = require "native.ops"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"

local fields <const>, layer_norm <const> = native.fields, catalog.find_any("aten::layer_norm")

---@class LayerNorm : Module
local LayerNorm = module.class("LayerNorm")
local parse = require "torch.nn.typed"(signature("nn.LayerNorm",
  "normalized_shape, eps=1e-5, elementwise_affine=true, bias=true, device=nil, dtype=nil"), "nn.LayerNorm",
  "normalized_shape: sizes, eps: number, elementwise_affine: flag, bias: flag?")

---@param normalized_shape integer|integer[] the last dimensions
---@param eps number added to the variance, 1e-5
---@param elementwise_affine boolean has a weight and a bias, true
---@param bias boolean with elementwise_affine, has a bias, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.LayerNorm(2)(torch.tensor{1., 3.}):detach()  --> tensor([-1.0000,  1.0000])
---@source torch.nn.LayerNorm
function LayerNorm:__init(...)
  local shape, eps, affine, bias, device, dtype = parse(...)
  if type(shape) ~= "table" then shape = {shape} end
  self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, affine
  self:register_parameter("weight", affine and allocate.parameter(shape, device, dtype) or nil)
  self:register_parameter("bias", affine and bias and allocate.parameter(shape, device, dtype) or nil)
  self:reset_parameters()
end

--- Sets the weight to 1 and the bias to 0.
---@example local layer = nn.LayerNorm(2)
--- nn.init.zeros_(layer.weight)
--- layer:reset_parameters()
--- layer.weight:tolist()  --> {1.0, 1.0}
function LayerNorm:reset_parameters()
  if self.weight then self.weight:detach():fill_(1.0) end
  if self.bias then self.bias:detach():zero_() end
end

---@param x Tensor [..., normalized_shape]
---@return Tensor of x's shape
function LayerNorm:forward(x)
  local f = fields(self)
  return layer_norm(x, f.normalized_shape, f.weight, f.bias, f.eps)
end

function LayerNorm:extra_repr()
  local out = text.value(self.normalized_shape) .. ", "
    .. text.pairs("eps", self.eps, "elementwise_affine", self.elementwise_affine)
  return out .. ", " .. text.pairs("bias", self.bias ~= nil)
end

return LayerNorm
