-- Nested Lua tables with tensors, taken apart into what JSON holds and a flat list of tensors, and put together again.
local tree = {}

-- A sequence without holes is a JSON list; a table of string keys a JSON object; anything else a list of pairs.
local function shape_of(value)
  local count, strings = 0, true
  for key in pairs(value) do
    count = count + 1
    if type(key) ~= "string" then strings = false end
  end
  if count > 0 and #value == count then return "list" end
  return strings and "object" or "pairs"
end

local function sorted_keys(value)
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if type(a) == type(b) and type(a) ~= "boolean" then return a < b end
    return tostring(a) < tostring(b)
  end)
  return keys
end

local function take_apart(value, path, tensors)
  local kind = type(value)
  if kind == "number" and value - value ~= 0 then
    return {["$number"] = value ~= value and "nan" or value > 0 and "inf" or "-inf"}
  end
  if kind == "userdata" then
    tensors[#tensors + 1] = {path, value}
    return {["$tensor"] = path}
  end
  if kind ~= "table" then return value end
  local shape = shape_of(value)
  local result = {}
  if shape == "list" then
    for i, item in ipairs(value) do result[i] = take_apart(item, path .. "." .. (i - 1), tensors) end
  elseif shape == "object" then
    for _, key in ipairs(sorted_keys(value)) do result[key] = take_apart(value[key], path .. "." .. key, tensors) end
  else
    local list = {}
    for i, key in ipairs(sorted_keys(value)) do
      list[i] = {key, take_apart(value[key], path .. "." .. tostring(key), tensors)}
    end
    result["$pairs"] = list
  end
  return result
end

---Takes a value apart.
---@param value any nil, booleans, numbers, strings, tensors, tables of these
---@param name string the begin of each tensor's name
---@return any plain what JSON can hold
---@return table tensors list of {name, tensor}
function tree.take_apart(value, name)
  local tensors = {}
  return take_apart(value, name, tensors), tensors
end

---Puts a value of tree.take_apart together again.
---@param plain any
---@param tensors table<string, userdata> by name
function tree.put_together(plain, tensors)
  if type(plain) ~= "table" then return plain end
  if plain["$tensor"] then
    local tensor = tensors[plain["$tensor"]]
    if not tensor then error(("the tensor '%s' is missing"):format(plain["$tensor"]), 0) end
    return tensor
  end
  if plain["$number"] then
    local special = plain["$number"]
    return special == "nan" and 0 / 0 or special == "inf" and math.huge or -math.huge
  end
  local result = {}
  if plain["$pairs"] then
    for _, pair in ipairs(plain["$pairs"]) do result[pair[1]] = tree.put_together(pair[2], tensors) end
  else
    for key, item in pairs(plain) do result[key] = tree.put_together(item, tensors) end
  end
  return result
end

return tree
