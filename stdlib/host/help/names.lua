-- From a name to what it names and back: "torch.nn.Linear", "Tensor.add", "Run.log_metric".
local native = require "native.doc"
local ops = require "native.ops"
local vm = require "native.vm"

local names = {}

--- What scripts can require.
names.ROOTS = {"torch", "train", "mlflow", "tensorboard", "host", "test"}

-- What scripts call them by habit, and classes whose objects come from functions.
local ALIASES <const> = {
  nn = "torch.nn", F = "torch.nn.functional", optim = "torch.optim", Tensor = "torch.Tensor",
  Module = "torch.nn.Module", DataLoader = "torch.utils.data.DataLoader", Optimizer = "torch.optim.Optimizer",
  Run = "mlflow.Run", Generator = "torch.Generator", Function = "torch.autograd.Function",
  FunctionCtx = "torch.autograd.Function",
}

--- The class of tensors, which is no table of its own: methods from the native module, attributes, operators.
names.Tensor = setmetatable({}, {__name = "class Tensor"})

local function homes(accepts)
  for _, row in ipairs(native.rows()) do
    if accepts(row.home) then return row.home end
  end
  return {}
end

--- The table of functions that read a tensor's attributes.
---@return table<string, function>
function names.attributes()
  return homes(function(home) return home.requires_grad and home.dtype and home.shape and not home.methods end)
end

--- The methods of random number generators.
---@return table<string, function>
function names.generator()
  return homes(function(home) return home.get_state and home.set_state and home.initial_seed and not home.methods end)
end

local function tensor_methods() return require("native.tensor").methods end

local function is_public(name) return type(name) == "string" and name:match("^%a[%w_]*$") ~= nil end

local function sorted(set)
  local list = {}
  for name in pairs(set) do
    if is_public(name) then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

--- The names of Tensor's methods and attributes.
---@return string[]
function names.of_tensor()
  local set = {}
  for name in next, tensor_methods() do set[name] = true end
  for name in next, names.attributes() do set[name] = true end
  for _, name in ipairs(ops.names()) do
    if not set[name] and name:find("^%a") and name ~= "repeat" and ops.find(name, true) then set[name] = true end
  end
  return sorted(set)
end

--- The names in a namespace or class, what is not loaded yet among them; sorted, without those that begin with `_`.
---@param space table
---@return string[]
function names.of(space)
  if space == names.Tensor then return names.of_tensor() end
  local set = {}
  for name in next, space do set[name] = true end
  local meta = debug.getmetatable(space)
  if type(meta) == "table" and rawget(meta, "__names") then
    for _, name in ipairs(meta.__names(space)) do set[name] = true end
  elseif type(meta) == "table" and rawget(meta, "__pairs") then  -- what is loaded when it is first used
    for name in pairs(space) do set[name] = true end
  end
  return sorted(set)
end

--- Is it a class of modules, optimizers or the like: a table that makes objects when it is called?
---@param value any
---@return boolean
function names.is_class(value)
  if value == names.Tensor then return true end
  if type(value) ~= "table" then return false end
  local meta = debug.getmetatable(value)
  return rawget(value, "__name") ~= nil and (meta == nil or meta.__name == "class" or meta.__call ~= nil
    or rawget(value, "__index") ~= nil)
end

-- A field, without an error for one that is not there.
local function field(value, name)
  if value == names.Tensor then
    local found = tensor_methods()[name]
    if found == nil then found = names.attributes()[name] end
    if found == nil and is_public(name) then found = ops.find(name, true) end
    return found
  end
  if type(value) == "function" and value == package.loaded.torch.Generator then
    return names.generator()[name]
  end
  if type(value) ~= "table" then return nil end
  local found, result = pcall(function() return value[name] end)
  if found then return result end
  return nil
end

local function root(name)
  if name == "torch.Tensor" then return names.Tensor end
  for _, each in ipairs(names.ROOTS) do
    if each == name then return require(name) end
  end
  return nil
end

--- Writes a name in full: "nn.Linear" is "torch.nn.Linear", "x:add" is as it is.
---@param text string
---@return string
function names.full(text)
  local path = text:gsub("%s+", ""):gsub(":", "."):gsub("%(.*$", "")
  local first, rest = path:match("^([%w_]+)(.*)$")
  if first and ALIASES[first] then path = ALIASES[first] .. rest end
  return path
end

--- Finds what a name names.
---@param text string
---@return any value nil: nothing
---@return string path in full
---@return string? owner the longest part of the path that was found
---@return string? missing the part after it
function names.find(text)
  local path = names.full(text)
  local value, at, done = nil, path, ""
  if path == "" or path:find("%.%.") or path:find("^%.") or path:find("%.$") then return nil, path, "", text end
  path = path:gsub("^(torch%.Tensor)%.repeat$", "%1.rep")
  for part in path:gmatch("[^%.]+") do
    local longer = done == "" and part or done .. "." .. part
    local next_value
    if done == "" then next_value = root(part)
    elseif longer == "torch.Tensor" then next_value = names.Tensor
    elseif longer == "mlflow.Run" then next_value = require "mlflow.run"
    else next_value = field(value, part) end
    if next_value == nil then return nil, at, done, part end
    value, done = next_value, longer
  end
  return value, path
end

-- The namespaces that are walked to find where a value is; what is not loaded yet cannot be the value.
local function walk(visit)
  local seen = {[names.Tensor] = true}
  local queue = {}
  for _, name in ipairs(names.ROOTS) do
    local module = package.loaded[name]
    if type(module) == "table" then queue[#queue + 1] = {name, module} end
  end
  local i = 1
  while queue[i] do
    local path, space = table.unpack(queue[i])
    i = i + 1
    if not seen[space] then
      seen[space] = true
      local keys = {}
      for key in next, space do
        if is_public(key) then keys[#keys + 1] = key end
      end
      table.sort(keys, function(a, b) return #a < #b or #a == #b and a < b end)
      for _, key in ipairs(keys) do
        local value = rawget(space, key)
        local longer = path .. "." .. key
        if visit(longer, value) then return end
        if type(value) == "table" and not (path == "host" and key == "args") then queue[#queue + 1] = {longer, value} end
      end
    end
  end
end

--- The name of a value of the standard library, the shortest if it has several; nil for others.
---@param value any
---@return string?
function names.path_of(value)
  for _, name in ipairs(names.ROOTS) do
    if package.loaded[name] == value then return name end
  end
  if value == names.Tensor then return "torch.Tensor" end
  local found
  walk(function(path, each)
    if rawequal(each, value) then found = path end
    return found
  end)
  if found then return found end
  for name, each in next, tensor_methods() do
    if rawequal(each, value) then return "torch.Tensor." .. name end
  end
  local name, is_method = ops.name_of(value)
  if not name then return nil end
  if is_method then return "torch.Tensor." .. name end
  return names.of_operator(name)
end

--- The path of a class by the name of its objects' type: "TensorDataset"; nil where there is none.
---@param name any
---@return string?
function names.of_class(name)
  if type(name) ~= "string" then return nil end
  local full = names.full(name)
  if names.find(full) ~= nil then return full end
  return names.with_last_part(name)[1]
end

--- "linalg_norm" -> "torch.linalg.norm"
---@param name string
---@return string
function names.of_operator(name)
  local space, rest = name:match("^(linalg)_(.+)$")
  if not space then space, rest = name:match("^(fft)_(.+)$") end
  if not space then space, rest = name:match("^(special)_(.+)$") end
  if space then return ("torch.%s.%s"):format(space, rest) end
  if name:find("::", 1, true) then return "torch.ops." .. name:gsub("::", ".") end
  return "torch." .. name
end

--- The operator behind a path: "torch.linalg.norm" -> "aten::linalg_norm", false; nil if it is none.
---@param path string
---@param value any
---@return string? operator
---@return boolean? method
function names.operator_of(path, value)
  local name, method = ops.name_of(value)
  if name then return name:find("::", 1, true) and name or "aten::" .. name, method end
  local space, last = path:match("^(.*)%.([%w_]+)$")
  if not space then return nil end
  local prefix = ({["torch"] = "", ["torch.Tensor"] = "", ["torch.linalg"] = "linalg_", ["torch.fft"] = "fft_",
    ["torch.special"] = "special_", ["torch.nn.functional"] = ""})[space]
  if not prefix then return nil end
  if last == "rep" then last = "repeat" end
  if native.overloads("aten::" .. prefix .. last) and ops.find(prefix .. last) then
    return "aten::" .. prefix .. last, space == "torch.Tensor"
  end
  return nil
end

--- Every name of the standard library with this last part, for "did you mean": "relu" -> {"torch.relu", ...}.
---@param last string
---@return string[]
function names.with_last_part(last)
  local found = {}
  local spaces = {"torch", "torch.Tensor", "torch.nn", "torch.nn.functional", "torch.linalg", "torch.fft",
    "torch.special", "torch.optim", "torch.utils.data", "train", "train.metrics", "mlflow", "tensorboard", "host", "torch.nn.init",
    "torch.nn.utils", "torch.autograd", "torch.func", "torch.cuda", "torch.datasets"}
  for _, path in ipairs(spaces) do
    local space = names.find(path)
    for _, name in ipairs(names.of(space)) do
      if name == last then found[#found + 1] = path .. "." .. name end
    end
  end
  return found
end

--- The names nearest to one that is not there, in full.
---@param owner string the part that was found, "" for none
---@param missing string
---@return string[]
function names.nearest(owner, missing)
  local exact = names.with_last_part(missing)
  if owner == "" then
    if exact[1] then return exact end
    local roots = {table.unpack(names.ROOTS)}
    for alias in pairs(ALIASES) do roots[#roots + 1] = alias end
    table.sort(roots)
    local near = vm.nearest(missing, roots, 3)
    if near[1] then return near end
    for _, name in ipairs(vm.nearest(missing, names.of(require "torch"), 3)) do near[#near + 1] = "torch." .. name end
    return near
  end
  local space = names.find(owner)
  local near = {}
  if type(space) == "table" then
    local there = owner == "torch.ops.aten" and ops.names() or names.of(space)
    for _, name in ipairs(vm.nearest(missing, there, 3)) do near[#near + 1] = owner .. "." .. name end
  end
  return near[1] and near or exact
end

return names
