-- The stubs of everything as files: one a namespace, made of the entries that help shows.
local call = require "host.stubs.call"
local comments = require "host.help.comments"
local entry = require "host.help.entry"
local names = require "host.help.names"
local types = require "host.stubs.types"

local files = {}

local kMostBytes <const> = 400000  -- the editor leaves out files of more than 500 KB

-- Classes whose name in docstrings is a short one.
local SHORT <const> = {["torch.Tensor"] = "Tensor", ["torch.nn.Module"] = "Module", ["mlflow.Run"] = "Run",
  ["torch.optim.Optimizer"] = "Optimizer", ["torch.utils.data.DataLoader"] = "DataLoader"}

local function class_name(path) return SHORT[path] or (path:gsub("^torch%.", "")) end

local METAMETHODS <const> = {
  {"add", "Tensor|number", "Tensor"}, {"sub", "Tensor|number", "Tensor"}, {"mul", "Tensor|number", "Tensor"},
  {"div", "Tensor|number", "Tensor"}, {"idiv", "Tensor|number", "Tensor"}, {"mod", "Tensor|number", "Tensor"},
  {"pow", "Tensor|number", "Tensor"}, {"band", "Tensor|number", "Tensor"}, {"bor", "Tensor|number", "Tensor"},
  {"bxor", "Tensor|number", "Tensor"}, {"shl", "Tensor|number", "Tensor"}, {"shr", "Tensor|number", "Tensor"},
  {"unm", nil, "Tensor"}, {"bnot", nil, "Tensor"}, {"len", nil, "integer"},
}

local function function_stub(lines, name, it)
  if it.calls then
    local forms = call.forms(#it.calls > 0 and it.calls or it.methods)
    if #forms == 0 or not it.is_operator then  -- a function around it takes more than the operator
      forms[#forms + 1] = {params = {{name = "...", type = "any"}}, results = {{type = "any"}}}
    end
    return call.write(lines, name, it.text, forms, it.link)
  end
  local params = {}
  for i, param in ipairs(it.params or {}) do
    params[i] = {name = param.name, type = param.type, text = param.text, optional = param.optional or param.unknown,
      default = param.default, keyword = param.keyword}
  end
  local overloads = it.overloads
  for _, param in ipairs(params) do  -- a function that runs under a mode may stand at any place
    if param.name == "fn" then overloads = {"fun(...: any): any"} end
  end
  local returns = it.returns or {}
  if #returns == 0 then returns = {{type = "any"}} end  -- without it the editor takes the result for nil
  if #params == 0 and (it.is_native or not it.comment) then params[1] = {name = "...", type = "any"} end
  call.write(lines, name, it.text, call.forms_of_function(params, returns, it.spec), it.link, overloads)
end

local function constant_stub(lines, name, value)
  local kind = type(value) == "userdata" and ((debug.getmetatable(value) or {}).__name or "any")
    or math.type(value) or type(value)
  if kind == "float" then kind = "number" end
  lines[#lines + 1] = "---@type " .. types.written(kind)
  lines[#lines + 1] = ("%s = nil"):format(name)
  lines[#lines + 1] = ""
end

local function sorted_pairs(t)
  local keys = {}
  for key in next, t do
    if type(key) == "string" and key:match("^%a[%w_]*$") then keys[#keys + 1] = key end
  end
  table.sort(keys)
  local i = 0
  return function()
    i = i + 1
    if keys[i] then return keys[i], rawget(t, keys[i]) end
  end
end

-- The class a class is made from, as far as scripts know it.
local function base_of(path, class)
  local base = rawget(class, "__base")
  while base do
    local name = names.path_of(base)
    if name then return name end
    base = rawget(base, "__base")
  end
  if path == "torch.nn.Module" or path == "torch.optim.Optimizer" then return nil end
  if path:find("^torch%.nn%.") then return "torch.nn.Module" end
  return path:find("^torch%.optim%.") and "torch.optim.Optimizer" or nil
end

-- What a module gives when it is called: what its forward gives.
local function forward_of(path, class)
  local forward = class.forward
  if type(forward) ~= "function" then return "fun(...: any): any" end
  local it = entry.of(path .. ".forward", forward)
  if not it.documented then return "fun(...: any): any" end
  return call.fun(call.forms_of_function(it.params, it.returns, false)[1])
end

-- A class: objects of it under its name, and what makes them, NAME.class.
local function class_stub(lines, local_name, path, class, made_as)
  local it = entry.of(path, class)
  local name, base = class_name(path), base_of(path, class)
  types.define(name)
  local function describe()
    for line in (it.text .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = "---" .. line end
    if it.link then lines[#lines + 1] = ("---[PyTorch](%s)"):format(it.link) end
  end
  describe()
  lines[#lines + 1] = ("---@class %s%s"):format(name, base and ": " .. class_name(base) or "")
  if path == "torch.nn.Module" then lines[#lines + 1] = "---@field training boolean" end
  if not base then lines[#lines + 1] = "---@field [string] any" end
  if path:find("^torch%.nn%.") then lines[#lines + 1] = "---@overload " .. forward_of(path, class) end
  lines[#lines + 1] = ("local %s = {}\n"):format(local_name)
  for key, value in sorted_pairs(class) do
    if type(value) == "function" then
      local method = entry.of(path .. "." .. key, value)
      if not (method.comment and method.comment.doc.private) then
        function_stub(lines, local_name .. ":" .. key, method)
      end
    end
  end
  if not made_as then return end
  describe()
  lines[#lines + 1] = ("---@class %s.class: table"):format(name)
  lines[#lines + 1] = "---@field [string] any"
  local params = it.params or {{name = "...", type = "any"}}
  for _, form in ipairs(call.forms_of_function(params, {{type = name}}, true)) do
    lines[#lines + 1] = "---@overload " .. call.fun(form)
  end
  lines[#lines + 1] = ("%s = {}\n"):format(made_as)
end

-- The methods of what a constructor function makes.
local function object_stub(lines, path, value)
  local it = entry.of(path, value)
  if not it.beside or #it.beside == 0 then return nil end
  local local_name = path:match("([%w_]+)$") .. "_object"
  local name = class_name(path)
  types.define(name)
  lines[#lines + 1] = ("---@class %s"):format(name)
  lines[#lines + 1] = "---@field [string] any"
  lines[#lines + 1] = ("local %s = {}"):format(local_name)
  lines[#lines + 1] = ""
  for _, each in ipairs(it.beside) do
    local key = each.name:match("([%w_]+)$")
    function_stub(lines, local_name .. ":" .. key, entry.of_method(path, value, key))
  end
  return name
end

-- A namespace has functions or namespaces in it, or finds them when asked.
local function is_space(value)
  if type(value) ~= "table" then return false end
  local meta = getmetatable(value)
  if type(meta) == "table" and meta.__index then return true end
  for _, each in next, value do
    if type(each) == "function" then return true end
  end
  return false
end

local function member_stub(lines, fields, space, path, key, value, add_space)
  local name, longer = space .. "." .. key, path .. "." .. key
  if longer == "torch.Tensor" then
    fields[#fields + 1] = ("---@field %s Tensor|fun(...: any): Tensor"):format(key)
  elseif names.is_class(value) then
    class_stub(lines, key, longer, value, name)
  elseif type(value) == "function" then
    local made = object_stub(lines, longer, value)
    local it = entry.of(longer, value)
    if made and #(it.returns or {}) == 0 then it.returns = {{type = made}}
    elseif made then it.returns[1] = {type = made, text = it.returns[1].text} end
    function_stub(lines, name, it)
  elseif is_space(value) then
    fields[#fields + 1] = ("---@field %s %s"):format(key, add_space(longer, value))
  elseif type(value) == "table" then
    lines[#lines + 1] = "---@type table"
    lines[#lines + 1] = name .. " = {}"
    lines[#lines + 1] = ""
  else
    constant_stub(lines, name, value)
  end
end

-- The files of one namespace: further ones reopen its class.
local function space_files(result, path, value, add_space)
  local space = path:match("([%w_]+)$")
  local it = entry.of(path, value)
  local fields, parts, lines, size = {}, {}, {}, 0
  for _, key in ipairs(names.of(value)) do
    local before = #lines
    local found, member = pcall(function() return value[key] end)
    if found then member_stub(lines, fields, space, path, key, member, add_space) end
    for i = before + 1, #lines do size = size + #lines[i] + 1 end
    if size > kMostBytes then
      parts[#parts + 1] = lines
      lines, size = {}, 0
    end
  end
  parts[#parts + 1] = lines
  local file = path:gsub("%.", "/")
  for i, part in ipairs(parts) do
    local head = {i == 1 and comments.files()[path] and "---@meta " .. path or "---@meta _", ""}
    if i == 1 then
      head[#head + 1] = "---" .. it.text:gsub("\n", "\n---")
    end
    head[#head + 1] = "---@class " .. path
    if i == 1 then table.move(fields, 1, #fields, #head + 1, head) end
    local meta = getmetatable(value)
    local is_open = path == "torch.ops" or #names.of(value) == 0 or type(meta) == "table" and meta.__newindex
    if i == 1 and is_open then head[#head + 1] = "---@field [string] any" end
    head[#head + 1] = ("local %s = {}\n"):format(space)
    result[i == 1 and file .. ".lua" or ("%s_%d.lua"):format(file, i)] = table.concat(head, "\n") .. "\n"
      .. table.concat(part, "\n") .. ("\nreturn %s\n"):format(space)
  end
end

local function tensor_file()
  local lines = {"---@meta _", "", "---A tensor. Indices begin at 0, as in PyTorch: x[0], x[{0, 1}], x[\"1:3, ...\"].",
    "---@class Tensor"}
  local attributes = {}  -- no @field: the editor would take any table where a Tensor is allowed for a wrong Tensor
  for key in sorted_pairs(names.attributes()) do
    local it = entry.of("torch.Tensor." .. key, (names.find("torch.Tensor." .. key)))
    attributes[#attributes + 1] = ("---%s\n---@type %s\nTensor.%s = nil\n"):format((it.text:gsub("\n", " ")),
      types.written(it.type or "any"), key)
  end
  for _, each in ipairs(METAMETHODS) do
    lines[#lines + 1] = ("---@operator %s%s: %s"):format(each[1], each[2] and "(" .. each[2] .. ")" or "", each[3])
  end
  lines[#lines + 1] = "local Tensor = {}\n"
  table.move(attributes, 1, #attributes, #lines + 1, lines)
  for _, key in ipairs(names.of_tensor()) do
    if not names.attributes()[key] then
      function_stub(lines, "Tensor:" .. key, entry.of("torch.Tensor." .. key, (names.find("torch.Tensor." .. key))))
    end
  end
  lines[#lines + 1] = "return Tensor\n"
  return table.concat(lines, "\n")
end

-- Types of native values: their methods, and classes that are names alone.
local function types_file()
  local lines = {"---@meta _", ""}
  lines[#lines + 1] = "---@class Generator\n---@field [string] any\nlocal Generator = {}\n"
  for key, value in sorted_pairs(names.generator()) do
    function_stub(lines, "Generator:" .. key, entry.of("torch.Generator." .. key, value))
  end
  lines[#lines + 1] = "---@class dtype\nlocal dtype = {}\n"
  for _, each in ipairs {"is_floating_point", "is_complex", "is_signed"} do
    lines[#lines + 1] = ("---@type boolean\ndtype.%s = nil\n"):format(each)
  end
  lines[#lines + 1] = "---@type integer\ndtype.itemsize = nil\n"
  lines[#lines + 1] = "---@class device\nlocal device = {}\n\n---@type string\ndevice.type = nil\n"
  lines[#lines + 1] = "---@type integer|nil\ndevice.index = nil\n"
  for _, name in ipairs {"layout", "memory_format", "scope"} do lines[#lines + 1] = "---@class " .. name .. "\n" end
  lines[#lines + 1] = "---The arguments of the script: what stands after `--`.\n---@type string[]\narg = {}\n"
  lines[#lines + 1] = "---Shows what there is about a value or a name; a global of the console alone.\n"
    .. "---@param what any\nfunction help(what) end\n"
  return table.concat(lines, "\n")
end

--- Makes the stubs.
---@return table<string, string> file ("torch/nn.lua") -> text
function files.all()
  entry.refresh()
  local result, queue, seen = {}, {}, {}
  -- The path under which a namespace, which may have several, is written.
  local function add_space(path, value)
    if not seen[value] then
      seen[value] = path
      queue[#queue + 1] = {path, value}
    end
    return seen[value]
  end
  for _, name in ipairs(names.ROOTS) do add_space(name, require(name)) end
  local i = 1
  while queue[i] do
    space_files(result, queue[i][1], queue[i][2], add_space)
    i = i + 1
  end
  result["torch/Tensor.lua"] = tensor_file()
  result["types.lua"] = types_file()
  local run, lines = names.find "mlflow.Run", {"---@meta _", ""}
  class_stub(lines, "Run", "mlflow.Run", run, nil)
  lines[#lines + 1] = "return Run\n"
  result["mlflow/run.lua"] = table.concat(lines, "\n")
  return result
end

return files
