-- Values as text for MLflow: as Python's str() and repr(), as JSON, as YAML.
local json = require "native.json"
local ordered = require "host.ordered"
local track = require "native.track"
local vm = require "native.vm"

local text = {}

local function is_list(t)
  local count = 0
  for _ in pairs(t) do count = count + 1 end
  return count == #t
end

local escapes = {["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t"}

local function quoted(value)
  local quote = value:find("'", 1, true) and not value:find('"', 1, true) and '"' or "'"
  local inner = value:gsub("[\\\n\r\t]", escapes):gsub("[\0-\31\127]", function(c)
    return ("\\x%02x"):format(c:byte())
  end)
  if quote == "'" then inner = inner:gsub("'", "\\'") end
  return quote .. inner .. quote
end

local repr

local function number(value)
  if math.type(value) == "integer" then return ("%d"):format(value) end
  return track.python_float(value)
end

local function container(value, seen)
  if seen[value] then return "..." end
  seen[value] = true
  local parts = {}
  local list = is_list(value)
  if list then
    for i, item in ipairs(value) do parts[i] = repr(item, seen) end
  else
    for i, key in ipairs(ordered.keys(value)) do parts[i] = repr(key, seen) .. ": " .. repr(value[key], seen) end
  end
  seen[value] = nil
  return (list and "[%s]" or "{%s}"):format(table.concat(parts, ", "))
end

function repr(value, seen)
  local kind = type(value)
  if kind == "string" then return quoted(value) end
  if kind == "table" then
    local meta = getmetatable(value)
    if type(meta) == "table" and meta.__tostring then return tostring(value) end
    return container(value, seen)
  end
  if value == json.null then return "None" end
  if kind == "nil" then return "None" end
  if kind == "boolean" then return value and "True" or "False" end
  if kind == "number" then return number(value) end
  if kind == "function" or kind == "thread" then
    vm.raise("usage", ("mlflow: %s has no text to log, expected nil, a boolean, number, string, table or object")
      :format(vm.describe(value)))
  end
  return tostring(value)
end

--- Writes a value as Python's str(): True, None, 0.30000000000000004, [1, 2], {'a': 1.5}. An empty table is [].
---@param value any
---@return string
function text.str(value)
  if type(value) == "string" then return value end
  return repr(value, {})
end

-- A copy that JSON and YAML can write: tensors as lists or numbers, other objects as their text.
local function plain(value, seen)
  local kind = type(value)
  if kind == "table" then
    if seen[value] then vm.raise("usage", "mlflow.log_dict: a table contains itself") end
    seen[value] = true
    local copy = setmetatable({}, getmetatable(value))
    local meta = getmetatable(copy)
    if meta and (meta.__pairs or meta.__newindex) then copy = {} end
    for key, item in pairs(value) do
      local name = type(key) == "number" and #value == 0 and text.str(key) or key
      copy[name] = plain(item, seen)
    end
    seen[value] = nil
    return copy
  end
  if kind == "userdata" and value ~= json.null then
    local ok, list = pcall(function() return value:tolist() end)
    if ok then return list end
    return tostring(value)
  end
  if kind == "function" or kind == "thread" then return tostring(value) end
  return value
end

--- Writes a table as JSON, two spaces a level, as MLflow's log_dict does.
function text.json(value) return json.encode(plain(value, {}), {indent = 2}) end

-- YAML 1.1 would read these as something else than the string.
local function needs_quotes(value)
  if value == "" or value:find("^[%s%-?:,%[%]{}#&*!|>'\"%%@`]") or value:find("[:#]%s") or value:find(":$")
    or value:find("[%c\127-\255]") or value:find("%s$") or tonumber(value) or value:find("^[%d%.%+]") then
    return true
  end
  return ({["true"] = 1, ["false"] = 1, yes = 1, no = 1, on = 1, off = 1, null = 1, ["~"] = 1, y = 1, n = 1,
    ["="] = 1, ["<<"] = 1})[value:lower()] ~= nil
end

local function scalar(value)
  if value == nil or value == json.null then return "null" end
  if type(value) == "boolean" then return tostring(value) end
  if type(value) == "number" then
    if value ~= value then return ".nan" end
    if value == math.huge or value == -math.huge then return value > 0 and ".inf" or "-.inf" end
    local written = number(value)
    -- YAML 1.1 takes a number with an exponent only if there is a point in it.
    return (written:gsub("^(%-?%d+)e", "%1.0e"))
  end
  if needs_quotes(value) then return json.encode(value) end
  return value
end

local function yaml(value, indent, lines)
  local pad = (" "):rep(indent)
  local list = #value > 0 and is_list(value)
  local keys = list and value or ordered.keys(value)
  for i, key in ipairs(keys) do
    local item = list and value[i] or value[key]
    local head = list and pad .. "- " or pad .. scalar(key) .. ": "
    if type(item) ~= "table" then
      lines[#lines + 1] = head .. scalar(item)
    elseif next(item) == nil then
      lines[#lines + 1] = head .. (json.encode(item) == "[]" and "[]" or "{}")
    else
      lines[#lines + 1] = list and pad .. "-" or pad .. scalar(key) .. ":"
      yaml(item, indent + 2, lines)
    end
  end
end

--- Writes a table as YAML in block style, keys sorted.
function text.yaml(value)
  local copy, lines = plain(value, {}), {}
  if next(copy) == nil then return "{}\n" end
  yaml(copy, 0, lines)
  return table.concat(lines, "\n") .. "\n"
end

--- Writes a table as YAML or as JSON, as the file's name has it.
---@param value table
---@param name string "config.yaml"
---@return string
function text.dict(value, name) return name:find("%.ya?ml$") and text.yaml(value) or text.json(value) end

--- The pairs of a table in the order in which they are logged: its own (`__pairs`), else by key.
---@return fun(): any, any
function text.ordered(t)
  local meta = getmetatable(t)
  if type(meta) == "table" and meta.__pairs then return pairs(t) end
  local keys, i = ordered.keys(t), 0
  return function()
    i = i + 1
    if keys[i] ~= nil then return keys[i], t[keys[i]] end
  end
end

return text
