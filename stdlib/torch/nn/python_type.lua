-- What Python calls the types of values that a list of parameters may hold.
local native = require "native.model"

local python_type = {}

local NAMES <const> = {string = "str", boolean = "bool", ["nil"] = "NoneType", ["function"] = "function"}

local function name(value)
  if native.is_module(value) then return native.class_of(value).__name end
  if math.type(value) == "integer" then return "int" end
  if type(value) == "number" then return "float" end
  if type(value) == "table" then return (#value > 0 or next(value) == nil) and "list" or "dict" end
  return NAMES[type(value)] or type(value)
end

--- An entry as ParameterList and ParameterDict print it.
---@param value any
---@param of string? what a tensor's elements are called
---@return string
function python_type.entry(value, of)
  if not native.is_tensor(value) then return "Object of type: " .. name(value) end
  local device = tostring(value.device)
  return ("%s containing: [%s of size %s%s]"):format(native.is_parameter(value) and "Parameter" or "Tensor", of,
    table.concat(value.shape, "x"), device:find("^cuda") and (" (%s)"):format(device) or "")
end

return python_type
