-- The gradients of a step: which parameters they are of, whether there are any, and scaling them on their device without
-- waiting for it.
local numbers = require "train.numbers"
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

-- What an optimizer whose parameters have no gradient may be about.
local function cause(state, parameters)
  if not state.model then return "are they what the loss is made of?" end
  local ours = {}
  for _, parameter in ipairs(parameters) do ours[parameter] = true end
  for _, parameter in ipairs(state.model:parameters()) do
    if ours[parameter] then return "is the loss made of the model's output?" end
  end
  return "none of them is the model's: the optimizer takes model:parameters()"
end

---Warns of an optimizer that trains nothing, such as that of another model. What is frozen in part has some gradient.
---@param state table after a backward
---@param where string
function gradients.check(state, where)
  local parameters = gradients.parameters(state)
  for _, parameter in ipairs(parameters) do
    if parameter.grad ~= nil then return end
  end
  if #parameters == 0 then return end
  require("host").log.warn(("%s: none of the optimizer's %s has a gradient after the first backward, nothing is trained (%s)"):format(
    where, numbers.counted(#parameters, "parameter"), cause(state, parameters)))
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
