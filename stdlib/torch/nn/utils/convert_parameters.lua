-- nn.utils.convert_parameters: parameters as one vector.
local named = require "torch.named"
local torch = require "torch"
local vm = require "native.vm"

local convert = {}

local function check_devices(parameters)
  local device
  for _, parameter in ipairs(parameters) do
    local of = parameter.device
    if device ~= nil and of ~= device then
      vm.raise("device", "Found two parameters on different devices, this is currently not supported.")
    end
    device = of
  end
end

--- A vector of all parameters, one after the other; gradients flow through it.
---@param parameters Tensor[]
---@return Tensor
---@example nn.utils.parameters_to_vector(nn.Linear(2, 3):parameters()).shape  --> torch.Size([9])
---@source torch.nn.utils.parameters_to_vector
convert.parameters_to_vector = named("parameters_to_vector", "parameters", function(parameters)
  check_devices(parameters)
  local flat = {}
  for i, parameter in ipairs(parameters) do flat[i] = parameter:view(-1) end
  return torch.cat(flat)
end)

--- Makes slices of a vector the parameters' values: from then on they share its memory.
---@param vec Tensor
---@param parameters Tensor[]
---@example local layer = nn.Linear(2, 1)
--- nn.utils.vector_to_parameters(torch.arange(3.), layer:parameters())
--- layer.bias:item()  --> 2.0
---@source torch.nn.utils.vector_to_parameters
convert.vector_to_parameters = named("vector_to_parameters", "vec, parameters", function(vector, parameters)
  if not torch.is_tensor(vector) then
    vm.raise("usage", "expected torch.Tensor, but got: " .. vm.describe(vector))
  end
  check_devices(parameters)
  local at, length = 0, vector.shape[1]
  for _, parameter in ipairs(parameters) do
    local count = parameter:numel()
    local there = math.min(count, length - at)  -- too few do not fit the shape
    parameter.data = vector:narrow(0, at, there):view_as(parameter).data
    at = at + there
  end
end)

return convert
