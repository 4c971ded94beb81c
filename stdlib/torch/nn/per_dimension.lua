-- Sizes that may be given as one number for all dimensions.
local vm = require "native.vm"

local WORDS <const> = {"one", "two", "three", "four", [6] = "six"}

---@param value number|number[] a number that stands for all, or one each
---@param count integer of dimensions
---@param what string how errors call it
---@return number[]
return function(value, count, what)
  if type(value) == "table" then
    if #value == count then return value end
  elseif type(value) == "number" then
    local list = {}
    for i = 1, count do list[i] = value end
    return list
  end
  vm.raise("usage", ("%s must be a number or a list of %s, got %s"):format(what, WORDS[count],
    type(value) == "table" and ("a list of %d"):format(#value) or vm.describe(value)))
end
