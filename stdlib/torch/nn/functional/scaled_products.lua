-- Grouped matrix products and products of scaled low-precision matrices, of torch.nn.functional.
local catalog = require "native.ops"
local native = require "native.tensor"
local signature = require "torch.signature"

local products = {}

local function op(name) return catalog.find_any("aten::" .. name) end

--- What a scale covers, by the operators' numbers.
products.ScalingType = {TensorWise = 0, RowWise = 1, BlockWise1x16 = 2, BlockWise1x32 = 3, BlockWise1x128 = 4,
  BlockWise128x128 = 5}
--- How scales lie in memory, by the operators' numbers.
products.SwizzleType = {NO_SWIZZLE = 0, SWIZZLE_32_4_4 = 1}

local function as_list(value)
  if value == nil then return {} end
  return type(value) == "table" and value or {value}
end

local grouped <const>, scaled <const>, scaled_grouped <const> = op "_grouped_mm", op "_scaled_mm_v2",
  op "_scaled_grouped_mm_v2"
local parse_grouped = signature("F.grouped_mm", "mat_a, mat_b, *, offs=nil, bias=nil, out_dtype=nil")
local parse_scaled = signature("F.scaled_mm", "mat_a, mat_b, scale_a, scale_recipe_a, scale_b, scale_recipe_b, "
  .. "swizzle_a=nil, swizzle_b=nil, bias=nil, output_dtype=nil, contraction_dim={}, use_fast_accum=false")
local parse_scaled_grouped = signature("F.scaled_grouped_mm", "mat_a, mat_b, scale_a, scale_recipe_a, scale_b, "
  .. "scale_recipe_b, swizzle_a=nil, swizzle_b=nil, bias=nil, offs=nil, output_dtype=nil, contraction_dim={}, "
  .. "use_fast_accum=false")

--- Products of groups of matrices of different sizes.
---@param mat_a Tensor bfloat16 [groups, m, k], or [all rows, k] with offs
---@param mat_b Tensor bfloat16 [groups, k, n], or [k, all columns] with offs
---@param offs? Tensor int32, where each group ends
---@param bias? Tensor
---@param out_dtype? dtype the inputs'
---@return Tensor
---@example local a, b = torch.ones(2, 8, 16, {dtype = torch.bfloat16}), torch.ones(2, 16, 8, {dtype = torch.bfloat16})
--- F.grouped_mm(a, b).shape  --> torch.Size([2, 8, 8])
---@source torch.nn.functional.grouped_mm
function products.grouped_mm(...)
  local a, b, offs, bias, dtype = parse_grouped(...)
  return grouped(a, b, offs, bias, dtype)
end

--- A product of two matrices of low precision with their scales.
---@param mat_a Tensor float8 or float4 [m, k]
---@param mat_b Tensor [k, n]
---@param scale_a Tensor|Tensor[]
---@param scale_recipe_a integer|integer[] of F.ScalingType
---@param scale_b Tensor|Tensor[]
---@param scale_recipe_b integer|integer[] of F.ScalingType
---@param swizzle_a? integer|integer[] of F.SwizzleType
---@param swizzle_b? integer|integer[] of F.SwizzleType
---@param bias? Tensor [n]
---@param output_dtype? dtype bfloat16
---@param contraction_dim? integer[]
---@param use_fast_accum? boolean false
---@return Tensor [m, n]
---@example local one, by_tensor = torch.ones(1), F.ScalingType.TensorWise
--- local a = torch.ones(16, 16):to(torch.float8_e4m3fn)
--- F.scaled_mm(a, a:t(), one, by_tensor, one, by_tensor)[0][0]:item()  --> 16.0
---@source torch.nn.functional.scaled_mm
function products.scaled_mm(...)
  local a, b, scale_a, recipe_a, scale_b, recipe_b, swizzle_a, swizzle_b, bias, dtype, dims, fast = parse_scaled(...)
  return scaled(a, b, as_list(scale_a), as_list(recipe_a), as_list(swizzle_a), as_list(scale_b), as_list(recipe_b),
    as_list(swizzle_b), bias, dtype or native.bfloat16, dims, fast)
end

--- scaled_mm of groups of matrices of different sizes.
---@param mat_a Tensor float8 or float4
---@param mat_b Tensor
---@param scale_a Tensor|Tensor[]
---@param scale_recipe_a integer|integer[] of F.ScalingType
---@param scale_b Tensor|Tensor[]
---@param scale_recipe_b integer|integer[] of F.ScalingType
---@param swizzle_a? integer|integer[] of F.SwizzleType
---@param swizzle_b? integer|integer[] of F.SwizzleType
---@param bias? Tensor
---@param offs? Tensor int32, where each group ends
---@param output_dtype? dtype bfloat16
---@param contraction_dim? integer[]
---@param use_fast_accum? boolean false
---@return Tensor
---@source torch.nn.functional.scaled_grouped_mm
function products.scaled_grouped_mm(...)
  local a, b, scale_a, recipe_a, scale_b, recipe_b, swizzle_a, swizzle_b, bias, offs, dtype, dims, fast =
    parse_scaled_grouped(...)
  return scaled_grouped(a, b, as_list(scale_a), as_list(recipe_a), as_list(swizzle_a), as_list(scale_b),
    as_list(recipe_b), as_list(swizzle_b), offs, bias, dtype or native.bfloat16, dims, fast)
end

return products
