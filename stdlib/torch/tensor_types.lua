-- torch.Tensor, torch.FloatTensor and their like: the types of tensors, as constructors of the old kind and, for
-- torch.Tensor, as the namespace of all methods.
local keywords = require "host.keywords"
local native = require "native.tensor"
local ops = require "native.ops"
local vm = require "native.vm"
local is_tensor <const> = native.is_tensor

local types = {}

local empty <const> = ops.find("empty")

local function fail(kind, message, ...) vm.raise(kind, message:format(...)) end

-- What comes first decides: nothing, a tensor, data in a list, or sizes.
local function make(dtype, device, any_dtype, positional)
  local first = positional[1]
  if positional.n == 0 then return empty(0, {dtype = dtype, device = device}) end
  if positional.n == 1 and is_tensor(first) then
    if not any_dtype and first.dtype ~= dtype or first.device.type ~= device.type then
      fail("dtype", "expected a tensor of %s on %s, got %s on %s", tostring(dtype), device.type, tostring(first.dtype),
        first.device.type)
    end
    return first:detach()
  end
  if positional.n == 1 and type(first) == "table" and getmetatable(first) == nil then
    return native.tensor(first, {dtype = dtype, device = device, requires_grad = false})
  end
  if positional.n == 1 and type(first) == "string" then fail("usage", "new(): invalid data type 'str'") end
  if positional.n == 1 and type(first) ~= "table" and not (math.type(first) and math.tointeger(first)) then
    fail("usage", "new(): data must be a sequence (got %s)", vm.describe(first))
  end
  local sizes = type(first) == "table" and first or table.move(positional, 1, positional.n, 1, {})
  return empty(sizes, {dtype = dtype, device = device})
end

--- A tensor of the old kind of constructor: of sizes (not initialized), of a list of data, or another tensor's memory.
---@param dtype dtype
---@param device device
---@param any_dtype boolean may another tensor have another dtype?
---@return Tensor
function types.construct(dtype, device, any_dtype, ...)
  local positional, named = keywords.split(...)
  local wanted = keywords.check("new", named, {device = keywords.none}).device
  if wanted ~= nil and native.device(wanted).type ~= device.type then
    fail("device", "legacy constructor expects device type: %s but device type: %s was passed", device.type,
      native.device(wanted).type)
  end
  return make(dtype, wanted and native.device(wanted) or device, any_dtype, positional)
end

-- --- torch.Tensor

local attributes <const> = "an attribute of each tensor: x.%s"

local function method_of(_, name)
  local method = native.methods[name]
  if method == nil and type(name) == "string" then
    method = name == "repeat" and native.methods.rep or ops.find(name, true)
  end
  if method == nil then
    local is_attribute = type(name) == "string" and pcall(function() return empty(0)[name] end)
    vm.raise("usage", ("torch.Tensor has no '%s'"):format(tostring(name)),
      is_attribute and attributes:format(name) or ops.nearest(tostring(name), true))
  end
  return method
end

--- The type of all tensors: torch.Tensor(2, 3) of sizes, torch.Tensor{1, 2} of data, both of the default dtype, and all
--- methods as functions: torch.Tensor.add(x, y) is x:add(y).
types.Tensor = setmetatable({}, {
  __name = "torch.Tensor",
  __index = method_of,
  __newindex = function() vm.raise("usage", "torch.Tensor: methods cannot be assigned") end,
  __call = function(_, ...) return types.construct(native.get_default_dtype(), native.device "cpu", true, ...) end,
  __tostring = function() return "torch.Tensor" end,
})

-- --- torch.FloatTensor and its like

local Type = {__name = "tensortype"}
function Type:__tostring() return self.name end
function Type:__call(...)
  if self.is_cuda and not require("torch").cuda.is_available() then
    fail("device", "type %s not available. Torch not compiled with CUDA enabled.", self.name)
  end
  return types.construct(self.dtype, native.device(self.is_cuda and "cuda" or "cpu"), false, ...)
end

local NAMES <const> = {
  BFloat16 = "bfloat16", Bool = "bool", Byte = "uint8", Char = "int8", Double = "float64", Float = "float32",
  Half = "float16", Int = "int32", Long = "int64", Short = "int16",
}

local function define(space, is_cuda)
  local defined = {}
  for name, dtype in pairs(NAMES) do
    defined[name .. "Tensor"] = setmetatable({name = ("%s.%sTensor"):format(space, name), dtype = native[dtype],
      is_cuda = is_cuda, is_sparse = false, layout = native.strided}, Type)
  end
  return defined
end

for name, type_object in pairs(define("torch", false)) do types[name] = type_object end
--- torch.cuda.FloatTensor and its like.
types.cuda = define("torch.cuda", true)

--- Is it torch.FloatTensor or its like?
---@param value any
---@return boolean
function types.is_type(value) return type(value) == "table" and getmetatable(value) == Type end

return types
