-- torch.nested: tensors of tensors of different sizes, in the strided layout. The jagged layout is a class of PyTorch's
-- Python: what makes one there makes a strided one of the same components here.
local native = require "native.tensor"
local ops = require "native.ops"
local signature = require "torch.signature"
local vm = require "native.vm"
local is_tensor <const> = native.is_tensor

local nested = {}

local function op(name) return ops.find_any("aten::" .. name) end

local from_list <const> = op "_nested_tensor_from_tensor_list"

local function fail(message, ...) vm.raise("usage", message:format(...)) end

local function check_layout(layout, what)
  if layout == nil or layout == native.strided then return end
  if layout == native.jagged then
    vm.raise("usage", what .. ": the jagged layout is a class of PyTorch's Python",
      "layout = torch.strided makes a nested tensor of the older kind, which has fewer operators")
  end
  fail("Specified layout is unsupported for %s: %s", what, tostring(layout))
end

local parse_nested = signature("torch.nested.nested_tensor",
  "tensor_list, *, dtype=nil, layout=nil, device=nil, requires_grad=false, pin_memory=false")

--- A nested tensor with copies of these tensors (or lists of numbers), as a new leaf.
---@param tensor_list (Tensor|table)[] all with as many dimensions
---@param dtype? dtype the first one's
---@param layout? layout strided
---@param device? device the first one's
---@param requires_grad? boolean false
---@param pin_memory? boolean false
---@return Tensor
---@example torch.nested.nested_tensor({torch.tensor{1.}, torch.tensor{2., 3.}}):unbind()
--- --> {tensor([1.]), tensor([2., 3.])}
function nested.nested_tensor(...)
  local list, dtype, layout, device, requires_grad, pin_memory = parse_nested(...)
  check_layout(layout, "nested tensors")
  if type(list) ~= "table" then
    fail "Only lists (List[Tensor] and List[List...[Scalar]]) are accepted in nested_tensor"
  end
  local parts = {}
  for i, part in ipairs(list) do
    part = is_tensor(part) and part:detach() or native.tensor(part, {dtype = dtype, requires_grad = false})
    dtype = dtype or part.dtype
    parts[i] = part.dtype == dtype and part or part:to(dtype)
  end
  local result = from_list(parts, dtype, nil, device, pin_memory)
  if requires_grad then result:requires_grad_() end
  return result
end

local parse_as = signature("torch.nested.as_nested_tensor", "ts, dtype=nil, device=nil, layout=nil")

--- A nested tensor of these tensors, or of a tensor's rows, with their history.
---@param ts Tensor|Tensor[]
---@param dtype? dtype
---@param device? device
---@param layout? layout strided
---@return Tensor
---@example torch.nested.as_nested_tensor({torch.ones(2), torch.ones(3)}):size(0)  --> 2
function nested.as_nested_tensor(...)
  local ts, dtype, device, layout = parse_as(...)
  if is_tensor(ts) then
    if ts:dim() < 2 then fail "as_nested_tensor(): Expected tensor argument to have dim() > 1" end
  else
    local all = type(ts) == "table"
    for _, part in ipairs(all and ts or {}) do all = all and is_tensor(part) end
    if not all then
      fail "as_nested_tensor(): Expected first argument to be a tensor or a list / tuple of tensors "
    end
  end
  check_layout(layout, "nested tensors")
  if not is_tensor(ts) then return from_list(ts, dtype, nil, device, nil) end
  local is_nested = not pcall(function() return ts.shape end)  -- a nested tensor has no sizes
  if is_nested then return ts:to(device or ts.device, dtype or ts.dtype) end
  local sizes, own = {}, table.move(ts.shape, 2, ts:dim(), 1, {})
  for i = 1, ts:size(0) do sizes[i] = own end
  local size_table = native.tensor(sizes, {dtype = native.int64})
  local strides, offsets = op "_nested_compute_contiguous_strides_offsets"(size_table)
  local buffer = ts:reshape(-1)
  if dtype ~= nil or device ~= nil then buffer = buffer:to(device or ts.device, dtype or ts.dtype) end
  return op "_nested_view_from_buffer"(buffer, size_table, strides, offsets)
end

--- A dense tensor: shorter components are filled up with a value.
---@param input Tensor nested
---@param padding number
---@param output_size? integer[] the greatest sizes
---@param out? Tensor
---@return Tensor
nested.to_padded_tensor = op "nested_to_padded_tensor"

local parse_narrow = signature("torch.nested.narrow", "tensor, dim, start, length, layout=nil")

--- A nested tensor of a part of a dense one.
---@param tensor Tensor
---@param dim integer
---@param start integer
---@param length integer
---@param layout? layout strided
---@return Tensor
---@example torch.nested.narrow(torch.tensor{{1, 2}, {3, 4}, {5, 6}}, 0, 1, 2):unbind()  --> {tensor([3, 4]), tensor([5, 6])}
function nested.narrow(...)
  local tensor, dim, start, length, layout = parse_narrow(...)
  check_layout(layout, "nested narrow")
  if is_tensor(start) or is_tensor(length) then
    fail "start and length must be integers for the strided layout NT impl"
  end
  if math.type(start) ~= "integer" then fail "start must be an integer or a tensor" end
  if math.type(length) ~= "integer" then fail "length must be an integer or a tensor" end
  return nested.as_nested_tensor(tensor:unbind()):narrow(dim, start, length)
end

-- values[..., offsets[i]:offsets[i + 1], ...] as components, of given lengths if they leave gaps.
local function from_offsets(values, offsets, lengths, dim)
  local parts = {}
  for i = 1, #offsets - 1 do
    parts[i] = values:narrow(dim - 1, offsets[i], lengths and lengths[i] or offsets[i + 1] - offsets[i])
  end
  return from_list(parts)
end

local parse_jagged = signature("torch.nested.nested_tensor_from_jagged",
  "values, offsets=nil, lengths=nil, jagged_dim=nil, min_seqlen=nil, max_seqlen=nil")

--- A nested tensor of pieces of one tensor. Strided here, so its components are copies.
---@param values Tensor [sum of lengths, ...]
---@param offsets? Tensor int64 [batch + 1], where each piece begins and the last one ends
---@param lengths? Tensor int64 [batch], alone or with offsets that leave gaps
---@param jagged_dim? integer the dimension of the result that differs, 1
---@param min_seqlen? integer has no effect
---@param max_seqlen? integer has no effect
---@return Tensor
---@example local values = torch.arange(5)
--- torch.nested.nested_tensor_from_jagged(values, torch.tensor{0, 2, 5}):unbind()  --> {tensor([0, 1]), tensor([2, 3, 4])}
function nested.nested_tensor_from_jagged(...)
  local values, offsets, lengths, dim = parse_jagged(...)
  if offsets == nil then
    if lengths == nil then
      fail "nested_tensor_from_jagged(): At least one of offsets or lengths is required."
    end
    offsets, lengths = op "pad"(lengths:cumsum(0), {1, 0}), nil
  end
  dim = dim or 1
  if dim < 1 then fail("Expected jagged_dim >=1, but got %d.", dim) end
  return from_offsets(values, offsets:tolist(), lengths and lengths:tolist(), dim)
end

local parse_select = signature("torch.nested.masked_select", "tensor, mask")

--- The elements that a mask lets through, a component for each row of the mask.
---@param tensor Tensor
---@param mask Tensor bool, broadcast to tensor
---@return Tensor
---@example local x = torch.nested.masked_select(torch.tensor{{1, 2}, {3, 4}}, torch.tensor{{true, false}, {true, true}})
--- x:unbind()  --> {tensor([1]), tensor([3, 4])}
function nested.masked_select(...)
  local tensor, mask = parse_select(...)
  for name, x in pairs {tensor = tensor, mask = mask} do
    if x.layout ~= native.strided then
      fail(name == "tensor" and "torch.nested.masked_select requires a strided tensor, given %s"
        or "torch.nested.masked_select requires a strided mask, given: %s", tostring(x.layout))
    end
  end
  local lengths = mask:expand(tensor.shape):sum(tensor:dim() - 1):view(-1)
  return from_offsets(tensor:masked_select(mask), op "pad"(lengths:cumsum(0), {1, 0}):tolist(), nil, 1)
end

return require("host.namespace")("torch.nested", {held = nested})
