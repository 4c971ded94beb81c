-- Activations, dropouts and softmax of torch.nn.functional.
local catalog = require "native.ops"
local keywords = require "host.keywords"
local signature = require "torch.signature"
local vm = require "native.vm"

local activations = {}

local function op(name) return catalog.find_any("aten::" .. name) end

-- f(input, inplace): the operator, or its in-place variant.
local function of_input(name)
  local plain, in_place = op(name), op(name .. "_")
  return function(input, inplace)
    if inplace == nil or inplace == false then return plain(input) end
    if type(inplace) == "table" then
      inplace = keywords.check("F." .. name, inplace, {inplace = false}).inplace
    end
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
---@source torch.nn.functional.relu
activations.relu = of_input "relu"

--- x sigmoid(x) of each element.
---@param input Tensor
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.silu
activations.silu = of_input "silu"

--- x tanh(softplus(x)) of each element.
---@param input Tensor
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.mish
activations.mish = of_input "mish"

--- x relu6(x + 3) / 6 of each element.
---@param input Tensor
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.hardswish
activations.hardswish = of_input "hardswish"

--- relu6(x + 3) / 6 of each element.
---@param input Tensor
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.hardsigmoid
activations.hardsigmoid = of_input "hardsigmoid"

--- The scaled exponential linear unit of each element.
---@param input Tensor
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.selu
activations.selu = of_input "selu"

--- max(x, 0) + negative_slope min(x, 0) of each element.
---@param input Tensor
---@param negative_slope number factor below 0, 0.01
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.leaky_relu
activations.leaky_relu = of_more("leaky_relu", "input, negative_slope=0.01, inplace=false")

--- x above 0, alpha (exp(x) - 1) below.
---@param input Tensor
---@param alpha number minus the limit below, 1.0
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.elu
activations.elu = of_more("elu", "input, alpha=1.0, inplace=false")

--- x above 0, alpha (exp(x / alpha) - 1) below.
---@param input Tensor
---@param alpha number minus the limit below, 1.0
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.celu
activations.celu = of_more("celu", "input, alpha=1.0, inplace=false")

--- Each element, kept between two values.
---@param input Tensor
---@param min_val number the least, -1.0
---@param max_val number the most, 1.0
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.hardtanh
activations.hardtanh = of_more("hardtanh", "input, min_val=-1.0, max_val=1.0, inplace=false")

--- x above a threshold, another value elsewhere.
---@param input Tensor
---@param threshold number elements above it stay
---@param value number what the others become
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.threshold
activations.threshold = of_more("threshold", "input, threshold, value, inplace=false")

local function dropout(name, public, training_default)
  local plain, in_place = op(name), op(name .. "_")
  local parse = signature("F." .. public, ("input, p=0.5, training=%s, inplace=false"):format(training_default))
  return function(...)
    local input, p, training, inplace = parse(...)
    if p < 0 or p > 1 then
      vm.raise("usage", "dropout probability has to be between 0 and 1, but got " .. p)
    end
    return (inplace and in_place or plain)(input, p, training)
  end
end

--- Zeroes elements at random and scales the others by 1 / (1 - p).
---@param input Tensor
---@param p number probability of a zero, 0.5
---@param training boolean false gives the input back, true
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.dropout
activations.dropout = dropout("dropout", "dropout", true)

--- Zeroes whole channels at random and scales the others by 1 / (1 - p).
---@param input Tensor [batch, channels, ...]
---@param p number probability of a zero, 0.5
---@param training boolean false gives the input back, true
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.dropout2d
activations.dropout2d = dropout("feature_dropout", "dropout2d", true)

--- Dropout that keeps mean and variance of SELU's outputs.
---@param input Tensor
---@param p number probability of a masked element, 0.5
---@param training boolean false gives the input back, false
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.alpha_dropout
activations.alpha_dropout = dropout("alpha_dropout", "alpha_dropout", false)

--- alpha_dropout of whole channels.
---@param input Tensor [batch, channels, ...]
---@param p number probability of a masked channel, 0.5
---@param training boolean false gives the input back, false
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@source torch.nn.functional.feature_alpha_dropout
activations.feature_alpha_dropout = dropout("feature_alpha_dropout", "feature_alpha_dropout", false)

local function softmax(name)
  local of = op(name)
  local parse = signature("F." .. name, "input, dim=nil, dtype=nil")
  return function(...)
    local input, dim, dtype = parse(...)
    if dim == nil then
      vm.raise("usage", ("F.%s: argument 'dim' is missing"):format(name), "the last dimension is -1")
    end
    return of(input, dim, dtype)
  end
end

--- exp(x) divided by its sum over a dimension.
---@param input Tensor
---@param dim integer the dimension, from 0; must be given
---@param dtype dtype? to which the input is cast first, nil
---@return Tensor of input's shape
---@source torch.nn.functional.softmax
activations.softmax = softmax "softmax"

--- The logarithm of softmax.
---@param input Tensor
---@param dim integer the dimension, from 0; must be given
---@param dtype dtype? to which the input is cast first, nil
---@return Tensor of input's shape
---@source torch.nn.functional.log_softmax
activations.log_softmax = softmax "log_softmax"

--- softmax of -x.
---@param input Tensor
---@param dim integer the dimension, from 0; must be given
---@param dtype dtype? to which the input is cast first, nil
---@return Tensor of input's shape
---@source torch.nn.functional.softmin
function activations.softmin(input, ...) return activations.softmax(-input, ...) end

return activations
