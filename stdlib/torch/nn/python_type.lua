-- What Python calls the types of values, in its texts.
local is_tensor <const> = require("native.tensor").is_tensor
local native = require "native.model"

local python_type = {}

local NAMES <const> = {string = "str", boolean = "bool", ["nil"] = "NoneType", ["function"] = "function"}

--- "int", "list", "torch.FloatTensor"; the class of a module or of an object.
---@param value any
---@return string
function python_type.name(value)
  if is_tensor(value) then return native.is_parameter(value) and "Parameter" or require("torch").typename(value) end
  if native.is_module(value) then return native.class_of(value).__name end
  if math.type(value) == "integer" then return "int" end
  local meta = getmetatable(value)
  if type(value) ~= "string" and type(meta) == "table" and type(meta.__name) == "string" then return meta.__name end
  if type(value) == "number" then return "float" end
  if type(value) == "table" then return (#value > 0 or next(value) == nil) and "list" or "dict" end
  return NAMES[type(value)] or type(value)
end

--- As Python prints a type: "<class 'int'>", "<class 'torch.Tensor'>".
---@param value any
---@return string
function python_type.class(value)
  if is_tensor(value) then
    return native.is_parameter(value) and "<class 'torch.nn.parameter.Parameter'>" or "<class 'torch.Tensor'>"
  end
  return ("<class '%s'>"):format(python_type.name(value))
end

--- An error's text, without where it was.
---@param failure any
---@return string
function python_type.message(failure)
  if type(failure) == "string" then return (failure:gsub("^[^\n]-:%d+: ", "", 1)) end
  local ok, message = pcall(function() return failure.message end)
  return ok and message or tostring(failure)
end

--- An entry as ParameterList and ParameterDict print it.
---@param value any
---@param of string? what a tensor's elements are called
---@return string
function python_type.entry(value, of)
  if not is_tensor(value) then return "Object of type: " .. python_type.name(value) end
  local device = tostring(value.device)
  return ("%s containing: [%s of size %s%s]"):format(native.is_parameter(value) and "Parameter" or "Tensor", of,
    table.concat(value.shape, "x"), device:find("^cuda") and (" (%s)"):format(device) or "")
end

return python_type
