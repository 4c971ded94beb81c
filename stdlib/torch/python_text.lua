-- Values as Python's str() writes them: True, None, 1e-05, (3, 3).
local float <const> = require("native.track").python_float
local is_tensor <const> = require("native.tensor").is_tensor

local text = {}

-- A string in a list is quoted, as repr does.
local function items(value)
  local parts = {}
  for i, item in ipairs(value) do parts[i] = type(item) == "string" and text.quoted(item) or text.value(item) end
  return parts
end

--- One value; a list is written as a tuple.
---@param value any
---@return string
function text.value(value)
  if value == nil then return "None" end
  if value == true then return "True" end
  if value == false then return "False" end
  if math.type(value) == "float" then return float(value) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = items(value)
  return "(" .. table.concat(parts, ", ") .. (#parts == 1 and ",)" or ")")
end

--- A value as an f-string writes it: a tensor without dimensions by its number.
---@param value any
---@return string
function text.format(value)
  if is_tensor(value) and value:dim() == 0 and not value.is_meta then value = value:item() end
  return text.value(value)
end

--- A list in brackets.
---@param value any[]
---@return string
function text.list(value) return "[" .. table.concat(items(value), ", ") .. "]" end

--- A string in quotes.
---@param value string
---@return string
function text.quoted(value) return "'" .. value .. "'" end

--- "in_features=4, out_features=2": names and values by turns.
---@return string
function text.pairs(...)
  local parts, given = {}, table.pack(...)
  for i = 1, given.n, 2 do parts[#parts + 1] = given[i] .. "=" .. text.value(given[i + 1]) end
  return table.concat(parts, ", ")
end

--- "p=0.5, inplace=False": fields by their names.
---@param object any
---@param ... string
---@return string
function text.fields(object, ...)
  local parts = {...}
  for i, name in ipairs(parts) do parts[i] = name .. "=" .. text.value(object[name]) end
  return table.concat(parts, ", ")
end

return text
