-- Masks for the functions of torch.masked: brought to the input's shape and layout, masked elements filled.
local native = require "native.tensor"
local ops = require "native.ops"
local vm = require "native.vm"

local masking = {}

local function op(name) return ops.find_any("aten::" .. name) end

local strided <const>, coo <const>, csr <const> = native.strided, native.sparse_coo, native.sparse_csr

--- The dimensions that `dim` means, sorted, from 0; nil and {} mean all.
---@param dim? integer|integer[]
---@param ndim integer
---@return integer[]
function masking.dims(dim, ndim)
  local dims = {}
  if dim == nil or type(dim) == "table" and #dim == 0 then
    for d = 0, ndim - 1 do dims[d + 1] = d end
    return dims
  end
  ndim = math.max(ndim, 1)
  local seen = {}
  for _, d in ipairs(type(dim) == "table" and dim or {dim}) do
    if seen[d] then vm.raise("usage", ("dim=%d appears multiple times in the list of dims"):format(d)) end
    if d >= ndim or d < -ndim then
      vm.raise("usage", ("Dimension out of range (expected to be in range of [%d, %d], but got %d)"):format(-ndim, ndim - 1,
        d))
    end
    -- as PyTorch, which compares what it has already brought to range
    local in_range = d % ndim
    seen[in_range] = true
    dims[#dims + 1] = in_range
  end
  table.sort(dims)
  return dims
end

--- The boolean mask of the input's shape and layout.
---@param input Tensor
---@param mask Tensor
---@return Tensor
function masking.for_input(input, mask)
  local layout = input.layout
  if layout ~= strided and layout ~= coo and layout ~= csr then
    vm.raise("usage", "_input_mask expects strided or sparse COO or sparse CSR tensor but got " .. tostring(layout))
  end
  if not op "is_same_size"(mask, input) then
    if mask:dim() > input:dim() then
      vm.raise("shape",
        "_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)")
    end
    if mask.layout == strided then mask = mask:broadcast_to(input.shape):to(native.bool)
    elseif mask.layout == coo then mask = op "_sparse_broadcast_to"(mask, input.shape)
    else mask = op "_sparse_broadcast_to"(mask:to_sparse(), input.shape):to_sparse_csr() end
  end
  if mask.layout ~= layout then
    if layout == strided then mask = mask:to_dense()
    elseif layout == csr then mask = mask:to_sparse_csr()
    elseif mask.layout == strided then mask = mask:to_sparse(input:sparse_dim())
    else mask = mask:to_sparse() end
  end
  if mask.layout == coo then mask = mask:coalesce() end
  return mask:to(native.bool)
end

local function limits(dtype)
  local name = tostring(dtype):sub(7)
  if name == "uint8" then return 0, 255 end
  local bits = tonumber(name:match "^int(%d+)$")
  if bits then return -(1 << bits - 1), (1 << bits - 1) - 1 end
end

--- What a masked element is for a reduction, as a 0-dim tensor of the input's dtype.
---@param reduction string
---@param input Tensor
---@param ord? number of a norm
---@return Tensor
function masking.identity(reduction, input, ord)
  local dtype, value = input.dtype, nil
  local least, most = limits(dtype)
  if reduction == "sum" then value = 0
  elseif reduction == "prod" then value = 1
  elseif reduction == "amax" or reduction == "argmax" or reduction == "logaddexp" or reduction == "logsumexp" then
    value = (dtype.is_floating_point or reduction == "logsumexp" and dtype.is_complex) and -math.huge or least
  elseif reduction == "amin" or reduction == "argmin" then
    value = dtype.is_floating_point and math.huge or most
  elseif reduction == "norm" then
    value = ord == -math.huge and math.huge or 0
  elseif reduction == "median" then
    value = 0 / 0
    if not dtype.is_floating_point then dtype = native.float32 end
  end
  if value == nil then
    vm.raise("usage", ("identity of %s on %s input"):format(reduction, tostring(dtype)))
  end
  return op "full"({}, value, {dtype = dtype, device = input.device})
end

local sparse_where

--- The input with masked elements replaced by the reduction's identity; the input itself without a mask.
---@param reduction string
---@param input Tensor
---@param mask? Tensor
---@param ord? number of a norm
---@return Tensor
function masking.fill(reduction, input, mask, ord)
  if mask == nil then return input end
  mask = masking.for_input(input, mask)
  if mask.layout == strided then return op "where"(mask, input, masking.identity(reduction, input, ord)) end
  sparse_where = sparse_where or require "torch.masked.sparse"
  return sparse_where.where(mask, input, reduction ~= "mean" and masking.identity(reduction, input, ord) or nil)
end

--- The error for a layout that a function does not take.
---@param name string
---@param expected string
---@param layout layout
function masking.refuse(name, expected, layout)
  vm.raise("usage", ("masked %s expects %s tensor (got %s tensor)"):format(name, expected, tostring(layout)))
end

return masking
