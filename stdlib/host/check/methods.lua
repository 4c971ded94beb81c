-- Methods: those that an object of the library does not have, those called with a dot, and misspelt ones of the script's own
-- modules.
local keywords = require "host.keywords"
local values = require "host.check.values"

local LOADER <const> = "torch.utils.data.DataLoader"

-- The functions of a class and of those above it.
local function collect(class, names)
  for _ = 1, 10 do
    if type(class) ~= "table" then return end
    for name, value in next, class do
      if type(value) == "function" and type(name) == "string" and not name:find("^_") then names[name] = true end
    end
    local meta = debug.getmetatable(class)
    class = type(meta) == "table" and meta.__index or nil
  end
end

local sets = {}  -- path -> {name -> true}

-- The methods of what a constructor of the library makes; nil if they are not known.
local function methods_of(path)
  if sets[path] == nil then
    local names = require "host.help.names"
    local value, found = names.find(path), {}
    if path == "torch.Tensor" then
      for _, name in ipairs(names.of_tensor()) do found[name] = names.attributes()[name] == nil end
    elseif path == LOADER then
      for _, each in ipairs(require("host.help.entry").of(path, value).beside or {}) do
        found[each.name:match("[%w_]+$")] = true
      end
    else
      collect(value, found)
    end
    sets[path] = next(found) and found or false
  end
  return sets[path] or nil
end

-- "torch.optim.Adam" of what it makes; nil if it does not show.
local function origin_of(node)
  if values.is_tensor(node) then return "torch.Tensor" end
  node = values.origin(node)
  if node.type ~= "call" then return nil end
  local path, callee = values.path(node.callee), node.callee
  if path == "mlflow.start_run" then return "mlflow.Run" end
  if path == LOADER or path and (path:find("^torch%.nn%.%u") or path:find("^torch%.optim%.%u")) then
    return path == LOADER and path or type(values.of(callee)) == "table" and path or nil
  end
  local class = values.origin(callee)
  local is_class = callee.type == "name" and class.type == "call" and values.path(class.callee) == "torch.nn.class"
  return is_class and #class.arguments == 1 and "torch.nn.Module" or nil
end

local function text_of(node) return node.type == "name" and node.name or "object" end

local function check_dot(call, report)
  local callee, first = call.callee, call.arguments[1]
  if callee.type ~= "index" or not callee.key then return end
  local object = callee.object
  if first and first.type == "name" and object.type == "name" and first.name == object.name then return end  -- x.sum(x)
  local path = origin_of(object)
  local known = path and methods_of(path)
  if known and known[callee.key] then
    report(callee, ("%s is a method, and is called with a dot"):format(callee.key),
      ("%s:%s(...)"):format(text_of(object), callee.key))
  end
end

-- Names that the script itself gives to fields and methods.
local function names_given(found)
  local given = {}
  for _, list in ipairs {found.methods, found.fields} do
    for _, node in ipairs(list) do
      if node.assigned then given[node.key] = true end
    end
  end
  return given
end

local function check_method(call, given, report)
  local path = origin_of(call.object)
  local known = path and path ~= "torch.Tensor" and methods_of(path)
  if not known or known[call.name] or given[call.name] or call.name == "forward" then return end
  local names = {}
  for name in pairs(known) do names[#names + 1] = name end
  for name in pairs(path == "torch.nn.Module" and given or {}) do names[#names + 1] = name end
  table.sort(names)
  local near = keywords.did_you_mean(call.name, names)
  if near then report(call, ("%s has no method '%s'"):format(path, call.name), near) end
end

-- What is read of a tensor: attributes, and methods that are called elsewhere.
local function check_field(node, report)
  local is_left = node.assigned or node.protected or node.key:find("^_")
  if is_left or not values.is_tensor(node.object) then return end
  local names = require "host.help.names"
  if names.find("torch.Tensor." .. node.key) ~= nil then return end
  report(node, ("a tensor has no '%s'"):format(node.key), keywords.did_you_mean(node.key, names.of_tensor()))
end

-- x.shape[0]: shapes are Lua lists, from 1.
local function check_shape(node, report)
  local object, key = node.object, node.key_expression
  local is_shape = object.type == "index" and object.key == "shape" and values.is_tensor(object.object) ~= false
  if is_shape and key.type == "number" and tonumber(key.value) == 0 then
    report(node, "a shape is a Lua list and begins at 1", "x.shape[1], x:size(0)", "warning")
  end
end

-- A class of modules without forward, but with something near it.
local function check_classes(found, report)
  local classes = {}
  for _, node in ipairs(found.methods) do
    local variable = node.object.type == "name" and node.object.variable
    local made = variable and variable.init and values.origin(variable.init)
    if made and made.type == "call" and values.path(made.callee) == "torch.nn.class" then
      if not classes[variable] then
        classes[variable] = {}
        classes[#classes + 1] = classes[variable]
      end
      table.insert(classes[variable], node)
      local first = node.defined.parameters[1]
      if (node.key == "forward" or node.key == "__init") and first ~= "self" and first ~= "_" and first ~= "..." then
        report(node, ("%s is defined with a dot, and has no self"):format(node.key),
          ("function %s:%s(...)"):format(node.object.name, node.key))
      end
    end
  end
  for _, nodes in ipairs(classes) do
    local there = {}
    for _, node in ipairs(nodes) do there[node.key] = true end
    for _, node in ipairs(nodes) do
      local is_init = node.key:gsub("_", "") == "init" or node.key:find("^_") and keywords.did_you_mean(node.key, {"__init"})
      local is_forward = node.key:find("^f") and keywords.did_you_mean(node.key, {"forward"})
      local wanted = is_init and "__init" or is_forward and "forward"
      if wanted and not there[wanted] then
        report(node, ("'%s' is no method that a module calls"):format(node.key), ("did you mean '%s'?"):format(wanted))
      end
    end
  end
end

---@param found table of the parser
---@param report fun(at: table, message: string, hint: string?)
return function(found, report)
  local given = names_given(found)
  for _, call in ipairs(found.calls) do
    if not call.protected then check_dot(call, report) end
  end
  for _, call in ipairs(found.method_calls) do
    if not call.protected then check_method(call, given, report) end
  end
  for _, node in ipairs(found.fields) do check_field(node, report) end
  for _, node in ipairs(found.indexes) do check_shape(node, report) end
  check_classes(found, report)
end
