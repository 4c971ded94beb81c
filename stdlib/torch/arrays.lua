-- Tensors from what is there: tensors, numbers, tables, bytes; and the names of tensor types.
local named = require "torch.named"
local native = require "native.tensor"
local ops = require "native.ops"
local signature = require "torch.signature"
local vm = require "native.vm"

local arrays = {}

local function fail(message, ...) vm.raise("usage", message:format(...)) end

-- The names of dtypes in the names of types, and back.
local TYPES <const> = {
  float32 = "Float", float64 = "Double", float16 = "Half", bfloat16 = "BFloat16", uint8 = "Byte", int8 = "Char",
  int16 = "Short", int32 = "Int", int64 = "Long", bool = "Bool", complex32 = "ComplexHalf", complex64 = "ComplexFloat",
  complex128 = "ComplexDouble", uint16 = "UInt16", uint32 = "UInt32", uint64 = "UInt64", float8_e4m3fn = "Float8_e4m3fn",
  float8_e5m2 = "Float8_e5m2", float8_e4m3fnuz = "Float8_e4m3fnuz", float8_e5m2fnuz = "Float8_e5m2fnuz",
  float8_e8m0fnu = "Float8_e8m0fnu", qint8 = "QInt8", quint8 = "QUInt8", qint32 = "QInt32",
}
local DTYPES <const> = {}
for name, type_name in pairs(TYPES) do DTYPES[type_name] = native[name] end

local function is_type(value) return type(value) == "table" and require("torch.tensor_types").is_type(value) end
local is_tensor <const> = native.is_tensor

local function type_of(dtype) return TYPES[tostring(dtype):sub(7)] end

--- "torch.FloatTensor", "torch.cuda.sparse.LongTensor": the type of a tensor.
---@param x Tensor
---@return string
function arrays.type_name(x)
  local layout, device = x.layout, x.device.type
  local place = device == "cpu" and "" or device .. "."
  if layout == native.sparse_coo then place = place .. "sparse."
  elseif layout ~= native.strided and layout ~= native.jagged then
    fail("Unimplemented backend %s%s", tostring(layout):sub(7):gsub("^%l", string.upper):gsub("_(%l)", string.upper),
      device:upper())
  end
  return ("torch.%s%sTensor"):format(place, type_of(x.dtype))
end

--- The dtype and the device ("cpu" or "cuda") of a type's name, nil if it is none.
---@param name string
---@return dtype?, string?
local function parse_type(name)
  local place, type_name = name:match "^torch%.(.-)(%w+)Tensor$"
  if place == "" or place == "cuda." then return DTYPES[type_name], place == "" and "cpu" or "cuda" end
end

local to <const> = native.methods.to

--- x:type() is the name of its type; x:type(dtype) a tensor of another type.
---@param x Tensor
---@param dtype? dtype|string|tensortype a dtype, a name such as "torch.DoubleTensor", or torch.DoubleTensor
---@param non_blocking? boolean false
---@return string|Tensor
---@example torch.ones(1):type()  --> torch.FloatTensor
arrays.type = named("Tensor.type", "self, dtype=nil, non_blocking=false", function(x, dtype, non_blocking)
  if dtype == nil then return arrays.type_name(x) end
  if type(dtype) == "string" then
    local of_name, device = parse_type(dtype)
    if not of_name then fail("invalid type: '%s'", dtype) end
    return to(x, device, of_name, non_blocking)
  end
  if is_type(dtype) then return to(x, dtype.is_cuda and "cuda" or "cpu", dtype.dtype, non_blocking) end
  if type(dtype) ~= "userdata" then fail "dtype must be a type, str, or dtype object" end
  return to(x, dtype, non_blocking)
end)

--- The name of a value's type: "torch.FloatTensor" for a tensor.
---@param obj any
---@return string
---@example torch.typename(torch.ones(1))  --> torch.FloatTensor
function arrays.typename(obj)
  if is_tensor(obj) then return arrays.type_name(obj) end
  local meta = getmetatable(obj)
  return type(meta) == "table" and type(meta.__name) == "string" and meta.__name or math.type(obj) or type(obj)
end

--- Sets the dtype of new tensors by a type's name; deprecated by torch.set_default_dtype.
---@param t string|dtype|tensortype "torch.DoubleTensor"
---@example torch.set_default_tensor_type("torch.DoubleTensor")
--- torch.ones(1).dtype  --> torch.float64
--- torch.set_default_tensor_type("torch.FloatTensor")
arrays.set_default_tensor_type = named("torch.set_default_tensor_type", "t", function(t)
  local dtype, device = t, "cpu"
  if is_type(t) then t = tostring(t) end
  if type(t) == "string" then
    dtype, device = parse_type(t)
    if not dtype then fail("invalid type: '%s'", t) end
  end
  if device ~= "cpu" then fail("set_default_tensor_type: %s: use torch.set_default_device for the device", t) end
  native.set_default_dtype(dtype)
end)

--- Is it what x:untyped_storage() or x:storage() gives?
---@param obj any
---@return boolean
---@example torch.is_storage(torch.ones(1):untyped_storage())  --> true
arrays.is_storage = named("torch.is_storage", "obj", function(obj) return require("torch.storage").is_storage(obj) end)

-- --- Bytes

local parse_buffer = signature("torch.frombuffer", "buffer, *, dtype=nil, count=-1, offset=0, requires_grad=false")
local STEP <const> = 4096  -- values that one call may return

-- The bytes of a string as a uint8 tensor.
local function bytes_of(buffer, first, last)
  local parts = {}
  for at = first, last, STEP do
    parts[#parts + 1] = native.tensor({buffer:byte(at, math.min(at + STEP - 1, last))}, {dtype = native.uint8})
  end
  return #parts == 1 and parts[1] or ops.find("cat")(parts)
end

--- A 1-D tensor of the bytes of a string, copied: strings of Lua cannot be written to.
---@param buffer string
---@param dtype dtype must be given
---@param count? integer how many elements, -1 for all
---@param offset? integer bytes to skip, 0
---@param requires_grad? boolean false
---@return Tensor
---@example torch.frombuffer("abc", {dtype = torch.uint8})  --> tensor([97, 98, 99], dtype=torch.uint8)
---@source torch.frombuffer
function arrays.frombuffer(...)
  local buffer, dtype, count, offset, requires_grad = parse_buffer(...)
  if type(buffer) ~= "string" then
    fail("torch.frombuffer: argument 'buffer' must be a string of bytes, got %s", vm.describe(buffer))
  end
  if dtype == nil then fail "torch.frombuffer: missing argument 'dtype' (a dtype)" end
  local size, length = dtype.itemsize, #buffer
  if length == 0 or count == 0 then
    fail("both buffer length (%d) and count (%d) must not be 0", length, count)
  end
  if offset < 0 or offset >= length then
    fail("offset (%d bytes) must be non-negative and no greater than buffer length (%d bytes) minus 1", offset, length)
  end
  if count < 0 then
    if (length - offset) % size ~= 0 then
      fail("buffer length (%d bytes) after offset (%d bytes) must be a multiple of element size (%d)", length - offset,
        offset, size)
    end
    count = (length - offset) // size
  end
  if offset + count * size > length then
    fail("requested buffer length (%d * %d bytes) after offset (%d bytes) must not be greater than actual buffer length "
      .. "(%d bytes)", count, size, offset, length)
  end
  local values = bytes_of(buffer, offset + 1, offset + count * size):view(dtype)
  if requires_grad then values:requires_grad_() end
  return values
end

local parse_asarray = signature("torch.asarray", "obj, *, dtype=nil, device=nil, copy=nil, requires_grad=false")

--- A tensor of a tensor (the same memory where it can), a number, a table, or the bytes of a string.
---@param obj Tensor|number|boolean|table|string
---@param dtype? dtype the object's own
---@param device? device|string the object's own
---@param copy? boolean true: always new memory; false: an error where it cannot be the same; nil: as needed
---@param requires_grad? boolean false: a tensor with a history is detached
---@return Tensor
---@example torch.asarray({1, 2, 3}, {dtype = torch.float32})  --> tensor([1., 2., 3.])
---@source torch.asarray
function arrays.asarray(...)
  local obj, dtype, device, copy, requires_grad = parse_asarray(...)
  local result
  if is_tensor(obj) then
    if device ~= nil then device = native.device(device) end
    local other_device = device ~= nil and tostring(device) ~= tostring(obj.device)
      and not (device.index == nil and device.type == obj.device.type)
    local other_dtype = dtype ~= nil and dtype ~= obj.dtype
    if copy == false and other_device then
      fail("can't alias tensor from device '%s' to '%s'.", tostring(obj.device), tostring(device))
    end
    if copy == false and other_dtype then
      fail("can't alias tensor with dtype '%s' into dtype '%s'.", type_of(obj.dtype), type_of(dtype))
    end
    result = obj
    if other_device or other_dtype then result = to(obj, device or obj.device, dtype or obj.dtype)
    elseif copy then result = obj:clone() end
    if not requires_grad and result.requires_grad then result = result:detach() end
    if requires_grad and not result.requires_grad then result = result:requires_grad_() end
    return result
  end
  if type(obj) == "string" then
    if dtype == nil then dtype = native.get_default_dtype() end
    result = arrays.frombuffer(obj, {dtype = dtype})
    if device ~= nil then result = to(result, device) end
  else
    if copy == false then fail "can't alias arbitrary sequence into a tensor." end
    result = native.tensor(obj, {dtype = dtype, device = device, requires_grad = false})
  end
  if requires_grad then result:requires_grad_() end
  return result
end

return arrays
