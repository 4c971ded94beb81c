-- Dropouts of torch.nn.functional.
local catalog = require "native.ops"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"
local warn = require "torch.warn"

local dropouts = {}

local function op(name) return catalog.find_any("aten::" .. name) end

local function check_probability(p)
  if p < 0 or p > 1 then
    vm.raise("usage", "dropout probability has to be between 0 and 1, but got " .. text.value(p))
  end
end

local function dropout(name, public, training_default)
  local plain, in_place = op(name), op(name .. "_")
  local parse = signature("F." .. public, ("input, p=0.5, training=%s, inplace=false"):format(training_default))
  return function(...)
    local input, p, training, inplace = parse(...)
    check_probability(p)
    return (inplace and in_place or plain)(input, p, training)
  end
end

--- Zeroes elements at random and scales the others by 1 / (1 - p).
---@param input Tensor
---@param p number probability of a zero, 0.5
---@param training boolean false gives the input back, true
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.dropout(torch.ones(3), 0.5, {training = false})  --> tensor([1., 1., 1.])
---@source torch.nn.functional.dropout
dropouts.dropout = dropout("dropout", "dropout", true)

local feature <const>, feature_in_place <const> = op "feature_dropout", op "feature_dropout_"

-- What PyTorch says of an input that has not `dims` spatial dimensions, with or without a batch.
local function unexpected(name, ndim, dims)
  local warning = ("%s: Received a %d-D input to %s, which is deprecated and will result in an error in a future release. "
    .. "To retain the behavior and silence this warning, please use dropout instead. Note that %s exists to provide "
    .. "channel-wise dropout on inputs with %d spatial dimensions, a channel dimension, and an optional batch dimension "
    .. "(i.e. %dD or %dD inputs).")
  warn(warning:format(name, ndim, name, name, dims, dims + 1, dims + 2))
end

-- Runs feature dropout on an input that may lack its batch dimension.
local function of_channels(input, p, training, inplace, batched)
  if not batched then input = inplace and input:unsqueeze_(0) or input:unsqueeze(0) end
  local result = (inplace and feature_in_place or feature)(input, p, training)
  if batched then return result end
  return inplace and result:squeeze_(0) or result:squeeze(0)
end

local parse_1d = signature("F.dropout1d", "input, p=0.5, training=true, inplace=false")
local parse_2d = signature("F.dropout2d", "input, p=0.5, training=true, inplace=false")
local parse_3d = signature("F.dropout3d", "input, p=0.5, training=true, inplace=false")

--- Zeroes whole channels of a signal at random and scales the others by 1 / (1 - p).
---@param input Tensor [batch, channels, length] or [channels, length]
---@param p number probability of a zero, 0.5
---@param training boolean false gives the input back, true
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.dropout1d(torch.ones(2, 3), {p = 1.0}):sum():item()  --> 0.0
---@source torch.nn.functional.dropout1d
function dropouts.dropout1d(...)
  local input, p, training, inplace = parse_1d(...)
  check_probability(p)
  local ndim = input:dim()
  if ndim ~= 2 and ndim ~= 3 then
    vm.raise("shape", ("dropout1d: Expected 2D or 3D input, but received a %dD input. Note that dropout1d exists to provide "
      .. "channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch dimension "
      .. "(i.e. 2D or 3D inputs)."):format(ndim))
  end
  return (of_channels(input, p, training, inplace, ndim == 3))
end

--- Zeroes whole channels of an image at random and scales the others by 1 / (1 - p).
---@param input Tensor [batch, channels, height, width]
---@param p number probability of a zero, 0.5
---@param training boolean false gives the input back, true
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.dropout2d(torch.ones(1, 4, 2, 2), {p = 1.0}):sum():item()  --> 0.0
---@source torch.nn.functional.dropout2d
function dropouts.dropout2d(...)
  local input, p, training, inplace = parse_2d(...)
  check_probability(p)
  local ndim = input:dim()
  if ndim ~= 3 and ndim ~= 4 then unexpected("dropout2d", ndim, 2) end
  if ndim == 3 then
    warn("dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - input "
      .. "is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a future release to "
      .. "interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise "
      .. "dropout behavior, please switch to using dropout1d instead.")
  end
  return (inplace and feature_in_place or feature)(input, p, training)
end

--- Zeroes whole channels of a volume at random and scales the others by 1 / (1 - p).
---@param input Tensor [batch, channels, depth, height, width] or without batch
---@param p number probability of a zero, 0.5
---@param training boolean false gives the input back, true
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.dropout3d(torch.ones(1, 1, 2, 2, 2), {p = 1.0}):sum():item()  --> 0.0
---@source torch.nn.functional.dropout3d
function dropouts.dropout3d(...)
  local input, p, training, inplace = parse_3d(...)
  check_probability(p)
  local ndim = input:dim()
  if ndim ~= 4 and ndim ~= 5 then unexpected("dropout3d", ndim, 3) end
  return (of_channels(input, p, training, inplace, ndim == 5))
end

--- Dropout that keeps mean and variance of SELU's outputs.
---@param input Tensor
---@param p number probability of a masked element, 0.5
---@param training boolean false gives the input back, false
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.alpha_dropout(torch.ones(2), {p = 0.5, training = false})  --> tensor([1., 1.])
---@source torch.nn.functional.alpha_dropout
dropouts.alpha_dropout = dropout("alpha_dropout", "alpha_dropout", false)

--- alpha_dropout of whole channels.
---@param input Tensor [batch, channels, ...]
---@param p number probability of a masked channel, 0.5
---@param training boolean false gives the input back, false
---@param inplace boolean writes into input, false
---@return Tensor of input's shape
---@example F.feature_alpha_dropout(torch.ones(2), {p = 0.5, training = false})  --> tensor([1., 1.])
---@source torch.nn.functional.feature_alpha_dropout
dropouts.feature_alpha_dropout = dropout("feature_alpha_dropout", "feature_alpha_dropout", false)

return dropouts
