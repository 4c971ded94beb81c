-- Rarely used methods of Tensor: functions for each element, tensors like this one, the order of the dimensions.
local arrays = require "torch.arrays"
local named = require "torch.named"
local native = require "native.tensor"
local vm = require "native.vm"
local warn = require "torch.warn"
local is_tensor <const> = native.is_tensor

local methods = {}

local function fail(message, ...) vm.raise("usage", message:format(...)) end

-- What apply_, map_ and map2_ share: x[i] = f(x[i], others[i] ...) in place.
local function for_each_element(name, x, others, f)
  if x.requires_grad then
    fail("Can't call %s() on Variable that requires grad. Use var.detach().%s() instead.", name, name)
  end
  if x.device.type ~= "cpu" then fail("%s is only implemented on CPU tensors", name) end
  local columns = {x:reshape(-1):tolist()}
  for i, other in ipairs(others) do
    local label = #others == 1 and "other" or i == 1 and "x" or "y"
    if not is_tensor(other) then
      fail("Tensor.%s: argument '%s' must be a Tensor, got %s", name, label, vm.describe(other))
    end
    if other.requires_grad then
      fail("Can't call %s() on Variable that requires grad. Use var.detach().%s() instead.", name, name)
    end
    if other.dtype ~= x.dtype then
      fail("%s: expected %s for '%s' (got %s)", name, arrays.type_name(x), label, arrays.type_name(other))
    end
    columns[i + 1] = other:expand(x.shape):reshape(-1):tolist()
  end
  if type(f) ~= "function" then fail("Tensor.%s: %s is not callable", name, vm.describe(f)) end
  local a, b, c = table.unpack(columns)
  for i = 1, #a do a[i] = f(a[i], b and b[i], c and c[i]) end
  return x:copy_(native.tensor(a, {dtype = x.dtype}):view(x.shape))
end

--- Replaces each element by f(element). Slow: for what no operator does. On the CPU alone.
---@param f fun(element: number): number
---@return Tensor itself
---@example torch.arange(3.):apply_(function(v) return v * 10 end)  --> tensor([ 0., 10., 20.])
function methods.apply_(x, f) return for_each_element("apply_", x, {}, f) end

--- Replaces each element by f(element, other's element). Slow, as apply_.
---@param other Tensor of the same dtype, broadcast
---@param f fun(a: number, b: number): number
---@return Tensor itself
---@example torch.ones(2):map_(torch.tensor{3., 4.}, function(a, b) return a + b end)  --> tensor([4., 5.])
function methods.map_(x, other, f) return for_each_element("map_", x, {other}, f) end

--- Replaces each element by f(element, y's element, z's element). Slow, as apply_.
---@param y Tensor of the same dtype, broadcast
---@param z Tensor of the same dtype, broadcast
---@param f fun(a: number, b: number, c: number): number
---@return Tensor itself
---@example local function fused(z, x, y) return z + x * y end
--- torch.ones(2):map2_(torch.tensor{1., 2.}, torch.tensor{3., 4.}, fused)  --> tensor([4., 9.])
function methods.map2_(x, y, z, f) return for_each_element("map2_", x, {y, z}, f) end

--- A tensor of this one's dtype and device from data: x:new_tensor({1, 2}, {dtype = , device = , requires_grad = }).
---@param data number|boolean|table|Tensor copied
---@param dtype? dtype this one's
---@param device? device this one's
---@param requires_grad? boolean false
---@param pin_memory? boolean false
---@return Tensor
---@example torch.zeros(1, {dtype = torch.float64}):new_tensor({1, 2}).dtype  --> torch.float64
methods.new_tensor = named("Tensor.new_tensor",
  "self, data, *, dtype=nil, device=nil, requires_grad=false, layout=nil, pin_memory=false",
  function(x, data, dtype, device, requires_grad, layout, pin_memory)
    if layout ~= nil and layout ~= native.strided then fail "new_tensor(): only the strided layout is supported" end
    dtype, device = dtype or x.dtype, device or x.device
    if is_tensor(data) then
      data = data:detach():clone():to(device, dtype)
      return requires_grad and data:requires_grad_() or data
    end
    return native.tensor(data, {dtype = dtype, device = device, requires_grad = requires_grad, pin_memory = pin_memory})
  end)

--- The old constructor: of sizes (not initialized), of a list of values, or of another tensor's memory.
---@param ... integer|integer[]|number[]|Tensor
---@return Tensor
---@example torch.zeros(1):new({1., 2.})  --> tensor([1., 2.])
function methods.new(x, ...) return require("torch.tensor_types").construct(x.dtype, x.device, false, ...) end

local function has_ambiguous_order(x)
  local dims = x:dim()
  for d = 0, dims - 1 do
    if x:size(d) == 1 or d > 0 and x:stride(d - 1) == x:stride(d) then return true end
  end
  return false
end

local function is_of_one_format(x, formats)
  local count = 0
  for _, format in ipairs(formats) do
    if x:is_contiguous({memory_format = format}) then count = count + 1 end
  end
  return count == 1
end

-- The dimensions from the widest stride to the narrowest, as elementwise operators see them: a stable insertion sort in
-- which a size of 1 has no order of its own. Second result: whether two orders fit.
local function physical_order(x)
  local dims = x:dim()
  local order, ambiguous = {}, false
  for d = 0, dims - 1 do order[dims - d] = d end  -- from the last to the first

  local function swaps(a, b)
    local stride_a, stride_b = x:stride(a), x:stride(b)
    if stride_a == 0 or stride_b == 0 then return 0 end
    if stride_a < stride_b then return -1 end
    if stride_a > stride_b then return 1 end
    if x:size(a) > x:size(b) then return 1 end
    return 0
  end

  for i = 2, dims do
    local at = i
    for before = i - 1, 1, -1 do
      local comparison = swaps(order[before], order[at])
      if comparison > 0 then
        order[before], order[at] = order[at], order[before]
        at = before
      elseif comparison < 0 then
        break
      else
        ambiguous = true
      end
    end
  end
  local reversed = {}
  for i = 1, dims do reversed[i] = order[dims - i + 1] end
  return reversed, ambiguous
end

--- The dimensions in the order in which they lie in memory, from the outermost.
---@param ambiguity_check? boolean|memory_format[] an error if there are several orders, false
---@return integer[]
---@example torch.ones(2, 3):t():dim_order()  --> {1, 0}
methods.dim_order = named("Tensor.dim_order", "self, *, ambiguity_check=false", function(x, check)
  if x.layout ~= native.strided then
    fail("Can't get dim order on sparse type: %s Use Tensor.to_dense() to convert to a dense tensor first.",
      arrays.type_name(x))
  end
  local formats = {}
  if type(check) == "table" then formats, check = check, true
  elseif type(check) ~= "boolean" then fail "The ambiguity_check argument must be a bool or a list of memory formats." end
  if check and has_ambiguous_order(x) and not is_of_one_format(x, formats) then
    fail "The tensor does not have unique dim order, or cannot map to exact one of the given memory formats."
  end
  return (physical_order(x))
end)

--- What a module's parameter takes over from a state dict: a copy into this tensor, or the other itself.
---@param other Tensor
---@param assign? boolean false
---@return Tensor
---@example torch.zeros(2):module_load(torch.ones(2))  --> tensor([1., 1.])
methods.module_load = named("Tensor.module_load", "self, other, assign=false", function(x, other, assign)
  if assign then return other:detach() end
  return x:copy_(other):detach()
end)

local function resized(x, sizes)
  local count = 1
  for _, size in ipairs(sizes) do count = count * size end
  if count ~= x:numel() then
    fail("requested resize to %s (%d elements in total), but the given tensor has a size of %s (%d elements). autograd's "
      .. "resize can only change the shape of a given tensor, while preserving the number of elements. ",
      table.concat(sizes, "x"), count, table.concat(x.shape, "x"), x:numel())
  end
  return x:contiguous():view(sizes)
end

--- Another shape of as many elements; deprecated by reshape.
---@param ... integer|integer[]
---@return Tensor
---@example torch.arange(4):resize(2, 2).shape  --> torch.Size([2, 2])
function methods.resize(x, ...)
  warn "non-inplace resize is deprecated"
  local first = ...
  return resized(x, type(first) == "table" and first or {...})
end

--- The shape of another tensor of as many elements; deprecated by reshape.
---@param tensor Tensor
---@return Tensor
---@example torch.arange(4):resize_as(torch.zeros(2, 2)).shape  --> torch.Size([2, 2])
methods.resize_as = named("Tensor.resize_as", "self, tensor", function(x, tensor)
  warn "non-inplace resize_as is deprecated"
  return resized(x, tensor.shape)
end)

--- Was removed from PyTorch: torch.distributions took its place.
function methods.reinforce()
  fail "reinforce() was removed.\nUse torch.distributions instead."
end

--- No program of LibTorch's CPU and CUDA builds has such a device.
function methods.xpu() vm.raise("device", "Torch not compiled with XPU enabled") end

--- No program of LibTorch's CPU and CUDA builds has such a device.
function methods.ipu() vm.raise("device", "PyTorch is not linked with support for ipu devices") end

--- No program of LibTorch's CPU and CUDA builds has such a device.
function methods.mtia() vm.raise("device", "Torch not compiled with MTIA enabled.") end

return methods
