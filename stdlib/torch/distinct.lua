-- Distinct values of a tensor, as in torch/functional.py.
local ops = require "native.ops"
local signature = require "torch.signature"

local distinct = {}

local function op(name) return ops.find_any("aten::" .. name) end

-- The output, then the inverse indices and the counts that were asked for.
local function asked_for(with_inverse, with_counts, output, inverse, counts)
  if with_inverse and with_counts then return output, inverse, counts end
  if with_inverse then return output, inverse end
  if with_counts then return output, counts end
  return output
end

do
  local of, of_dim = op "_unique2", op "unique_dim"
  local parse = signature("torch.unique", "input, sorted=true, return_inverse=false, return_counts=false, dim=nil")
  --- The distinct values, or the distinct slices along a dimension.
  ---@param input Tensor
  ---@param sorted? boolean true
  ---@param return_inverse? boolean false
  ---@param return_counts? boolean false
  ---@param dim? integer
  ---@return Tensor output
  ---@return Tensor? inverse
  ---@return Tensor? counts
  ---@example torch.unique(torch.tensor{3, 1, 3})  --> tensor([1, 3])
  function distinct.unique(...)
    local input, sorted, inverse, counts, dim = parse(...)
    if dim == nil then return asked_for(inverse, counts, of(input, sorted, inverse, counts)) end
    return asked_for(inverse, counts, of_dim(input, dim, sorted, inverse, counts))
  end
end

do
  local of = op "unique_consecutive"
  local parse = signature("torch.unique_consecutive", "input, return_inverse=false, return_counts=false, dim=nil")
  --- The values without repeats that follow each other.
  ---@param input Tensor
  ---@param return_inverse? boolean false
  ---@param return_counts? boolean false
  ---@param dim? integer
  ---@return Tensor output
  ---@return Tensor? inverse
  ---@return Tensor? counts
  ---@example torch.unique_consecutive(torch.tensor{1, 1, 2, 1})  --> tensor([1, 2, 1])
  function distinct.unique_consecutive(...)
    local input, inverse, counts, dim = parse(...)
    return asked_for(inverse, counts, of(input, inverse, counts, dim))
  end
end

return distinct
