-- The reductions of losses: 'none', 'mean' and 'sum', and the two old arguments that said the same.
local text = require "torch.python_text"
local vm = require "native.vm"
local warn = require "torch.warn"

local reduction = {}

local NUMBERS <const> = {none = 0, mean = 1, sum = 2}

--- The operators' number for a reduction's name; the deprecated size_average and reduce stand over it.
---@param name string none, mean or sum
---@param size_average? boolean
---@param reduce? boolean
---@return integer
function reduction.number(name, size_average, reduce)
  if size_average ~= nil or reduce ~= nil then name = reduction.name(name, size_average, reduce) end
  local number = NUMBERS[name]
  if number then return number end
  if name == "elementwise_mean" then
    warn "reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead."
    return 1
  end
  vm.raise("usage", ("%s is not a valid value for reduction"):format(text.value(name)))
end

--- The reduction's name, by the deprecated arguments if one of them is given.
---@param name string
---@param size_average? boolean
---@param reduce? boolean
---@return string
function reduction.name(name, size_average, reduce)
  if size_average == nil and reduce == nil then return name end
  if reduce == false then name = "none"
  else name = size_average == false and "sum" or "mean" end
  warn(("size_average and reduce args will be deprecated, please use reduction='%s' instead."):format(name))
  return name
end

--- A loss of elements, reduced; `message` is the error for a name that is none of the three.
---@param loss Tensor
---@param name string
---@param message string with a place for the name
---@return Tensor
function reduction.apply(loss, name, message)
  if name == "mean" then return loss:mean() end
  if name == "sum" then return loss:sum() end
  if name == "none" then return loss end
  vm.raise("usage", message:format(text.value(name)))
end

return reduction
