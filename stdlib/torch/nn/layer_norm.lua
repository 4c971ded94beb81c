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

function LayerNorm:__init(...)
  local shape, eps, affine, bias, device, dtype = parse(...)
  if type(shape) ~= "table" then shape = {shape} end
  self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, affine
  self:register_parameter("weight", affine and allocate.parameter(shape, device, dtype) or nil)
  self:register_parameter("bias", affine and bias and allocate.parameter(shape, device, dtype) or nil)
  self:reset_parameters()
end

function LayerNorm:reset_parameters()
  if self.weight then self.weight:detach():fill_(1.0) end
  if self.bias then self.bias:detach():zero_() end
end

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
