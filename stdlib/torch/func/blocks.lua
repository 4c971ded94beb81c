-- The sizes of the blocks of a Jacobian, for torch.func and torch.autograd.functional.
local blocks = {}

--- The shape of a block: the output's sizes and then the input's.
---@param a integer[]
---@param b integer[]
---@return integer[]
function blocks.joined(a, b)
  local shape = {}
  for _, size in ipairs(a) do shape[#shape + 1] = size end
  for _, size in ipairs(b) do shape[#shape + 1] = size end
  return shape
end

--- How many elements each tensor has, and all together.
---@param list Tensor[]
---@return integer[] sizes
---@return integer total
function blocks.numels(list)
  local sizes, total = {}, 0
  for i, each in ipairs(list) do
    sizes[i] = each:numel()
    total = total + sizes[i]
  end
  return sizes, total
end

return blocks
