-- Normalizations of torch.masked: results of the input's shape in which masked elements do not count.
local masking = require "torch.masked.masking"
local native = require "native.tensor"
local ops = require "native.ops"
local signature = require "torch.signature"

local normalizations = {}

local function op(name) return ops.find_any("aten::" .. name) end

-- f(input, dim, {dtype, mask}), with masked elements filled by the identity of a reduction.
local function along(name, identity, run)
  local parse = signature("torch.masked." .. name, "input, dim, *, dtype=nil, mask=nil")
  return function(...)
    local input, dim, dtype, mask = parse(...)
    local first = masking.dims(dim, input:dim())[1]
    local filled = masking.fill(identity, input, mask)
    if filled.layout ~= native.strided then masking.refuse(name, "strided", filled.layout) end
    return run(filled, first, dtype or input.dtype)
  end
end

local softmax <const>, log_softmax <const> = op "softmax", op "log_softmax"
local cumsum <const>, cumprod <const> = op "cumsum", op "cumprod"

--- Softmax of the unmasked elements.
---@param input Tensor
---@param dim integer
---@param dtype? dtype the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.softmax(torch.zeros(3), 0, {mask = torch.tensor{true, true, false}})
--- --> tensor([0.5000, 0.5000, 0.0000])
normalizations.softmax = along("softmax", "amax", function(x, dim, dtype) return softmax(x, dim, dtype) end)

--- The logarithm of softmax.
---@param input Tensor
---@param dim integer
---@param dtype? dtype the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.log_softmax(torch.tensor{1., 1., 9.}, 0, {mask = torch.tensor{true, true, false}})[0]
--- --> tensor(-0.6931)
normalizations.log_softmax = along("log_softmax", "amax", function(x, dim, dtype) return log_softmax(x, dim, dtype) end)

--- Softmax of -x.
---@param input Tensor
---@param dim integer
---@param dtype? dtype the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.softmin(torch.tensor{1., 1., 0.}, 0, {mask = torch.tensor{true, true, false}})[0]
--- --> tensor(0.5000)
normalizations.softmin = along("softmin", "amin", function(x, dim, dtype) return softmax(-x, dim, dtype) end)

--- Sums of the unmasked elements up to each place.
---@param input Tensor
---@param dim integer
---@param dtype? dtype the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.cumsum(torch.tensor{1., 2., 6.}, 0, {mask = torch.tensor{true, false, true}})
--- --> tensor([1., 1., 7.])
normalizations.cumsum = along("cumsum", "sum", function(x, dim, dtype) return cumsum(x, dim, {dtype = dtype}):to(dtype) end)

--- Products of the unmasked elements up to each place.
---@param input Tensor
---@param dim integer
---@param dtype? dtype the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.cumprod(torch.tensor{2., 3., 4.}, 0, {mask = torch.tensor{true, false, true}})
--- --> tensor([2., 2., 8.])
normalizations.cumprod = along("cumprod", "prod", function(x, dim, dtype)
  return cumprod(x, dim, {dtype = dtype}):to(dtype)
end)

local parse_normalize = signature("torch.masked.normalize", "input, ord, dim, *, eps=1e-12, dtype=nil, mask=nil")

--- Divides by the norm of the unmasked elements; masked ones are 0.
---@param input Tensor
---@param ord number the norm's order
---@param dim integer
---@param eps? number the least divisor, 1e-12
---@param dtype? dtype the input's
---@param mask? Tensor true where an element counts, broadcast to input
---@return Tensor
---@example torch.masked.normalize(torch.tensor{3., 4., 9.}, 2.0, 0, {mask = torch.tensor{true, true, false}})
--- --> tensor([0.6000, 0.8000, 0.0000])
function normalizations.normalize(...)
  local input, ord, dim, eps, dtype, mask = parse_normalize(...)
  dtype = dtype or input.dtype
  local filled = masking.fill("sum", input, mask)
  if filled.layout ~= native.strided then masking.refuse("normalize", "strided", filled.layout) end
  local norm = require("torch.masked.reductions").norm(input, ord, dim, {keepdim = true, dtype = dtype, mask = mask})
  return op "divide"(filled, op "maximum"(norm, norm:new_full({}, eps)))
end

return normalizations
