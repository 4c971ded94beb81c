-- Activations of torch.nn that have no variant writing into the input: curves of one operator each.
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local init = require "torch.nn.initializers"
local layer = require "torch.nn.layer"
local allocate = require "torch.nn.allocate"
local native = require "native.model"
local text = require "torch.python_text"

local fields <const> = native.fields

local activations = {}

local function op(name) return catalog.find_any("aten::" .. name) end

-- A class without arguments that is one function.
local function of_input(name, of)
  local class = layer(name, "")
  ---@param x Tensor
  ---@return Tensor of x's shape
  function class:forward(x) return of(x) end
  return class
end

--- 1 / (1 + exp(-x)) of each element.
---@example nn.Sigmoid()(torch.zeros(1))  --> tensor([0.5000])
---@source torch.nn.Sigmoid
activations.Sigmoid = of_input("Sigmoid", op "sigmoid")

--- The hyperbolic tangent of each element.
---@example nn.Tanh()(torch.ones(1))  --> tensor([0.7616])
---@source torch.nn.Tanh
activations.Tanh = of_input("Tanh", op "tanh")

--- log(1 / (1 + exp(-x))) of each element.
---@example nn.LogSigmoid()(torch.zeros(1))  --> tensor([-0.6931])
---@source torch.nn.LogSigmoid
activations.LogSigmoid = of_input("LogSigmoid", op "log_sigmoid")

--- x / (1 + |x|) of each element.
---@example nn.Softsign()(torch.tensor{-1., 3.})  --> tensor([-0.5000,  0.7500])
---@source torch.nn.Softsign
activations.Softsign = of_input("Softsign", functional.softsign)

--- x - tanh(x) of each element.
---@example nn.Tanhshrink()(torch.ones(1))  --> tensor([0.2384])
---@source torch.nn.Tanhshrink
activations.Tanhshrink = of_input("Tanhshrink", functional.tanhshrink)

-- 0 near 0: both print their argument alone.
local function shrink(name, of)
  local class = layer(name, "lambd=0.5", "lambd: number")
  ---@param x Tensor
  ---@return Tensor of x's shape
  function class:forward(x) return of(x, fields(self).lambd) end
  function class:extra_repr() return text.value(self.lambd) end
  return class
end

--- x where |x| is above lambd, 0 elsewhere.
---@param lambd number 0.5
---@example nn.Hardshrink()(torch.tensor{0.2, 2.})  --> tensor([0., 2.])
---@source torch.nn.Hardshrink
activations.Hardshrink = shrink("Hardshrink", op "hardshrink")

--- x brought nearer to 0 by lambd, 0 where it would cross it.
---@param lambd number 0.5
---@example nn.Softshrink()(torch.tensor{0.2, 2.})  --> tensor([0.0000, 1.5000])
---@source torch.nn.Softshrink
activations.Softshrink = shrink("Softshrink", op "softshrink")

local softplus <const> = op "softplus"

--- log(1 + exp(beta x)) / beta: a smooth ReLU.
---@param beta number 1.0
---@param threshold number beta x above it is x itself, 20.0
---@example nn.Softplus()(torch.zeros(1))  --> tensor([0.6931])
---@source torch.nn.Softplus
local Softplus = layer("Softplus", "beta=1.0, threshold=20.0", "beta: number, threshold: number")
activations.Softplus = Softplus

---@param x Tensor
---@return Tensor of x's shape
function Softplus:forward(x)
  local f = fields(self)
  return softplus(x, f.beta, f.threshold)
end

function Softplus:extra_repr() return text.fields(self, "beta", "threshold") end

local gelu <const>, BY_TANH <const> = op "gelu", {approximate = "tanh"}

--- x times the normal distribution function of x, or its tanh approximation.
---@param approximate string 'none' or 'tanh', 'none'
---@example nn.GELU()(torch.ones(1))  --> tensor([0.8413])
---@source torch.nn.GELU
local GELU = layer("GELU", "approximate='none'", "approximate: text")
activations.GELU = GELU

---@param x Tensor
---@return Tensor of x's shape
function GELU:forward(x)
  local approximate = fields(self).approximate
  if approximate == "none" then return gelu(x) end
  return gelu(x, approximate == "tanh" and BY_TANH or {approximate = approximate})
end

function GELU:extra_repr() return "approximate=" .. text.quoted(self.approximate) end

local glu <const> = functional.glu

--- The first half of a dimension times the sigmoid of the second.
---@param dim integer of even size, -1
---@example nn.GLU()(torch.tensor{1., 2., 0., 0.})  --> tensor([0.5000, 1.0000])
---@source torch.nn.GLU
local GLU = layer("GLU", "dim=-1", "dim: integer")
activations.GLU = GLU

---@param x Tensor
---@return Tensor half as large in that dimension
function GLU:forward(x) return glu(x, fields(self).dim) end
function GLU:extra_repr() return text.fields(self, "dim") end

local prelu <const> = op "prelu"

--- x above 0, a learned multiple of x below.
---@param num_parameters integer 1, or one slope for each channel, 1
---@param init number the slope to begin with, 0.25
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.PReLU()(torch.tensor{-1., 2.}):detach()  --> tensor([-0.2500,  2.0000])
---@source torch.nn.PReLU
local PReLU, parse = layer("PReLU", "num_parameters=1, init=0.25, device=nil, dtype=nil",
  "num_parameters: size, init: number")
activations.PReLU = PReLU

function PReLU:__init(...)
  local count, slope, device, dtype = parse(...)
  self.num_parameters, self.init = count, slope
  self.weight = allocate.parameter({count}, device, dtype)
  self:reset_parameters()
end

--- Sets the slopes to those that it began with.
---@example local layer = nn.PReLU()
--- nn.init.zeros_(layer.weight)
--- layer:reset_parameters()
--- layer.weight:item()  --> 0.25
function PReLU:reset_parameters() init.constant_(self.weight, self.init) end

---@param x Tensor [batch, channels, ...]
---@return Tensor of x's shape
function PReLU:forward(x) return prelu(x, fields(self).weight) end
function PReLU:extra_repr() return text.fields(self, "num_parameters") end

return activations
