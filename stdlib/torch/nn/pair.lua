-- Sizes that may be given as one number for both dimensions.
local vm = require "native.vm"

---@param value integer|integer[]
---@param what string how errors call it
---@return integer[]
return function(value, what)
  if type(value) == "table" and #value == 2 then return value end
  local n = math.tointeger(value)
  if not n then
    vm.raise("usage", ("%s must be an integer or a list of two, got %s"):format(what, vm.describe(value)))
  end
  return {n, n}
end
