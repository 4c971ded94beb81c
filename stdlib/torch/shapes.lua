-- Functions of shapes and places: broadcasting, splitting, coordinates of flat positions, of what is not zero. As in torch/functional.py.
local is_tensor = require("native.tensor").is_tensor
local ops = require "native.ops"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"

local shapes = {}

local function op(name) return ops.find_any("aten::" .. name) end

-- A torch.Size: the shape of a tensor without memory.
local function size_of(list) return op "empty"(list, {device = "meta"}).shape end

--- The shape to which shapes are broadcast: torch.broadcast_shapes({2, 1}, {3}) is {2, 3}.
---@param ... integer|integer[]
---@return integer[]
---@example torch.broadcast_shapes({2, 1}, {1, 3})  --> torch.Size([2, 3])
function shapes.broadcast_shapes(...)
  local given = table.pack(...)
  local most = 0
  for i = 1, given.n do
    if math.type(given[i]) == "integer" then given[i] = {given[i]} end
    if type(given[i]) ~= "table" then
      vm.raise("usage", "Input shapes should be of type ints, a tuple of ints, or a list of ints, got "
        .. text.value(given[i]))
    end
    most = math.max(most, #given[i])
  end
  local result = {}
  for i = 1, most do result[i] = 1 end
  for i = 1, given.n do
    local shape = given[i]
    for from_end = 0, #shape - 1 do
      local size, at = shape[#shape - from_end], most - from_end
      if size < 0 then vm.raise("shape", "Attempting to broadcast a dimension with negative length!") end
      if result[at] == 1 then
        result[at] = size
      elseif size ~= 1 and size ~= result[at] then
        vm.raise("shape", ("Attempting to broadcast a dimension of length %d at %d! Mismatching argument at index %d had %s; "
          .. "but expected shape should be broadcastable to [%s]"):format(size, -1 - from_end, i - 1, text.value(shape),
          table.concat(result, ", ")))
      end
    end
  end
  return size_of(result)
end

local split_sizes, split_chunks = op "split_with_sizes", op "split"
local parse_split = signature("torch.split", "tensor, split_size_or_sections, dim=0")

-- The chunk's size if the split is by one number.
local function split(tensor, size, dim)
  if is_tensor(size) and size:numel() == 1 then size = size:item() // 1 | 0
  elseif is_tensor(size) then size = size:tolist() end
  return (type(size) == "table" and split_sizes or split_chunks)(tensor, size, dim)
end

--- Splits into chunks of a size (the last may be smaller), or of the given sizes, along a dimension.
---@param tensor Tensor
---@param split_size_or_sections integer|integer[]
---@param dim? integer 0
---@return Tensor[]
---@example torch.split(torch.arange(5), 2)  --> {tensor([0, 1]), tensor([2, 3]), tensor([4])}
function shapes.split(...) return split(parse_split(...)) end

local parse_split_method = signature("Tensor.split", "tensor, split_size, dim=0")
--- x:split with keywords or a tensor.
---@return Tensor[]
function shapes.split_method(...) return split(parse_split_method(...)) end

local parse_unravel = signature("torch.unravel_index", "indices, shape")

--- The coordinates of flat positions in a shape.
---@param indices Tensor integers
---@param shape integer|integer[]
---@return Tensor ... one for each dimension
---@example torch.unravel_index(torch.tensor(5), {2, 3})  --> tensor(1)	tensor(2)
function shapes.unravel_index(...)
  local indices, shape = parse_unravel(...)
  local dtype = indices.dtype
  if dtype.is_complex or dtype.is_floating_point or tostring(dtype) == "torch.bool" then
    vm.raise("dtype", "expected 'indices' to be integer dtype, but got " .. tostring(dtype))
  end
  if math.type(shape) == "integer" then shape = {shape} end
  if type(shape) ~= "table" then
    vm.raise("usage", "expected 'shape' to be int or sequence of ints, but got " .. vm.describe(shape))
  end
  local factors = {}
  local factor = 1
  for i = #shape, 1, -1 do
    if math.type(shape[i]) ~= "integer" then
      vm.raise("usage", "expected 'shape' sequence to only contain ints, but got " .. vm.describe(shape[i]))
    end
    if shape[i] < 0 then
      vm.raise("shape", "'shape' cannot have negative values, but got " .. text.value(shape))
    end
    factors[i], factor = factor, factor * shape[i]
  end
  local tensor <const>, options <const> = require("native.tensor").tensor, {device = indices.device,
    dtype = require("native.tensor").int64}
  local coordinates = indices:unsqueeze(-1):floor_divide(tensor(factors, options)) % tensor(shape, options)
  return table.unpack(coordinates:unbind(-1))
end

local nonzero <const>, nonzero_numpy <const> = op "nonzero", op "nonzero_numpy"
local parse_nonzero = signature("torch.nonzero", "input, *, out=nil, as_tuple=false")

--- The positions of what is not zero.
---@param input Tensor
---@param out? Tensor
---@param as_tuple? boolean a list with a tensor for each dimension, false
---@return Tensor|Tensor[] int64 [count, dimensions]
---@error as_tuple together with out
---@example torch.nonzero(torch.tensor{0, 5, 7}):tolist()  --> {{1}, {2}}
function shapes.nonzero(...)
  local input, out, as_tuple = parse_nonzero(...)
  if out == nil then return as_tuple and nonzero_numpy(input) or nonzero(input) end
  if as_tuple and is_tensor(out) then
    vm.raise("usage", "nonzero does not support the out kwarg when as_tuple is True")
  end
  return nonzero(input, {out = out})
end

return shapes
