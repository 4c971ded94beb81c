-- What the console knows of the language: how values are shown and how names are completed.
local callable = require "host.callable"
local ordered = require "host.ordered"

local repl = {}

local kMostEntries, kMostDepth = 40, 3
local words = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true
  until while]]):gmatch("%a+") do words[word] = true end

-- Globals of the console, loaded when they are first used.
local GLOBALS <const> = {
  torch = "torch", nn = "torch.nn", train = "train", mlflow = "mlflow", host = "host", help = "host.help",
}

--- Gives the console its globals: `torch`, `nn`, `train`, `mlflow`, `host` and `help`, but for those that a script has
--- set.
function repl.open()
  if getmetatable(_G) ~= nil then return end
  setmetatable(_G, {
    __index = function(globals, name)
      local module = GLOBALS[name]
      if not module then return nil end
      local value = require(module)
      rawset(globals, name, value)
      return value
    end,
    __names = function() return ordered.keys(GLOBALS) end,
  })
end

local function is_name(key) return type(key) == "string" and key:match("^[%a_][%w_]*$") and not words[key] end

local function show(value, depth, open)
  if type(value) == "string" then return depth == 0 and value or ("%q"):format(value):gsub("\\\n", "\\n") end
  local meta = debug.getmetatable(value)
  if type(value) ~= "table" or (meta and (meta.__tostring or meta.__name)) then return tostring(value) end
  if next(value) == nil then return "{}" end
  if open[value] or depth >= kMostDepth then return "{...}" end
  open[value] = true
  local parts, rest, length = {}, {}, #value
  for i = 1, math.min(length, kMostEntries) do parts[i] = (show(value[i], depth + 1, open)) end
  for key in next, value do
    if not (math.type(key) == "integer" and key >= 1 and key <= length) then rest[key] = true end
  end
  local keys = ordered.keys(rest)
  for _, key in ipairs(keys) do
    if #parts >= kMostEntries then break end
    local name = is_name(key) and key or "[" .. show(key, depth + 1, open) .. "]"
    parts[#parts + 1] = name .. " = " .. (show(rawget(value, key), depth + 1, open))
  end
  if length + #keys > #parts then parts[#parts + 1] = ("... %d more"):format(length + #keys - #parts) end
  open[value] = nil
  local line = "{" .. table.concat(parts, ", ") .. "}"
  if #line <= 100 and not line:find("\n", 1, true) then return line end
  local indent = ("  "):rep(depth + 1)
  return "{\n" .. indent .. table.concat(parts, ",\n" .. indent) .. "\n" .. ("  "):rep(depth) .. "}"
end

--- Shows values as the console prints them: tables with their entries, everything else through tostring.
---@return string
function repl.show(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = (show(parts[i], 0, {})) end
  return table.concat(parts, "\t")
end

-- The value of "a.b:c", read without calling anything of the script's that raises; nil if there is none.
local function resolve(path, globals)
  local value = globals
  for name in path:gmatch("[%a_][%w_]*") do
    local ok, field = pcall(function() return value[name] end)
    if not ok or field == nil then return nil end
    value = field
  end
  return value
end

local function operators(value)
  local loaded = package.loaded
  if not loaded.torch then return {} end
  local ops = require "native.ops"
  local meta = debug.getmetatable(value)
  if meta and meta.__name == "Tensor" then
    return ops.names(), function(name) return ops.find(name, true) ~= nil end
  end
  return {}
end

-- The class of a module, and what is assigned to it by name: children, parameters, buffers.
local function of_module(value)
  local meta = debug.getmetatable(value)
  if type(value) ~= "userdata" or not meta or meta.__name ~= "Module" then return nil, {} end
  local names = {}
  local function collect(iterate, ...)
    for name in iterate(value, ...) do names[#names + 1] = name end
  end
  pcall(function()
    collect(value.named_children)
    collect(value.named_parameters, "", false)
    collect(value.named_buffers, "", false)
  end)
  return require("native.model").class_of(value), names
end

--- Completes the name that ends a line.
---@param line string the line up to the cursor
---@param globals? table where names are looked up, _G
---@return string[] the whole words that the name may become, sorted
---@return integer how many characters of the line they replace
function repl.complete(line, globals)
  globals = globals or _G
  local path, separator, start = line:match("([%a_][%w_%.:]*)([%.:])([%w_]*)$")
  if not path then
    path, separator, start = "", ".", line:match("([%a_]?[%w_]*)$")
  end
  local value = path == "" and globals or resolve(path, globals)
  local found, seen = {}, {}
  local function add(name)
    if is_name(name) and name:sub(1, #start) == start and not seen[name]
      and (start ~= "" or name:sub(1, 1) ~= "_") then
      seen[name] = true
      found[#found + 1] = name
    end
  end
  local function add_fields(fields)
    for name, field in next, fields do
      if separator == "." or callable(field) then add(name) end
    end
  end
  local class, parts = of_module(value)
  for _, name in ipairs(separator == "." and parts or {}) do add(name) end
  local level = class or value
  for _ = 1, 10 do  -- the value, its class, the class's base ...
    if type(level) == "table" then add_fields(level) end
    local meta = debug.getmetatable(level)
    if meta == nil then break end
    if type(meta.__names) == "function" then
      local ok, names = pcall(meta.__names, value)
      for _, name in ipairs(ok and names or {}) do add(name) end
    elseif type(level) == "table" and type(meta.__pairs) == "function" then
      pcall(function()
        for name in pairs(level) do add(name) end
      end)
    end
    if type(meta.__methods) == "table" then add_fields(meta.__methods) end
    if meta.__index == nil or meta.__index == level then break end
    level = meta.__index
    if type(level) ~= "table" then break end
  end
  if value ~= nil then
    local names, accepted = operators(value)
    for _, name in ipairs(names) do
      if name:sub(1, #start) == start and not seen[name] and (not accepted or accepted(name)) then add(name) end
    end
  end
  if path == "" then
    for word in pairs(words) do
      if start ~= "" and word:sub(1, #start) == start and not seen[word] then found[#found + 1] = word end
    end
  end
  table.sort(found)
  return found, #start
end

return repl
