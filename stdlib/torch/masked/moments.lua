-- Means and variances of torch.masked.
local masking = require "torch.masked.masking"
local native = require "native.tensor"
local ops = require "native.ops"
local signature = require "torch.signature"
local sum = require("torch.masked.reductions").sum_of
local vm = require "native.vm"

local moments = {}

local function op(name) return ops.find_any("aten::" .. name) end

local strided <const>, csr <const> = native.strided, native.sparse_csr

-- How many elements count, and their sum.
local function count_and_sum(input, dim, keepdim, dtype, mask)
  if mask == nil then
    local ones = op "ones"(input.shape, {dtype = native.int64, device = input.device})
    return sum(ones, dim, keepdim), sum(input, dim, keepdim, dtype)
  end
  return op "sum"(mask, type(dim) == "table" and dim or dim and {dim} or nil, keepdim), sum(input, dim, keepdim, dtype, mask)
end

local parse_mean = signature("torch.masked.mean", "input, dim=nil, *, keepdim=false, dtype=nil, mask=nil")

--- The mean of the unmasked elements.
---@param input Tensor strided, or CSR with a mask
---@param dim? integer|integer[] all
---@param keepdim? boolean false
---@param dtype? dtype the input's; must be floating point or complex
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.mean(torch.tensor{1., 2., 6.}, {mask = torch.tensor{true, true, false}})  --> tensor(1.5000)
function moments.mean(...)
  local input, dim, keepdim, dtype, mask = parse_mean(...)
  local of = dtype or input.dtype
  if not of.is_floating_point and not of.is_complex then
    vm.raise("dtype", ("mean(): Could not infer output dtype. %s dtype must be either a floating point or complex dtype. "
      .. "Got: %s"):format(dtype and "Optional" or "Input", tostring(of)))
  end
  if input.layout == strided then
    local count, sums = count_and_sum(input, dim, keepdim, of, mask and masking.for_input(input, mask))
    return sums / count
  end
  if input.layout ~= csr then masking.refuse("mean", "strided or sparse_csr", input.layout) end
  local filled = masking.fill("mean", input, mask)
  if mask == nil then vm.raise("usage", "masked mean expects explicit mask for sparse_csr tensor input") end
  return require("torch.masked.sparse").reduce_csr("mean", filled, masking.dims(dim, filled:dim()), keepdim, of)
end

local REAL <const> = {[native.complex64] = native.float32, [native.complex128] = native.float64,
  [native.complex32] = native.float16}

local function variance(name, take_root)
  local parse = signature("torch.masked." .. name,
    "input, dim=nil, unbiased=nil, *, correction=nil, keepdim=false, dtype=nil, mask=nil")
  return function(...)
    local input, dim, unbiased, correction, keepdim, dtype, mask = parse(...)
    if unbiased ~= nil and correction ~= nil then
      vm.raise("usage", "Only one of unbiased and correction may be given")
    end
    correction = correction or unbiased == false and 0.0 or 1.0
    local is_float = function(of) return of.is_floating_point or of.is_complex end
    dtype = dtype or is_float(input.dtype) and input.dtype or native.float32
    local computed = is_float(dtype) and dtype or native.float32
    if input.layout ~= strided then masking.refuse("std/var", "strided", input.layout) end
    local inner = mask and masking.for_input(input, mask)
    local count, sums = count_and_sum(input, dim, true, dtype, inner)
    local x = op "subtract"(input, op "divide"(sums, count))
    local squares = sum(x * x:conj(), dim, keepdim, computed, inner)
    if not keepdim then count = count:reshape(squares.shape) end
    if correction ~= 0 then
      count = op "subtract"(count:to(REAL[computed] or computed), correction + 0.0)
      count = op "maximum"(count, count:new_zeros({}))
    end
    local result = op "divide"(squares, count):to(dtype)
    return take_root and result:sqrt() or result
  end
end

--- The variance of the unmasked elements.
---@param input Tensor
---@param dim? integer|integer[] all
---@param unbiased? boolean true
---@param correction? number subtracted from the count, 1
---@param keepdim? boolean false
---@param dtype? dtype the input's, float32 for integers
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.var(torch.tensor{1., 3., 9.}, 0, {unbiased = false, mask = torch.tensor{true, true, false}})
--- --> tensor(1.)
moments.var = variance("var", false)

--- The standard deviation of the unmasked elements.
---@param input Tensor
---@param dim? integer|integer[] all
---@param unbiased? boolean true
---@param correction? number subtracted from the count, 1
---@param keepdim? boolean false
---@param dtype? dtype the input's, float32 for integers
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.std(torch.tensor{1., 3., 9.}, 0, {unbiased = false, mask = torch.tensor{true, true, false}})
--- --> tensor(1.)
moments.std = variance("std", true)

return moments
