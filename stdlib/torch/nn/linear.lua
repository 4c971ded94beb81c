-- Linear layers of torch.nn: Identity, Linear, Bilinear.
local allocate = require "torch.nn.allocate"
local catalog = require "native.ops"
local init = require "torch.nn.initializers"
local layer = require "torch.nn.layer"
local module = require "torch.nn.module"
local native = require "native.model"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const> = native.fields
local linear <const>, bilinear <const> = catalog.find_any "aten::linear", catalog.find_any "aten::bilinear"

local layers = {}

--- What it is given; any arguments are ignored when it is made.
---@example nn.Identity(54, {unused = 0.1})(torch.ones(2))  --> tensor([1., 1.])
---@source torch.nn.Identity
local Identity = module.class("Identity")
layers.Identity = Identity

---@param x any
---@return any x
function Identity:forward(x) return x end

--- x W^T + b.
---@param in_features integer
---@param out_features integer
---@param bias boolean adds a vector, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.Linear(3, 2)(torch.ones(4, 3)).shape  --> torch.Size([4, 2])
---@source torch.nn.Linear
local Linear, parse = layer("Linear", "in_features, out_features, bias=true, device=nil, dtype=nil",
  "in_features: size, out_features: size, bias: flag?")
layers.Linear = Linear

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

-- The projection inside of MultiheadAttention: a Linear under the name that PyTorch prints there.
layers.NonDynamicallyQuantizableLinear = module.class("NonDynamicallyQuantizableLinear", Linear)

--- x1 W x2 + b: a product of two inputs for each output.
---@param in1_features integer
---@param in2_features integer
---@param out_features integer
---@param bias boolean adds a vector, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.Bilinear(2, 3, 4)(torch.ones(5, 2), torch.ones(5, 3)).shape  --> torch.Size([5, 4])
---@source torch.nn.Bilinear
local Bilinear, parse_bilinear = layer("Bilinear",
  "in1_features, in2_features, out_features, bias=true, device=nil, dtype=nil",
  "in1_features: size, in2_features: size, out_features: size, bias: flag?")
layers.Bilinear = Bilinear

function Bilinear:__init(...)
  local in1, in2, out, bias, device, dtype = parse_bilinear(...)
  self.in1_features, self.in2_features, self.out_features = in1, in2, out
  self.weight = allocate.parameter({out, in1, in2}, device, dtype)
  self:register_parameter("bias", bias and allocate.parameter({out}, device, dtype) or nil)
  self:reset_parameters()
end

--- Draws the parameters anew, as PyTorch does when it makes the layer.
---@example local layer = nn.Bilinear(2, 2, 1)
--- nn.init.zeros_(layer.weight)
--- layer:reset_parameters()
--- torch.count_nonzero(layer.weight):item()  --> 4
function Bilinear:reset_parameters()
  if self.in1_features <= 0 then
    vm.raise("usage", ("in1_features must be > 0, but got (in1_features=%d)"):format(self.in1_features))
  end
  local bound = 1 / math.sqrt(self.weight:size(1))
  init.uniform_(self.weight, -bound, bound)
  if self.bias then init.uniform_(self.bias, -bound, bound) end
end

---@param x1 Tensor [..., in1_features]
---@param x2 Tensor [..., in2_features]
---@return Tensor [..., out_features]
function Bilinear:forward(x1, x2)
  local f = fields(self)
  return bilinear(x1, x2, f.weight, f.bias)
end

function Bilinear:extra_repr()
  return text.pairs("in1_features", self.in1_features, "in2_features", self.in2_features, "out_features",
    self.out_features, "bias", self.bias ~= nil)
end

return layers
