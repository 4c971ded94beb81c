-- Softmax and its relatives of torch.nn.functional.
local catalog = require "native.ops"
local formats = require "native.tensor"
local signature = require "torch.signature"
local warn = require "torch.warn"

local softmaxes = {}

local function op(name) return catalog.find_any("aten::" .. name) end

-- The dimension that PyTorch guesses.
local function guessed_dim(name, input)
  warn(("Implicit dimension choice for %s has been deprecated. Change the call to include dim=X as an argument."):format(name))
  local ndim = input:dim()
  return (ndim == 0 or ndim == 1 or ndim == 3) and 0 or 1
end

local softmax <const>, log_softmax <const> = op "softmax", op "log_softmax"
local parse_softmax = signature("F.softmax", "input, dim=nil, _stacklevel=3, dtype=nil")
local parse_log_softmax = signature("F.log_softmax", "input, dim=nil, _stacklevel=3, dtype=nil")
local parse_softmin = signature("F.softmin", "input, dim=nil, _stacklevel=3, dtype=nil")

--- exp(x) divided by its sum over a dimension.
---@param input Tensor
---@param dim integer the dimension, from 0; a deprecated guess if not given
---@param _stacklevel? integer has no effect
---@param dtype? dtype to which the input is cast first, nil
---@return Tensor of input's shape
---@example F.softmax(torch.zeros(1, 4), 1)  --> tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
---@source torch.nn.functional.softmax
function softmaxes.softmax(...)
  local input, dim, _, dtype = parse_softmax(...)
  return softmax(input, dim or guessed_dim("softmax", input), dtype)
end

--- The logarithm of softmax.
---@param input Tensor
---@param dim integer the dimension, from 0; a deprecated guess if not given
---@param _stacklevel? integer has no effect
---@param dtype? dtype to which the input is cast first, nil
---@return Tensor of input's shape
---@example F.log_softmax(torch.zeros(2), 0)  --> tensor([-0.6931, -0.6931])
---@source torch.nn.functional.log_softmax
function softmaxes.log_softmax(...)
  local input, dim, _, dtype = parse_log_softmax(...)
  return log_softmax(input, dim or guessed_dim("log_softmax", input), dtype)
end

--- softmax of -x.
---@param input Tensor
---@param dim integer the dimension, from 0; a deprecated guess if not given
---@param _stacklevel? integer has no effect
---@param dtype? dtype to which the input is cast first, nil
---@return Tensor of input's shape
---@example F.softmin(torch.tensor{0., 1.}, 0)  --> tensor([0.7311, 0.2689])
---@source torch.nn.functional.softmin
function softmaxes.softmin(...)
  local input, dim, _, dtype = parse_softmin(...)
  return softmax(-input, dim or guessed_dim("softmin", input), dtype)
end

local empty_like <const>, zeros_like <const> = op "empty_like", op "zeros_like"
local parse_gumbel = signature("F.gumbel_softmax", "logits, tau=1, hard=false, eps=1e-10, dim=-1")

--- Samples of the Gumbel-softmax distribution (Jang 2017): one-hot with `hard`, with the gradient of the soft sample.
---@param logits Tensor [..., classes] unnormalized log-probabilities
---@param tau? number temperature, 1
---@param hard? boolean gives one-hot vectors, false
---@param eps? number has no effect
---@param dim? integer the classes' dimension, -1
---@return Tensor of logits' shape
---@example F.gumbel_softmax(torch.zeros(3), {hard = true}):sum()  --> tensor(1.)
---@source torch.nn.functional.gumbel_softmax
function softmaxes.gumbel_softmax(...)
  local logits, tau, hard, eps, dim = parse_gumbel(...)
  if eps ~= 1e-10 then warn "`eps` parameter is deprecated and has no effect." end
  local contiguous = {memory_format = formats.contiguous_format}
  local gumbels = -empty_like(logits, contiguous):exponential_():log()
  local soft = softmax((logits + gumbels) / tau, dim)
  if not hard then return soft end
  local _, index = soft:max(dim, true)
  return zeros_like(logits, contiguous):scatter_(dim, index, 1.0) - soft:detach() + soft
end

return softmaxes
