-- The gradients of a step: scaled and clipped on their device, without waiting for it.
local gradients = {}

---The gradients that the optimizer is about to use.
---@return userdata[]
function gradients.list(state)
  local found = {}
  local groups = state.optimizer.param_groups
  local parameters = {}
  for _, group in ipairs(groups or {}) do
    for _, parameter in ipairs(group.params or {}) do parameters[#parameters + 1] = parameter end
  end
  if #parameters == 0 and state.model then parameters = state.model:parameters() end
  for _, parameter in ipairs(parameters) do
    local grad = parameter.grad
    if grad ~= nil then found[#found + 1] = grad end
  end
  return found
end

---Multiplies every gradient by a number.
function gradients.scale(grads, factor)
  local _ <close> = require("torch").no_grad()
  for _, grad in ipairs(grads) do grad:mul_(factor) end
end

---Scales all gradients so that their joint 2-norm is at most `max_norm`, as torch.nn.utils.clip_grad_norm_.
---@return userdata norm before clipping, on the device
function gradients.clip_norm(grads, max_norm)
  local torch = require "torch"
  local _ <close> = torch.no_grad()
  local norms = {}
  for i, grad in ipairs(grads) do norms[i] = torch.linalg.vector_norm(grad, 2.0) end
  local total = #norms == 0 and torch.zeros {} or torch.linalg.vector_norm(torch.stack(norms), 2.0)
  local factor = total:add(1e-6):reciprocal():mul(max_norm):clamp({max = 1.0})
  for _, grad in ipairs(grads) do grad:mul_(factor) end
  return total
end

---Clamps every gradient to [-value, value].
function gradients.clip_value(grads, value)
  local _ <close> = require("torch").no_grad()
  for _, grad in ipairs(grads) do grad:clamp_(-value, value) end
end

return gradients
