-- Activations of torch.nn that can write into their input: ReLU and its relatives.
local catalog = require "native.ops"
local layer = require "torch.nn.layer"
local native = require "native.model"
local text = require "torch.python_text"
local vm = require "native.vm"
local warn = require "torch.warn"

local fields <const> = native.fields

local rectifiers = {}

local function op(name) return catalog.find_any("aten::" .. name) end

local function inplace_repr(self) return self.inplace and "inplace=True" or "" end
local function with_inplace(self, out) return self.inplace and out .. ", inplace=True" or out end

-- A class of one operator and its variant that writes into x.
local function of_input(name, operator, repr)
  local plain, in_place = op(operator), op(operator .. "_")
  local class = layer(name, "inplace=false", "inplace: flag")
  ---@param x Tensor
  ---@return Tensor of x's shape
  function class:forward(x) return (fields(self).inplace and in_place or plain)(x) end
  class.extra_repr = repr
  return class
end

--- max(x, 0) of each element.
---@param inplace boolean writes into the input, false
---@example nn.ReLU()(torch.tensor{-1., 2.})  --> tensor([0., 2.])
---@source torch.nn.ReLU
rectifiers.ReLU = of_input("ReLU", "relu", inplace_repr)

--- x sigmoid(x) of each element.
---@param inplace boolean writes into the input, false
---@example nn.SiLU()(torch.tensor{-1., 1.})  --> tensor([-0.2689,  0.7311])
---@source torch.nn.SiLU
rectifiers.SiLU = of_input("SiLU", "silu", inplace_repr)

--- x tanh(softplus(x)) of each element.
---@param inplace boolean writes into the input, false
---@example nn.Mish()(torch.tensor{0., 1.})  --> tensor([0.0000, 0.8651])
---@source torch.nn.Mish
rectifiers.Mish = of_input("Mish", "mish", inplace_repr)

--- The scaled exponential linear unit of each element.
---@param inplace boolean writes into the input, false
---@example nn.SELU()(torch.tensor{-1., 1.})  --> tensor([-1.1113,  1.0507])
---@source torch.nn.SELU
rectifiers.SELU = of_input("SELU", "selu", inplace_repr)

--- x relu6(x + 3) / 6 of each element.
---@param inplace boolean writes into the input, false
---@example nn.Hardswish()(torch.tensor{-2., 4.})  --> tensor([-0.3333,  4.0000])
---@source torch.nn.Hardswish
rectifiers.Hardswish = of_input("Hardswish", "hardswish")

--- relu6(x + 3) / 6 of each element.
---@param inplace boolean writes into the input, false
---@example nn.Hardsigmoid()(torch.tensor{-4., 0., 4.})  --> tensor([0.0000, 0.5000, 1.0000])
---@source torch.nn.Hardsigmoid
rectifiers.Hardsigmoid = of_input("Hardsigmoid", "hardsigmoid")

-- The same with one number.
local function of_number(name, operator, spec, field)
  local plain, in_place = op(operator), op(operator .. "_")
  local class = layer(name, spec .. ", inplace=false", field .. ": number, inplace: flag")
  ---@param x Tensor
  ---@return Tensor of x's shape
  function class:forward(x)
    local f = fields(self)
    return (f.inplace and in_place or plain)(x, f[field])
  end
  function class:extra_repr() return with_inplace(self, text.pairs(field, self[field])) end
  return class
end

--- max(x, 0) + negative_slope min(x, 0) of each element.
---@param negative_slope number factor below 0, 0.01
---@param inplace boolean writes into the input, false
---@example nn.LeakyReLU(0.1)(torch.tensor{-1., 2.})  --> tensor([-0.1000,  2.0000])
---@source torch.nn.LeakyReLU
rectifiers.LeakyReLU = of_number("LeakyReLU", "leaky_relu", "negative_slope=0.01", "negative_slope")

--- x above 0, alpha (exp(x) - 1) below.
---@param alpha number minus the limit below, 1.0
---@param inplace boolean writes into the input, false
---@example nn.ELU()(torch.tensor{-1., 1.})  --> tensor([-0.6321,  1.0000])
---@source torch.nn.ELU
rectifiers.ELU = of_number("ELU", "elu", "alpha=1.0", "alpha")

--- x above 0, alpha (exp(x / alpha) - 1) below.
---@param alpha number minus the limit below, 1.0
---@param inplace boolean writes into the input, false
---@example nn.CELU()(torch.tensor{-1., 1.})  --> tensor([-0.6321,  1.0000])
---@source torch.nn.CELU
rectifiers.CELU = of_number("CELU", "celu", "alpha=1.0", "alpha")

local threshold <const>, threshold_in_place <const> = op "threshold", op "threshold_"

--- x above a threshold, another value elsewhere.
---@param threshold number elements above it stay
---@param value number what the others become
---@param inplace boolean writes into the input, false
---@example nn.Threshold(1, 9)(torch.tensor{0.5, 2.})  --> tensor([9., 2.])
---@source torch.nn.Threshold
local Threshold = layer("Threshold", "threshold, value, inplace=false",
  "threshold: number, value: number, inplace: flag")
rectifiers.Threshold = Threshold

---@param x Tensor
---@return Tensor of x's shape
function Threshold:forward(x)
  local f = fields(self)
  return (f.inplace and threshold_in_place or threshold)(x, f.threshold, f.value)
end

function Threshold:extra_repr()
  return with_inplace(self, text.fields(self, "threshold", "value"))
end

local rrelu <const>, rrelu_in_place <const> = op "rrelu", op "rrelu_"

--- leaky_relu with a slope drawn for each element when training, with the mean of the bounds otherwise.
---@param lower number the least slope, 1/8
---@param upper number the most, 1/3
---@param inplace boolean writes into the input, false
---@example nn.RReLU(0.1, 0.3):eval()(torch.tensor{-1., 2.})  --> tensor([-0.2000,  2.0000])
---@source torch.nn.RReLU
local RReLU = layer("RReLU", "lower=1.0 / 8, upper=1.0 / 3, inplace=false", "lower: number, upper: number, inplace: flag")
rectifiers.RReLU = RReLU

---@param x Tensor
---@return Tensor of x's shape
function RReLU:forward(x)
  local f = fields(self)
  return (f.inplace and rrelu_in_place or rrelu)(x, f.lower, f.upper, self.training)
end

function RReLU:extra_repr() return with_inplace(self, text.fields(self, "lower", "upper")) end

local hardtanh <const>, hardtanh_in_place <const> = op "hardtanh", op "hardtanh_"

--- Each element, kept between two values.
---@param min_val number the least, -1.0
---@param max_val number the most, 1.0
---@param inplace boolean writes into the input, false
---@param min_value number? deprecated name of min_val, nil
---@param max_value number? deprecated name of max_val, nil
---@example nn.Hardtanh()(torch.tensor{-4., 0.5, 4.})  --> tensor([-1.0000,  0.5000,  1.0000])
---@source torch.nn.Hardtanh
local Hardtanh, parse = layer("Hardtanh", "min_val=-1.0, max_val=1.0, inplace=false, min_value=nil, max_value=nil",
  "min_val: number, max_val: number, inplace: flag, min_value: number?, max_value: number?")
rectifiers.Hardtanh = Hardtanh

local function renamed(old, new) warn(("keyword argument `%s` is deprecated and renamed to `%s`"):format(old, new)) end

function Hardtanh:__init(...)
  local least, most, inplace, old_least, old_most = parse(...)
  if old_least then renamed("min_value", "min_val") end
  if old_most then renamed("max_value", "max_val") end
  least, most = old_least or least, old_most or most
  if most <= least then
    vm.raise("usage", ("max_val (%s) must be greater than min_val (%s)"):format(text.value(most), text.value(least)))
  end
  self.min_val, self.max_val, self.inplace = least, most, inplace
end

---@param x Tensor
---@return Tensor of x's shape
function Hardtanh:forward(x)
  local f = fields(self)
  return (f.inplace and hardtanh_in_place or hardtanh)(x, f.min_val, f.max_val)
end

function Hardtanh:extra_repr()
  return with_inplace(self, text.fields(self, "min_val", "max_val"))
end

--- min(max(x, 0), 6) of each element.
---@param inplace boolean writes into the input, false
---@example nn.ReLU6()(torch.tensor{-1., 8.})  --> tensor([0., 6.])
---@source torch.nn.ReLU6
local ReLU6, parse_relu6 = layer("ReLU6", "inplace=false", "inplace: flag", Hardtanh)
rectifiers.ReLU6 = ReLU6

function ReLU6:__init(...) Hardtanh.__init(self, 0.0, 6.0, (parse_relu6(...))) end
ReLU6.extra_repr = inplace_repr

return rectifiers
