-- What the names of a script stand for as far as it shows without running: torch, train, mlflow and what is in them.
local keywords = require "host.keywords"
local ordered = require "host.ordered"

local values = {}

local MODULES <const> = {torch = true, train = true, mlflow = true, host = true, tensorboard = true, sweep = true}

local USUAL <const> = {torch = "torch", nn = "torch.nn", F = "torch.nn.functional", optim = "torch.optim", train = "train",
  mlflow = "mlflow", host = "host"}

---The module that a name usually stands for.
---@param name string
---@return string?
function values.usual_module(name) return USUAL[name] end

local function is_namespace(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__names") ~= nil
end

---Is it a namespace of the standard library, such as torch or torch.nn?
---@param value any
---@return boolean
function values.is_namespace(value) return is_namespace(value) end

-- The name of a module of the standard library that is a plain table, such as torch.utils.data.
local function name_of_plain(value)
  if type(value) ~= "table" or getmetatable(value) ~= nil then return nil end
  for _, name in ipairs(ordered.keys(package.loaded)) do
    if rawequal(package.loaded[name], value) and MODULES[name:match("^[^.]*")] then return name end
  end
  return nil
end

---The expression behind a local that is never assigned again.
---@param node table
---@return table
function values.origin(node)
  for _ = 1, 20 do
    if node.type == "paren" then
      node = node.inner
    elseif node.type == "name" and node.variable and node.variable.writes == 0 and node.variable.init then
      node = node.variable.init
    else
      return node
    end
  end
  return node
end

local function key_of(node)
  return node.key or node.key_expression and node.key_expression.type == "string" and node.key_expression.value or nil
end

---The value that a name of the standard library stands for; nil if it is none, or not known before the script runs.
---@param node table
---@return any
function values.of(node)
  node = values.origin(node)
  if node.value_known then return node.known end
  local value
  if node.type == "call" and node.callee.type == "name" and not node.callee.variable and node.callee.name == "require" then
    local name = node.arguments[1] and node.arguments[1].type == "string" and node.arguments[1].value
    if name and MODULES[name:match("^[^.]*")] then
      local ok, module = pcall(require, name)
      value = ok and module or nil
    end
  elseif node.type == "index" and key_of(node) then
    local base = values.of(node.object)
    local plain = name_of_plain(base)
    if plain then
      value = base[key_of(node)]
      if value == nil then
        node.problem = {message = ("%s has no '%s'"):format(plain, key_of(node)),
          hint = keywords.did_you_mean(key_of(node), ordered.keys(base))}
      end
    elseif is_namespace(base) then
      local ok, found = pcall(function() return base[key_of(node)] end)
      if ok then value = found else node.problem = found end
    end
  end
  node.value_known, node.known = true, value
  return value
end

---The path of a name of the standard library: "torch.nn.Linear"; nil if it is none.
---@param node table
---@return string?
function values.path(node)
  node = values.origin(node)
  local key = node.type == "index" and key_of(node)
  local base = key and values.of(node.object)
  local home = base and (name_of_plain(base) or is_namespace(base) and getmetatable(base).__name)
  return home and home .. "." .. key or nil
end

-- Does an operator give a tensor first?
local returns = {}
local function gives_tensor(name)
  if returns[name] == nil then
    local overloads = require("native.doc").overloads("aten::" .. name)
    local first = overloads and overloads[1] and overloads[1].results[1]
    returns[name] = first ~= nil and first.type == "Tensor"
  end
  return returns[name]
end

-- Methods that hardly anything but a tensor has.
local TENSORS_ALONE <const> = {}
for name in ([[any all eq ne lt le gt ge less greater less_equal greater_equal not_equal isnan isinf isfinite isposinf
  isneginf isreal isclose logical_and logical_or logical_xor logical_not signbit bitwise_and bitwise_or bitwise_xor
  bitwise_not isin]]):gmatch("%S+") do TENSORS_ALONE[name] = true end

-- Does a function of the library give a tensor first, by its schemas or by what it says of itself?
local function returns_tensor(callee)
  local path, f = values.path(callee), values.of(callee)
  if type(f) ~= "function" then return false end
  local operator, is_method = require("native.ops").name_of(f)
  if operator then return not is_method and gives_tensor(operator) end
  if returns[path] == nil then
    local ok, entry = pcall(require("host.help.entry").of, path, f)
    local first = ok and entry.returns and entry.returns[1]
    returns[path] = first and first.type == "Tensor" or false
  end
  return returns[path]
end

-- Does a call make a layer of torch.nn, whose call gives a tensor first?
local function makes_layer(call)
  local path = values.path(call.callee)
  return path ~= nil and path:find("^torch%.nn%.%u") ~= nil and type(values.of(call.callee)) == "table"
end

---Is the value of an expression a tensor? true, false, or nil where it does not show.
---@param node table
---@return boolean?
function values.is_tensor(node)
  node = values.origin(node)
  local kind = node.type
  if kind == "string" or kind == "number" or kind == "table" or kind == "function" or kind == "true" or kind == "false"
    or kind == "nil" then return false end
  if kind == "call" then
    local callee = values.origin(node.callee)
    if callee.type == "index" and key_of(callee) then
      local base = values.of(callee.object)
      local meta = is_namespace(base) and getmetatable(base).__name
      if (meta == "torch" or meta == "torch.nn.functional") and returns_tensor(callee) then return true end
      if callee.object.type == "name" and not callee.object.variable then return false end  -- string.rep, math.max
    elseif callee.type == "call" and makes_layer(callee) then
      return true
    elseif callee.type == "name" and not callee.variable then
      return false  -- setmetatable, tostring
    end
    return nil
  end
  if kind == "method" then
    local receiver = values.is_tensor(node.object)
    if receiver == false then return false end
    local tensor = gives_tensor(node.name)
    if receiver then return tensor or nil end
    if tensor and TENSORS_ALONE[node.name] then return true end
    return nil
  end
  if kind == "binary" and node.operator:find("^[%+%-%*/%%%^]") then
    return values.is_tensor(node.left) or values.is_tensor(node.right) or nil
  end
  return nil
end

return values
