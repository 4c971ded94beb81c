-- What help says of values that are no functions, classes or namespaces: dtypes, layouts, constants, operators of
-- torch.ops, and objects by the name of their type.
local library = require "native.library"

local objects = {}

local FORMATS <const> = {
  contiguous_format = "Memory in the order of the dimensions, the last one fastest.",
  preserve_format = "Memory in the order that the input has.",
  channels_last = "Memory of [N, C, H, W] with the channels fastest.",
  channels_last_3d = "Memory of [N, C, D, H, W] with the channels fastest.",
  legacy_contiguous_format = "contiguous_format by its old name.",
}
local LAYOUTS <const> = {
  strided = "Elements at regular steps in memory: the usual layout.",
  sparse_coo = "Indices and values of the elements that are not zero.",
  sparse_csr = "Compressed rows: where each row begins, columns, values.",
  sparse_csc = "Compressed columns: where each column begins, rows, values.",
  sparse_bsr = "Compressed rows of dense blocks.",
  sparse_bsc = "Compressed columns of dense blocks.",
  jagged = "The layout of nested tensors that PyTorch recommends.",
}
local CONSTANTS <const> = {
  e = "Euler's number.", pi = "The ratio of a circle's circumference to its diameter.", inf = "Infinity.",
  nan = "Not a number: differs from itself.", newaxis = "torch.None: a new dimension in an index.",
  None = "Python's None: a new dimension in an index, an argument that is left out.",
  default_generator = "The CPU's random number generator, which operators draw from.",
}

local function of_dtype(value)
  local kind = value.is_complex and "complex numbers" or value.is_floating_point and "floating-point numbers"
    or tostring(value) == "torch.bool" and "true or false" or "integers"
  local sized, size = pcall(function() return value.itemsize end)
  return ("The dtype of %s%s."):format(kind, sized and size and
    (", %d byte%s each"):format(size, size == 1 and "" or "s") or "")
end

-- The name that the type of a value has, for userdata and tables of classes.
local function type_name(value)
  local meta = debug.getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return type(name) == "string" and name or type(value)
end

--- The kind and the sentence of a value under its path; nil for a value of no known kind.
---@param path string "torch.float32"
---@param value any
---@return string? kind "dtype"
---@return string? text
function objects.about(path, value)
  local last = path:match("([%w_]+)$")
  local kind = type_name(value)
  if kind:find("dtype", 1, true) then return "dtype", of_dtype(value) end
  if kind:find("layout", 1, true) then return "layout", LAYOUTS[last] or "A layout of tensors in memory." end
  if kind:find("memory_format", 1, true) then return "memory_format", FORMATS[last] end
  if path:match("^torch%.[%w_]+$") and CONSTANTS[last] then return type(value), CONSTANTS[last] end
  return nil
end

--- Of torch.ops.aten.add or torch.ops.aten.add.Tensor: the operator's name and the schemas of its overloads; nil for
--- others.
---@param value any
---@return string? operator "aten::add"
---@return string[]? schemas
function objects.operator(value)
  local kind = type_name(value)
  if kind ~= "OpOverloadPacket" and kind ~= "OpOverload" then return nil end
  local space, name, overload = tostring(value):match("^([%w_]+)%.([%w_]+)%.?(.*)$")
  if not space then return nil end
  local operator, schemas = space .. "::" .. name, {}
  for _, each in ipairs(overload ~= "" and {overload} or library.overloads(operator)) do
    schemas[#schemas + 1] = library.schema(operator, each)
  end
  return operator, schemas
end

-- Where the type of an object is told: device("cpu") by torch.device.
local HOMES <const> = {
  device = "torch.device", Generator = "torch.Generator", complex = "torch.complex", Size = "torch.Size",
  Stream = "torch.Stream", Event = "torch.Event", Run = "mlflow.Run", slice = "torch.slice", Tensor = "torch.Tensor",
}

-- Objects of no public name.
local ALONE <const> = {
  RemovableHandle = "What a hook was registered under: handle:remove() takes it out.",
  scope = "What `local _ <close> = ...` holds: it ends with the block.",
  Node = "A step of the graph that backward walks: x.grad_fn, with name() and next_functions.",
  Error = "An error: kind, message, hint, op and trace.",
}

--- The path that tells about an object, by the name of its type; or a text where there is no path.
---@param value any
---@return string? path
---@return string? text
function objects.home(value)
  local name = type_name(value)
  for _, each in ipairs {name, name:match("([%w_]+)$") or name} do
    if HOMES[each] then return HOMES[each] end
    if ALONE[each] then return nil, each .. "\n\n" .. ALONE[each] end
  end
  return nil
end

return objects
