-- Masked reductions of sparse tensors, on their indices and values.
local native = require "native.tensor"
local ops = require "native.ops"
local vm = require "native.vm"

local sparse = {}

local function op(name) return ops.find_any("aten::" .. name) end

local cat <const>, coo_tensor <const>, csr_tensor <const> = op "cat", op "sparse_coo_tensor", op "sparse_csr_tensor"
local unique <const>, unique_dim <const> = op "_unique2", op "unique_dim"

-- One number for each column of sparse indices.
local function flat(indices, shape, sparse_dims)
  local result = indices:new_zeros({indices:size(1)})
  for d = 1, sparse_dims do result:mul_(shape[d]):add_(indices[d - 1]) end
  return result
end

-- The distinct values of both lists, sorted, and the places of those that both have.
local function common(a, b)
  local union, _, counts = unique(cat({a, b}), true, false, true)
  return union, counts:gt(1):nonzero():squeeze(1)
end

local function in_both(a, b)
  local union, places = common(a, b)
  return union:index_select(0, places)
end

local function in_first_only(a, b)
  local union, _, counts = unique(cat({a, b}), true, false, true)
  return in_both(union:masked_select(counts:eq(1)), a)
end

local function coo_where(mask, input, fill)
  input = input:coalesce()
  local shape, sparse_dims = input.shape, input:sparse_dim()
  local of_input = flat(input:indices(), shape, sparse_dims)
  local of_mask = flat(mask:indices(), shape, sparse_dims)
  local let_through = mask:values()
  for d = let_through:dim() - 1, 1, -1 do let_through = let_through:any(d) end
  local wanted = of_mask:masked_select(let_through)
  local present = in_both(wanted, of_input)
  local _, places = common(of_input, present)
  local indices, values = input:indices():index_select(1, places), input:values():index_select(0, places)
  if mask:dense_dim() > 0 then
    local _, of_values = common(of_mask, present)
    values = op "where"(mask:values():index_select(0, of_values), values, fill)
  end
  local _, absent = common(of_mask, in_first_only(wanted, present))
  local zeros = mask:indices():index_select(1, absent)
  local count = zeros:size(1)
  if count == 0 then return op "_coalesced_"(coo_tensor(indices, values, shape), true) end
  local rest = table.move(values.shape, 2, values:dim(), 2, {count})
  return coo_tensor(cat({indices, zeros}, 1), cat({values, values:new_zeros(rest)}), shape):coalesce()
end

--- The elements of a sparse tensor that a sparse mask lets through; what the tensor does not store there is 0.
---@param mask Tensor
---@param input Tensor of the same layout
---@param fill Tensor? for masked elements of dense dimensions
---@return Tensor
function sparse.where(mask, input, fill)
  if mask.layout == native.sparse_coo then return coo_where(mask, input, fill) end
  return coo_where(mask:to_sparse_coo(), input:to_sparse_coo(), fill):to_sparse_csr()
end

local function set_of(list)
  local set = {}
  for _, value in ipairs(list) do set[value] = true end
  return set
end

--- Reduces a COO tensor over dimensions.
---@param name string sum, prod, amax or amin
---@param input Tensor
---@param dims integer[] sorted, from 0
---@param keepdim boolean
---@param dtype dtype
---@return Tensor sparse
function sparse.reduce_coo(name, input, dims, keepdim, dtype)
  local values, indices = op "_values"(input):to(dtype), op "_indices"(input)
  local sparse_dims, reduced = input:sparse_dim(), set_of(dims)
  local shape, lost, kept, dense = {}, {}, {}, {}
  for d = 0, input:dim() - 1 do
    if not reduced[d] then shape[#shape + 1] = input:size(d) elseif keepdim then shape[#shape + 1] = 1 end
    if d < sparse_dims then table.insert(reduced[d] and lost or kept, d)
    elseif reduced[d] then dense[#dense + 1] = d + 1 - sparse_dims end
  end
  if #dense > 0 then
    if name ~= "sum" then
      vm.raise("usage", ("masked %s: a sparse_coo tensor can not be reduced over its dense dimensions"):format(name))
    end
    values = op "sum"(values, dense, keepdim)
  else
    values = values:clone()
  end
  if #lost == sparse_dims then
    if (name == "amax" or name == "amin") and values:size(0) == 0 then
      values = require("torch.masked.masking").identity(name, values)
    else
      values = op(name)(values, 0)
    end
    if keepdim then
      for _ = 1, sparse_dims do values = values:unsqueeze(0) end
    end
    return values:to(dtype):to_sparse()
  end
  indices = indices:clone()
  if keepdim then
    for _, d in ipairs(lost) do indices[d]:zero_() end
  elseif #lost > 0 then
    indices = indices:index_select(0, native.tensor(kept, {device = input.device}))
  end
  if indices:numel() > 0 then
    local inverse
    indices, inverse = unique_dim(indices, 1, true, true, false)
    local size = {table.unpack(values.shape)}
    size[1] = indices:size(1)
    for _ = 1, values:dim() - 1 do inverse = inverse:unsqueeze(-1) end
    local places = inverse:expand(values.shape)
    local narrow = dtype == native.bfloat16 or dtype == native.float16
    if narrow then values = values:float() end
    values = values:new_empty(size):scatter_reduce_(0, places, values, name, {include_self = false}):to(dtype)
  end
  return coo_tensor(indices, values, shape, {dtype = dtype, device = input.device})
end

--- Reduces a CSR tensor over dimensions, which stay as 1.
---@param name string mean, amax or amin
---@param input Tensor
---@param dims integer[] sorted, from 0
---@param keepdim boolean must be true
---@param dtype dtype
---@return Tensor sparse
function sparse.reduce_csr(name, input, dims, keepdim, dtype)
  if not keepdim then
    vm.raise("usage", "reduction operations on CSR tensors with keepdim=False is unsupported")
  end
  local values, rows, columns = input:values():to(dtype), input:crow_indices(), input:col_indices()
  if #dims == 0 then return input end
  local options = {dtype = dtype, device = input.device}
  if #dims == 2 then
    local count = math.min(1, values:numel())
    if count == 1 then values = op(name)(values, {0}, true)
    else values = op "empty"({0}, {dtype = dtype}) end
    return csr_tensor(native.tensor {0, count}, columns:new_zeros({count}), values, {1, count}, options)
  end
  if dims[1] == 0 then
    local places
    columns, places = unique(columns, true, true, false)
    local count = columns:size(0)
    values = values:new_empty(columns.shape):scatter_reduce_(0, places, values, name, {include_self = false})
    return csr_tensor(native.tensor {0, count}, columns, values, {1, input:size(1)}, options)
  end
  local filled = cat({rows:new_zeros({1}), op "cumsum"(op "diff"(rows):ne(0), 0)}, 0)
  local reduce = name:gsub("^a", "")
  values = op "segment_reduce"(values, reduce, {offsets = rows})
  return csr_tensor(filled, columns:new_zeros({filled[-1]:item()}), values, {input:size(0), 1}, options)
end

return sparse
