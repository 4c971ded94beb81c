-- What train.GradientMonitor does about gradients that are too large, and what is said of it.
local gradients = require "train.gradients"
local numbers = require "train.numbers"
local torch = require "torch"

local policy = {}

policy.NAMES = {"warn", "clip", "skip", "stop"}

local DONE <const> = {clip = "; clipped to %s", skip = "; the step is left out", stop = "; the training stops"}

---Scales gradients down to a norm.
---@param known table train.layers
---@param bound number
function policy.clip(known, bound)
  local sparse = false
  for _, tensor in ipairs(known.tensors) do sparse = sparse or tensor.grad ~= nil and tensor.grad.is_sparse end
  if not sparse then return torch.nn.utils.clip_grad_norm_(known.tensors, bound) end
  local _, total = known:by_layer(known:gradient_norms())  -- clip_grad_norm_ knows no sparse gradients
  if total > bound then gradients.scale(known.tensors, bound / (total + 1e-6)) end
end

---Acts on a norm that is too large.
---@param wanted string|function
---@param state table
---@param known table train.layers
---@param event table {kind, norm, median, layer, bound}
function policy.act(wanted, state, known, event)
  if type(wanted) == "function" then return wanted(state, event) end
  if wanted == "clip" then
    policy.clip(known, event.bound)
  elseif wanted == "skip" then
    state.skip_step = true
  elseif wanted == "stop" then
    state.skip_step = true
    state:stop(("the gradient's norm is %s at step %d"):format(numbers.short(event.norm), state.step + 1))
  end
end

---The end of a warning: what is done.
---@return string
function policy.action(wanted, bound) return (DONE[wanted] or ""):format(numbers.short(bound)) end

---What a policy that has no max_norm is about; nil where it does nothing.
---@return string?
function policy.about_spikes(wanted, spike)
  return DONE[wanted] and ('policy = "%s" without max_norm is about spikes alone: norms above %s times the running median')
    :format(wanted, numbers.short(spike))
end

---What was done in all; nil where it is told elsewhere.
---@param count integer steps
---@return string?
function policy.summary(wanted, count)
  if count == 0 or not (wanted == "clip" or wanted == "skip") then return nil end
  return (wanted == "clip" and "clipped the gradients of " or "left out ") .. numbers.counted(count, "step")
end

return policy
