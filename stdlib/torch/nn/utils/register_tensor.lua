-- A tensor as what it is: a parameter, else a buffer.
local native = require "native.model"

---@param module Module
---@param name string
---@param tensor Tensor
return function(module, name, tensor)
  if native.is_parameter(tensor) then module:register_parameter(name, tensor)
  else module:register_buffer(name, tensor) end
end
