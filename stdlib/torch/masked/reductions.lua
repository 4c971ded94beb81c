-- Reductions of torch.masked: masked elements do not count.
local masking = require "torch.masked.masking"
local native = require "native.tensor"
local ops = require "native.ops"
local signature = require "torch.signature"
local vm = require "native.vm"

local reductions = {}

local function op(name) return ops.find_any("aten::" .. name) end

local strided <const>, coo <const>, csr <const> = native.strided, native.sparse_coo, native.sparse_csr
local SMALL <const> = {}  -- dtypes whose sums and products are int64
for _, name in ipairs {"uint8", "bool", "int8", "int16", "int32"} do SMALL[native[name]] = true end

local of_coo, of_csr
local function reduce_sparse(name, input, dims, keepdim, dtype)
  local sparse = require "torch.masked.sparse"
  of_coo, of_csr = sparse.reduce_coo, sparse.reduce_csr
  return (input.layout == coo and of_coo or of_csr)(name, input, dims, keepdim, dtype)
end

-- The dtype of a sum or product, and the input in that dtype if it is CSR.
local function accumulated(input, dtype)
  if dtype ~= nil then return input, dtype end
  if not SMALL[input.dtype] then return input, input.dtype end
  if input.layout == csr then return input:to_sparse_coo():to(native.int64):to_sparse_csr(), nil end
  return input, native.int64
end

local function need_mask(name, mask, layout)
  if mask == nil then
    vm.raise("usage", ("masked %s expects explicit mask for %s tensor input"):format(name, tostring(layout):sub(7)))
  end
end

local function parser(name, arguments)
  return signature("torch.masked." .. name, ("input, %s, *, keepdim=false, dtype=nil, mask=nil"):format(arguments))
end

local total <const>, csr_sum <const>, csr_prod <const> = op "sum", op "_sparse_csr_sum", op "_sparse_csr_prod"

local function sum(input, dim, keepdim, dtype, mask)
  input, dtype = accumulated(input, dtype)
  local dims = masking.dims(dim, input:dim())
  local filled = masking.fill("sum", input, mask)
  if filled.layout == strided then return total(filled, dims, keepdim, {dtype = dtype or filled.dtype}) end
  if filled.layout == coo then return reduce_sparse("sum", filled, dims, keepdim, dtype) end
  if filled.layout == csr then return csr_sum(filled, dims, keepdim, {dtype = dtype or filled.dtype}) end
  masking.refuse("sum", "strided, sparse_coo or sparse_csr", filled.layout)
end

local parse_sum, parse_prod = parser("sum", "dim=nil"), parser("prod", "dim=nil")

--- The sum of the unmasked elements.
---@param input Tensor strided or sparse
---@param dim? integer|integer[] all
---@param keepdim? boolean false
---@param dtype? dtype int64 for small integers, or the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.sum(torch.tensor{1., 2., 6.}, {mask = torch.tensor{true, true, false}})  --> tensor(3.)
function reductions.sum(...) return sum(parse_sum(...)) end

--- sum of (input, dim, keepdim, dtype, mask), for what is made of sums.
reductions.sum_of = sum

--- The product of the unmasked elements.
---@param input Tensor strided, or sparse with a mask
---@param dim? integer|integer[] all
---@param keepdim? boolean false
---@param dtype? dtype int64 for small integers, or the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.prod(torch.tensor{2., 3., 6.}, {mask = torch.tensor{true, true, false}})  --> tensor(6.)
function reductions.prod(...)
  local input, dim, keepdim, dtype, mask = parse_prod(...)
  input, dtype = accumulated(input, dtype)
  local dims = masking.dims(dim, input:dim())
  local filled = masking.fill("prod", input, mask)
  if filled.layout == strided then
    local result = filled:to(dtype)
    for i = #dims, 1, -1 do result = result:prod(dims[i], keepdim) end
    return result
  end
  if filled.layout ~= coo and filled.layout ~= csr then
    masking.refuse("prod", "strided, sparse_coo or sparse_csr", filled.layout)
  end
  need_mask("prod", mask, filled.layout)
  if filled.layout == coo then return reduce_sparse("prod", filled, dims, keepdim, dtype) end
  return csr_prod(filled, dims, keepdim, {dtype = dtype or filled.dtype})
end

local function extreme(name)
  local of, parse = op(name), parser(name, "dim=nil")
  return function(...)
    local input, dim, keepdim, dtype, mask = parse(...)
    dtype = dtype or input.dtype
    local filled = masking.fill(name, input, mask)
    local dims = masking.dims(dim, filled:dim())
    if filled.layout == strided then return of(filled, dims, keepdim):to(dtype) end
    if filled.layout ~= coo and filled.layout ~= csr then
      masking.refuse(name, "strided, sparse_coo or sparse_csr", filled.layout)
    end
    need_mask(name, mask, filled.layout)
    return reduce_sparse(name, filled, dims, keepdim, dtype)
  end
end

--- The greatest unmasked element.
---@param input Tensor strided, or sparse with a mask
---@param dim? integer|integer[] all
---@param keepdim? boolean false
---@param dtype? dtype the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.amax(torch.tensor{1., 2., 6.}, {mask = torch.tensor{true, true, false}})  --> tensor(2.)
reductions.amax = extreme "amax"

--- The least unmasked element.
---@param input Tensor strided, or sparse with a mask
---@param dim? integer|integer[] all
---@param keepdim? boolean false
---@param dtype? dtype the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.amin(torch.tensor{1., 2., 0.}, {mask = torch.tensor{true, true, false}})  --> tensor(1.)
reductions.amin = extreme "amin"

local function position(name)
  local of, parse = op(name), parser(name, "dim=nil")
  return function(...)
    local input, dim, keepdim, dtype, mask = parse(...)
    local filled = masking.fill(name, input, mask)
    if filled.layout ~= strided then masking.refuse(name, "strided", filled.layout) end
    return of(filled, dim, keepdim):to(dtype or input.dtype)
  end
end

--- Where the greatest unmasked element is.
---@param input Tensor
---@param dim? integer all: a position in the flattened tensor
---@param keepdim? boolean false
---@param dtype? dtype the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.argmax(torch.tensor{1., 2., 6.}, {mask = torch.tensor{true, true, false}})  --> tensor(1.)
reductions.argmax = position "argmax"

--- Where the least unmasked element is.
---@param input Tensor
---@param dim? integer all: a position in the flattened tensor
---@param keepdim? boolean false
---@param dtype? dtype the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example local mask = torch.tensor{true, false, true}
--- torch.masked.argmin(torch.tensor{3., 1., 2.}, 0, {mask = mask, dtype = torch.int64})  --> tensor(2)
reductions.argmin = position "argmin"

local parse_median = parser("median", "dim=-1")

--- The median of the unmasked elements, the lower one of two; nan where all are masked.
---@param input Tensor
---@param dim? integer -1
---@param keepdim? boolean false
---@param dtype? dtype the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.median(torch.tensor{1., 5., 2.}, 0, {mask = torch.tensor{true, false, true}})  --> tensor(1.)
function reductions.median(...)
  local input, dim, keepdim, dtype, mask = parse_median(...)
  dtype = dtype or input.dtype
  local first = masking.dims(dim, input:dim())[1]
  local is_float = input:is_floating_point()
  if not is_float then input = input:float() end
  local filled = masking.fill("median", input, mask)
  if filled.layout ~= strided then masking.refuse("median", "strided", filled.layout) end
  local output = op "nanmedian"(filled, first, keepdim)
  if is_float then return output end
  if output:isnan():any():item() then
    vm.raise("usage", "masked median expects no fully masked out rows if dtype is not floating point")
  end
  return output:to(dtype)
end

local parse_logsumexp = parser("logsumexp", "dim=nil")
local parse_logaddexp = signature("torch.masked.logaddexp",
  "input, other, *, dtype=nil, input_mask=nil, other_mask=nil")
local parse_norm = parser("norm", "ord=2.0, dim=nil")

--- log(sum(exp(x))) of the unmasked elements.
---@param input Tensor
---@param dim? integer|integer[] all
---@param keepdim? boolean false
---@param dtype? dtype the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.logsumexp(torch.tensor{1., 9.}, 0, {mask = torch.tensor{true, false}})  --> tensor(1.)
function reductions.logsumexp(...)
  local input, dim, keepdim, dtype, mask = parse_logsumexp(...)
  local dims = masking.dims(dim, input:dim())
  local filled = masking.fill("logsumexp", input, mask)
  if filled.layout ~= strided then masking.refuse("logsumexp", "strided", filled.layout) end
  return op "logsumexp"(filled, dims, keepdim):to(dtype or input.dtype)
end

--- log(exp(a) + exp(b)), of the operand alone where the other is masked.
---@param input Tensor
---@param other Tensor
---@param dtype? dtype the input's
---@param input_mask? Tensor
---@param other_mask? Tensor
---@return Tensor
---@example torch.masked.logaddexp(torch.zeros(1), torch.ones(1), {other_mask = torch.tensor{false}})  --> tensor([0.])
function reductions.logaddexp(...)
  local input, other, dtype, input_mask, other_mask = parse_logaddexp(...)
  if input.layout ~= strided or other.layout ~= strided then
    vm.raise("usage", ("masked logaddexp expects strided tensors (got %s tensor for input, %s for other)"):format(
      tostring(input.layout), tostring(other.layout)))
  end
  local a, b = masking.fill("logaddexp", input, input_mask), masking.fill("logaddexp", other, other_mask)
  return op "logaddexp"(a, b):to(dtype or input.dtype)
end

--- The norm of the unmasked elements.
---@param input Tensor
---@param ord? number the norm's order, 2.0
---@param dim? integer|integer[] all
---@param keepdim? boolean false
---@param dtype? dtype the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.norm(torch.tensor{3., 4., 9.}, 2, 0, {mask = torch.tensor{true, true, false}})  --> tensor(5.)
function reductions.norm(...)
  local input, ord, dim, keepdim, dtype, mask = parse_norm(...)
  local filled = masking.fill("norm", input, mask, ord)
  if filled.layout ~= strided then masking.refuse("norm", "strided", filled.layout) end
  return op "linalg_vector_norm"(filled, ord, masking.dims(dim, input:dim()), keepdim, {dtype = dtype or input.dtype})
end

return reductions
