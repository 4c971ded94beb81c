-- Activations of torch.nn.functional.
local catalog = require "native.ops"
local signature = require "torch.signature"
local vm = require "native.vm"

local activations = {}

local function op(name) return catalog.find_any("aten::" .. name) end

-- f(input, inplace): the operator, or its in-place variant.
local function of_input(name)
  local plain, in_place = op(name), op(name .. "_")
  local parse = signature("F." .. name, "input, inplace=false")
  return function(input, inplace, ...)
    if (inplace == nil or inplace == false) and type(input) == "userdata" then return plain(input) end
    if type(input) == "table" then input, inplace = parse(input)
    else input, inplace = parse(input, inplace, ...) end
    return (inplace and in_place or plain)(input)
  end
end

-- f(input, ..., inplace) with these parameters.
local function of_more(name, spec)
  local plain, in_place = op(name), op(name .. "_")
  local parse = signature("F." .. name, spec)
  return function(...)
    local values = table.pack(parse(...))
    local chosen = values[values.n] and in_place or plain
    return chosen(table.unpack(values, 1, values.n - 1))
  end
end

--- max(x, 0) of each element.
---@param input Tensor
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.relu(torch.tensor{-1., 2.})  --> tensor([0., 2.])
---@source torch.nn.functional.relu
activations.relu = of_input "relu"

--- x sigmoid(x) of each element.
---@param input Tensor
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.silu(torch.tensor{-1., 1.})  --> tensor([-0.2689,  0.7311])
---@source torch.nn.functional.silu
activations.silu = of_input "silu"

--- x tanh(softplus(x)) of each element.
---@param input Tensor
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.mish(torch.tensor{0., 1.})  --> tensor([0.0000, 0.8651])
---@source torch.nn.functional.mish
activations.mish = of_input "mish"

--- x relu6(x + 3) / 6 of each element.
---@param input Tensor
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.hardswish(torch.tensor{-2., 0., 4.})  --> tensor([-0.3333,  0.0000,  4.0000])
---@source torch.nn.functional.hardswish
activations.hardswish = of_input "hardswish"

--- relu6(x + 3) / 6 of each element.
---@param input Tensor
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.hardsigmoid(torch.tensor{-4., 0., 4.})  --> tensor([0.0000, 0.5000, 1.0000])
---@source torch.nn.functional.hardsigmoid
activations.hardsigmoid = of_input "hardsigmoid"

--- The scaled exponential linear unit of each element.
---@param input Tensor
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.selu(torch.tensor{-1., 1.})  --> tensor([-1.1113,  1.0507])
---@source torch.nn.functional.selu
activations.selu = of_input "selu"

--- min(max(x, 0), 6) of each element.
---@param input Tensor
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.relu6(torch.tensor{-1., 8.})  --> tensor([0., 6.])
---@source torch.nn.functional.relu6
activations.relu6 = of_input "relu6"

--- max(x, 0) + negative_slope min(x, 0) of each element.
---@param input Tensor
---@param negative_slope number factor below 0, 0.01
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.leaky_relu(torch.tensor{-1., 2.}, 0.1)  --> tensor([-0.1000,  2.0000])
---@source torch.nn.functional.leaky_relu
activations.leaky_relu = of_more("leaky_relu", "input, negative_slope=0.01, inplace=false")

--- x above 0, alpha (exp(x) - 1) below.
---@param input Tensor
---@param alpha number minus the limit below, 1.0
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.elu(torch.tensor{-1., 1.})  --> tensor([-0.6321,  1.0000])
---@source torch.nn.functional.elu
activations.elu = of_more("elu", "input, alpha=1.0, inplace=false")

--- x above 0, alpha (exp(x / alpha) - 1) below.
---@param input Tensor
---@param alpha number minus the limit below, 1.0
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.celu(torch.tensor{-1., 1.})  --> tensor([-0.6321,  1.0000])
---@source torch.nn.functional.celu
activations.celu = of_more("celu", "input, alpha=1.0, inplace=false")

local hardtanh <const>, hardtanh_in_place <const> = op "hardtanh", op "hardtanh_"
local parse_hardtanh = signature("F.hardtanh", "input, min_val=-1.0, max_val=1.0, inplace=false")

--- Each element, kept between two values.
---@param input Tensor
---@param min_val number the least, -1.0
---@param max_val number the most, 1.0
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.hardtanh(torch.tensor{-4., 0.5, 4.})  --> tensor([-1.0000,  0.5000,  1.0000])
---@source torch.nn.functional.hardtanh
function activations.hardtanh(...)
  local input, least, most, inplace = parse_hardtanh(...)
  if least > most then vm.raise("usage", "min_val cannot be greater than max_val") end
  return (inplace and hardtanh_in_place or hardtanh)(input, least, most)
end

--- x above a threshold, another value elsewhere.
---@param input Tensor
---@param threshold number elements above it stay
---@param value number what the others become
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.threshold(torch.tensor{0.5, 2.}, 1, 9)  --> tensor([9., 2.])
---@source torch.nn.functional.threshold
activations.threshold = of_more("threshold", "input, threshold, value, inplace=false")

local rrelu <const>, rrelu_in_place <const> = op "rrelu", op "rrelu_"
local parse_rrelu = signature("F.rrelu", "input, lower=1.0 / 8, upper=1.0 / 3, training=false, inplace=false")

--- leaky_relu with a slope drawn for each element when training, with the mean of the bounds otherwise.
---@param input Tensor
---@param lower number the least slope, 1/8
---@param upper number the most, 1/3
---@param training boolean draws the slopes, false
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.rrelu(torch.tensor{-4., 2.}, {lower = 0.25, upper = 0.75})  --> tensor([-2.,  2.])
---@source torch.nn.functional.rrelu
function activations.rrelu(...)
  local input, lower, upper, training, inplace = parse_rrelu(...)
  return (inplace and rrelu_in_place or rrelu)(input, lower, upper, training)
end

local glu <const> = op "glu"
local parse_glu = signature("F.glu", "input, dim=-1")

--- The first half of a dimension times the sigmoid of the second.
---@param input Tensor
---@param dim integer of even size, -1
---@return Tensor half as large in that dimension
---@example F.glu(torch.tensor{1., 2., 0., 0.})  --> tensor([0.5000, 1.0000])
---@source torch.nn.functional.glu
function activations.glu(...)
  local input, dim = parse_glu(...)
  if input:dim() == 0 then
    vm.raise("shape", "glu does not support scalars because halving size must be even")
  end
  return glu(input, dim)
end

local parse_tanhshrink = signature("F.tanhshrink", "input")
local parse_softsign = signature("F.softsign", "input")

--- x - tanh(x) of each element.
---@param input Tensor
---@return Tensor of input's shape
---@example F.tanhshrink(torch.tensor{0., 1.})  --> tensor([0.0000, 0.2384])
---@source torch.nn.functional.tanhshrink
function activations.tanhshrink(...)
  local input = parse_tanhshrink(...)
  return input - input:tanh()
end

--- x / (1 + |x|) of each element.
---@param input Tensor
---@return Tensor of input's shape
---@example F.softsign(torch.tensor{-1., 3.})  --> tensor([-0.5000,  0.7500])
---@source torch.nn.functional.softsign
function activations.softsign(...)
  local input = parse_softsign(...)
  return input / (input:abs() + 1)
end

return activations
