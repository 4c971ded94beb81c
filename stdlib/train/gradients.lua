-- The gradients of a step: which parameters they are of, and scaling them on their device without waiting for it.
local torch = require "torch"

local gradients = {}

---The parameters that the optimizer is about to step.
---@param state table with `optimizer`, and `model` where it has one
---@return userdata[]
function gradients.parameters(state)
  local groups = state.optimizer.param_groups or {}
  if #groups == 1 and groups[1].params then return groups[1].params end
  local parameters = {}
  for _, group in ipairs(groups) do
    for _, parameter in ipairs(group.params or {}) do parameters[#parameters + 1] = parameter end
  end
  if #parameters == 0 and state.model then return state.model:parameters() end
  return parameters
end

---Multiplies the gradient of every parameter by a number.
function gradients.scale(parameters, factor)
  local _ <close> = torch.no_grad()
  for _, parameter in ipairs(parameters) do
    local grad = parameter.grad
    if grad ~= nil then grad:mul_(factor) end
  end
end

return gradients
