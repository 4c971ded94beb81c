-- nn.Linear: x W^T + b.
local allocate = require "torch.nn.allocate"
local init = require "torch.nn.initializers"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"

local fields <const> = native.fields
local linear <const> = require("torch.nn.functional").linear

---@class Linear : Module
local Linear = module.class("Linear")
local parse = require "torch.nn.typed"(
  signature("nn.Linear", "in_features, out_features, bias=true, device=nil, dtype=nil"),
  "nn.Linear", "in_features: size, out_features: size, bias: flag?")

---@param in_features integer
---@param out_features integer
---@param bias boolean adds a vector, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.Linear(3, 2)(torch.ones(4, 3)).shape  --> torch.Size([4, 2])
---@source torch.nn.Linear
function Linear:__init(...)
  local in_features, out_features, bias, device, dtype = parse(...)
  self.in_features, self.out_features = in_features, out_features
  self.weight = allocate.parameter({out_features, in_features}, device, dtype)
  self:register_parameter("bias", bias and allocate.parameter({out_features}, device, dtype) or nil)
  self:reset_parameters()
end

--- Draws the parameters anew, as PyTorch does when it makes the layer.
---@example local layer = nn.Linear(2, 2)
--- nn.init.zeros_(layer.weight)
--- layer:reset_parameters()
--- torch.count_nonzero(layer.weight):item()  --> 4
function Linear:reset_parameters()
  init.kaiming_uniform_(self.weight, math.sqrt(5))
  if self.bias then
    local fan_in = init.calculate_fan_in_and_fan_out(self.weight)
    local bound = fan_in > 0 and 1 / math.sqrt(fan_in) or 0
    init.uniform_(self.bias, -bound, bound)
  end
end

---@param x Tensor [..., in_features]
---@return Tensor [..., out_features]
function Linear:forward(x)
  local f = fields(self)
  return linear(x, f.weight, f.bias)
end

function Linear:extra_repr()
  return text.pairs("in_features", self.in_features, "out_features", self.out_features, "bias", self.bias ~= nil)
end

return Linear
