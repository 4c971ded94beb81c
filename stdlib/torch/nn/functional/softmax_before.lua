-- The warning of cross_entropy whose input has gone through a softmax already.
local no_grad = require("native.autograd").no_grad
local warn = require "torch.warn"

local warned = false

local function is_probability(x)
  local dim = x:dim() == 1 and 0 or 1
  if not x:is_floating_point() or x.is_meta or x:numel() == 0 or x:size(dim) < 2 or x:min():item() < 0 then
    return false
  end
  local off = (x:double():sum(dim) - 1):abs():max():item()
  return off <= (x:element_size() < 4 and 1e-2 or 1e-4)
end

--- Warns if the rows of a first batch are probabilities. An input that cannot be looked at is left to the operator.
--- Once in a process: what made the first one costs every loss made after it two reductions.
---@param x any [batch, classes, ...] or [classes]
return function(x)
  if warned then return end
  local ok, found = pcall(no_grad, is_probability, x)
  if ok and found then
    warned = true
    warn("cross_entropy: the rows of its first batch are not negative and sum to 1, as a softmax gives them; it takes " ..
      "logits and has a log_softmax of its own, so leave the softmax before it out")
  end
end
