-- The dimension of a weight that is its layer's outputs: transposed convolutions have them in the second.
local native = require "native.model"

---@param module Module
---@return integer
return function(module) return native.class_of(module).__name:find "^ConvTranspose%dd$" and 1 or 0 end
