-- All parameters as one vector, and back.
local torch = require "torch"

local convert = {}

--- A vector of all parameters, one after the other.
---@param parameters Tensor[]
---@return Tensor
function convert.parameters_to_vector(parameters)
  local flat = {}
  for i, parameter in ipairs(parameters) do flat[i] = parameter:reshape(-1) end
  return torch.cat(flat)
end

--- Copies a vector into the parameters.
---@param vector Tensor
---@param parameters Tensor[]
function convert.vector_to_parameters(vector, parameters)
  local at = 0
  for _, parameter in ipairs(parameters) do
    local count = parameter:numel()
    parameter:detach():copy_(vector:detach():narrow(0, at, count):view_as(parameter))
    at = at + count
  end
end

return convert
