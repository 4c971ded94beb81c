-- A copy of a model's weights in memory, and putting it back.
local native = require "native.tensor"

local weights = {}

---Copies every parameter and buffer.
---@return table copy list of {name, tensor}, in the order of the state dict
function weights.copy(model)
  local copy = {}
  for name, tensor in pairs(model:state_dict()) do copy[#copy + 1] = {name, native.keep(tensor:detach():clone())} end
  return copy
end

---Puts a copy back.
function weights.restore(model, copy)
  local state = {}
  for _, pair in ipairs(copy) do state[pair[1]] = pair[2] end
  model:load_state_dict(state)
end

return weights
