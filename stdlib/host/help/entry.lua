-- What is known of one name: its calls, text, parameters, results, members and PyTorch's page.
local comments = require "host.help.comments"
local docstring = require "host.help.docstring"
local link = require "host.help.link"
local names = require "host.help.names"
local native = require "native.doc"
local operators = require "host.help.operators"

local entry = {}

local rows_by_function

local function row_of(f, name)
  if not rows_by_function then
    rows_by_function = {}
    for _, row in ipairs(native.rows()) do
      local same = rows_by_function[row.fn] or {}
      same[#same + 1] = row
      rows_by_function[row.fn] = same
    end
  end
  local same = rows_by_function[f]
  if not same then
    rows_by_function = not entry.settled and rows_by_function or nil
    return nil
  end
  for _, row in ipairs(same) do
    if row.name == name and row.doc then return row end
  end
  for _, row in ipairs(same) do
    if row.doc then return row end
  end
  return same[1]
end

--- Forgets what was read of rows: a native module may have been opened since.
function entry.refresh() rows_by_function = nil end

local function lines_of(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
  return lines
end

-- "in_features, bias=true" as parameters by name and in order
local function read_spec(spec)
  local list, at = {}, 1
  while at <= #spec do
    local name, after = spec:match("^%s*([%a_][%w_]*)%s*()", at)
    if not name then break end
    local param = {name = name}
    if spec:sub(after, after) == "=" then
      local text = spec:match("^=%s*(%b{})", after) or spec:match("^=%s*([^,]+)", after)
      param.default = text:gsub("%s+$", "")
      param.optional = true
      after = spec:find(text, after, true) + #text
    end
    list[#list + 1] = param
    at = spec:match("^%s*,?()", after)
  end
  return list
end

-- How a function is called, by the names that errors give it.
local function spec_of(f, path, comment)
  local file = comment and comment.file or debug.getinfo(f, "S").source:match("^=stdlib/(.+)$")
  if not file then return nil end
  local signatures = comments.of(file).signatures
  local last = path:match("([%w_]+)$")
  local class = path:match("([%w_]+)%.[%w_]+$")
  return signatures[path] or signatures[path:gsub("^torch%.nn%.functional", "F")]
    or signatures[path:gsub("^torch%.nn%.", "nn.")] or class and signatures[class .. "." .. last] or signatures[last]
end

local function lua_parameters(f)
  local list = {}
  local info = debug.getinfo(f, "u")
  for i = 1, info.nparams do
    local name = debug.getlocal(f, i)
    if name ~= "self" then list[#list + 1] = {name = name} end
  end
  if info.isvararg then list[#list + 1] = {name = "..."} end
  return list
end

local function is_optional_type(kind) return kind:sub(-1) == "?" or kind:find("|nil", 1, true) ~= nil end

-- The parameters of a function: named by its signature, its docstring or Lua, described by its docstring.
local function parameters(doc, spec, f)
  local list
  local described = {}
  for _, param in ipairs(doc.params) do described[param.name] = param end
  if spec then
    list = read_spec(spec)
    for _, param in ipairs(doc.params) do  -- what the function takes before those that its signature reads
      local known = false
      for _, each in ipairs(list) do known = known or each.name == param.name end
      if not known then table.insert(list, 1, {name = param.name}) end
    end
  elseif #doc.params > 0 then
    list = {}
    for i, param in ipairs(doc.params) do list[i] = {name = param.name} end
  elseif debug.getinfo(f, "S").what ~= "C" then
    list = lua_parameters(f)
  else
    list = {}
  end
  for _, param in ipairs(list) do
    local from = described[param.name]
    if from then
      param.type, param.text = from.type, from.text
      param.optional = param.optional or from.optional or is_optional_type(from.type)
    end
  end
  return list
end

local function add_function(result, path, value)
  local last = path:match("([%w_]+)$")
  local comment = comments.of_function(value, path)
  local row = not comment and row_of(value, last)
  local doc = comment and comment.doc or row and row.doc and docstring.read(lines_of(row.doc))
    or docstring.read {}
  result.comment = comment
  result.documented = comment ~= nil or row ~= nil and row.doc ~= nil
  result.text, result.returns = doc.text, doc.returns
  result.examples, result.errors, result.source = doc.examples, doc.errors, doc.source
  result.params = parameters(doc, spec_of(value, path, comment), value)
  local owner = path:match("([%w_]+)%.[%w_]+$")
  result.method = comment and comment.name:find(":", 1, true) ~= nil or owner == "Tensor"
end

local function add_operator(result, name, method)
  local short = name:match("::(.*)$")
  result.operator = name
  result.text = operators.sentence(short) or result.text
  result.calls = operators.calls(name, method)
  result.methods = not method and operators.calls(name, true) or {}
  result.in_place = operators.in_place(name)
  result.symbol = operators.SYMBOLS[short]
  result.documented = result.documented or #result.calls + #result.methods > 0
end

-- A class of stdlib: what its constructor takes, what its methods are.
local function add_class(result, path, class)
  local init = rawget(class, "__init")
  if type(init) == "function" then
    add_function(result, path .. ".__init", init)
    result.method = false
  else
    local call = debug.getmetatable(class) and debug.getmetatable(class).__call
    result.params = nil
    if type(call) == "function" and debug.getinfo(call, "S").what ~= "C" then
      local name = class.__name or path
      local file = comments.files()[path:gsub("%.%u%w*$", function(last) return "." .. last:lower() end)]
      local spec = file and comments.of(file).signatures[name]
      result.params = spec and read_spec(spec) or nil
    end
  end
end

local function file_head(path)
  local file = comments.files()[path]
  return file and comments.of(file).head or ""
end

-- "nn.Linear: x W^T + b." -> "x W^T + b."
local function class_head(class, path)
  for module, file in pairs(comments.files()) do
    local loaded = package.loaded[module]
    if loaded == class then
      local head = comments.of(file).head
      local sentence = head:match("^[%w_%.]+:%s*(.*)$") or head:match("^[%w_%.]+%s+(.*)$") or head
      return sentence:sub(1, 1):upper() .. sentence:sub(2), module
    end
  end
  return file_head(path), path
end

local function add_members(result, space, path)
  result.members = {}
  for _, name in ipairs(names.of(space)) do result.members[#result.members + 1] = path .. "." .. name end
end

-- The methods of what a constructor function makes: the comments of `Name:method` in its file.
local function methods_beside(comment, class)
  local list = {}
  if not comment then return list end
  for _, each in ipairs(comments.of(comment.file).list) do
    local owner, name = each.name:match("^([%w_]+):([%w_]+)$")
    if owner == class and not name:find("^_") then list[#list + 1] = each end
  end
  return list
end

--- What is known of a value under a path in full.
---@param path string
---@param value any
---@return table
function entry.of(path, value)
  local result = {path = path, name = path:match("([%w_]+)$"), kind = "value", text = "", returns = {}, examples = {},
    errors = {}}
  local operator, method = names.operator_of(path, value)
  if type(value) == "function" and path:find("^torch%.Tensor%.") and rawequal(names.attributes()[result.name], value) then
    local row = row_of(value, result.name)
    local doc = docstring.read(lines_of(row and row.doc or ""))
    result.kind, result.text, result.type = "attribute", doc.text ~= "" and doc.text or doc.type_text or "", doc.type
    result.documented = row ~= nil and row.doc ~= nil
  elseif type(value) == "function" then
    result.kind = "function"
    add_function(result, path, value)
    if not result.documented and operator then add_operator(result, operator, method) end
    if result.documented and not result.calls then result.beside = methods_beside(result.comment, result.name) end
  elseif names.is_class(value) then
    result.kind = "class"
    if value == names.Tensor then
      result.text = "A tensor: its methods (x:add(y)) and attributes (x.shape)."
    else
      local head, module = class_head(value, path)
      add_class(result, path, value)
      result.text = result.text ~= "" and head .. "\n" .. result.text or head
      if not result.params and module then
        local spec = comments.files()[module] and comments.of(comments.files()[module]).signatures[result.name]
        result.params = spec and read_spec(spec) or nil
      end
    end
    result.documented = result.text ~= ""
    add_members(result, value, path)
  elseif type(value) == "table" then
    result.kind = "namespace"
    result.text = file_head(path):gsub("^[%w_%.]+:%s*", "")
    result.documented = true
    add_members(result, value, path)
  else
    result.value = value
    result.documented = true
  end
  result.link = link.of(result)
  return result
end

return entry
