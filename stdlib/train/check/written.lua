-- What is written out in a script, and so is known before it runs.
local values = require "host.check.values"

local written = {}

---The keyed items of a table by name.
---@param items table[]
---@return table<string, table>
function written.named(items)
  local by_name = {}
  for _, item in ipairs(items) do
    if item.key then by_name[item.key] = item end
  end
  return by_name
end

---"EarlyStopping" for train.EarlyStopping{...}, and the namespace's name.
---@param node table
---@return string? name
---@return string? home
function written.called_name(node)
  if node.type ~= "call" then return nil end
  local callee = values.origin(node.callee)
  local base = callee.type == "index" and callee.key and values.of(callee.object)
  if not base or not values.is_namespace(base) then return nil end
  return callee.key, getmetatable(base).__name
end

---The table that is the only argument of a call; nil if it is no table that is written out.
---@param call table
---@return table?
function written.only_table(call)
  local node = #call.arguments == 1 and values.origin(call.arguments[1])
  return node and node.type == "table" and node or nil
end

---The value of what is written out: strings, numbers, booleans, tables of these. A table that has a name may get more.
---@param given table node
---@param of_item? fun(node: table): any, boolean the values in a table, written.literal
---@return any value
---@return boolean known
function written.literal(given, of_item)
  local node = values.origin(given)
  if node.type == "string" then return node.value, true end
  if node.type == "number" then return tonumber(node.value), true end
  if node.type == "true" or node.type == "false" then return node.type == "true", true end
  if node.type == "unary" and node.operator == "-" then
    local value, known = written.literal(node.operand)
    if known and type(value) == "number" then return -value, true end
  elseif node.type == "table" and node == given then
    local list = {}
    for _, item in ipairs(node.items) do
      local key = item.key
      if item.keyed and not key then key = written.literal(item.key_expression) end
      local value, known = (of_item or written.literal)(item.value)
      if not known or item.keyed and key == nil then return nil, false end
      list[key or #list + 1] = value
    end
    return list, true
  end
  return nil, false
end

return written
