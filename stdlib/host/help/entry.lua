-- What is known of one name: its calls, text, parameters, results, members and PyTorch's page.
local callable = require "host.callable"
local comments = require "host.help.comments"
local docstring = require "host.help.docstring"
local link = require "host.help.link"
local names = require "host.help.names"
local objects = require "host.help.objects"
local native = require "native.doc"
local operators = require "host.help.operators"
local ops = require "native.ops"
local parameters = require "host.help.parameters"

local entry = {}

local rows_by_function

local row_count

local function row_of(f, name)
  -- A native module may have been opened since.
  local rows = not rows_by_function and native.rows()
    or not rows_by_function[f] and debug.getinfo(f, "S").what == "C" and native.rows()
  if rows and (not rows_by_function or #rows ~= row_count) then
    rows_by_function, row_count = {}, #rows
    for _, row in ipairs(rows) do
      local same = rows_by_function[row.fn] or {}
      same[#same + 1] = row
      rows_by_function[row.fn] = same
    end
  end
  local same = rows_by_function[f]
  if not same then return nil end
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

local function add_function(result, path, value, own)
  local last = path:match("([%w_]+)$")
  local row = not own and debug.getinfo(value, "S").what == "C" and row_of(value, last) or nil
  local comment = own or not (row and row.name == last and row.doc)
    and comments.of_function(value, not result.is_operator and path or nil) or nil
  row = not comment and (row or row_of(value, last)) or nil
  local doc = comment and comment.doc or row and row.doc and docstring.read(lines_of(row.doc))
    or docstring.read {}
  result.comment = comment
  if doc.text == "" and last == "forward" then doc.text = "What the layer makes of its input." end
  result.documented = comment ~= nil or row ~= nil and row.doc ~= nil
  result.text, result.returns = doc.text, doc.returns
  if doc.text == "" and not result.is_operator then
    doc.text = operators.sentence(path) or operators.sentence("torch." .. last) or ""
    result.documented = result.documented or doc.text ~= ""
  end
  result.text = doc.text
  result.examples, result.errors, result.source = doc.examples, doc.errors, doc.source
  result.overloads = doc.overloads
  local owner = path:match("([%w_]+)%.[%w_]+$")
  local spec, is_c = result.signature or parameters.spec_of(value, path, comment), debug.getinfo(value, "S").what == "C"
  result.is_native = is_c
  local info = debug.getinfo(value, "u")
  result.has_signature = spec ~= nil
  result.spec = spec ~= nil or is_c or info.isvararg and info.nparams == 0  -- whether a last table is keywords
  local of_tensor = owner == "Tensor" and not (comment and comment.name:find(":", 1, true))
  result.params = parameters.of(doc, spec, not is_c and parameters.of_lua(value) or nil, of_tensor)
  result.method = comment and comment.name:find(":", 1, true) ~= nil or owner == "Tensor"
end

local function add_operator(result, name, method)
  local short = name:match("::(.*)$")
  result.operator = name
  result.text = operators.sentence(short) or result.text
  result.calls = operators.calls(name, method)
  result.methods = not method and ops.find(short, true) and operators.calls(name, true) or {}
  result.in_place = operators.in_place(name)
  result.symbol = operators.SYMBOLS[short]
  if not method then result.also = operators.ALSO[short] end
  result.documented = result.documented or #result.calls + #result.methods > 0
end

-- The comment above a class that says what its constructor takes; that of a class alone in its file stands above __init.
local function comment_of_class(path)
  local comment = comments.of_name(path)
  return comment and (comment.doc.text ~= "" or #comment.doc.params > 0) and comment or nil
end

-- A class of stdlib: what its constructor takes, what its methods are.
local function add_class(result, path, class)
  local modules, Optimizer = package.loaded["torch.nn.module"], package.loaded["torch.optim.optimizer"]
  local Module = modules and modules.Module
  local init = type(class.__call) ~= "function" and class.__init
  local is_base = Optimizer and init == Optimizer.__init  -- optimizers are told by the list of their options
  result.signature = rawget(class, "__signature")
  local own = (result.signature or Module and init == Module.__init and class ~= Module) and comment_of_class(path)
  if own then
    add_function(result, path .. ".__init", init, own)
    result.method = false
  elseif type(init) == "function" and not is_base and (not Module or init ~= Module.__init or class == Module) then
    add_function(result, path .. ".__init", init)
    result.method = false
  else
    local call = debug.getmetatable(class) and debug.getmetatable(class).__call
    result.params = nil
    if type(call) == "function" and debug.getinfo(call, "S").what ~= "C" then
      local name = class.__name or path
      local file = comments.files()[path:gsub("%.%u%w*$", function(last) return "." .. last:lower() end)]
      local spec = file and comments.of(file).signatures[name]
      result.params = spec and parameters.read(spec) or nil
    end
  end
end

-- "nn.Linear: x W^T + b." -> "x W^T + b."
local function without_name(head)
  local text = head:match("^[%w_%.]+:%s*(.*)$") or head
  if text:find("^%l%l") or text:find("^a ") and text == head:match(":%s*(.*)$") then text = text:sub(1, 1):upper() .. text:sub(2) end
  return text
end

-- Namespaces that are no file of their own.
local SPACES <const> = {
  ["torch.linalg"] = "Linear algebra: products, norms, factorizations, solvers.",
  ["torch.fft"] = "Discrete Fourier transforms.",
  ["torch.special"] = "Special functions.",
  ["torch.autograd"] = "Gradients.",
  ["torch.cuda"] = "CUDA devices.",
  ["torch.ops"] = "Any operator of the dispatcher by its library and name: torch.ops.aten.add.",
  ["torch.utils"] = "Data, and tools beside training.",
  ["host.file"] = "Files and folders.",
  ["host.json"] = "JSON as tables, and tables as JSON.",
  ["host.log"] = "Messages on the standard error.",
}

-- What the first line of the file says that makes a class or namespace.
local function head_of(value, path)
  if SPACES[path] then return SPACES[path] end
  if path:find("^torch%.ops%.[%w_]+$") then
    return ("Operators of the library %s, by their names in the dispatcher."):format(path:match("([%w_]+)$"))
  end
  if path:find("^torch%.backends%.") then return "Flags and versions of a library below LibTorch." end
  local found  -- where a short name gives the same value, the longest one
  for module in pairs(comments.files()) do
    if package.loaded[module] == value and (not found or #module > #found) then found = module end
  end
  if found then return without_name(comments.of(comments.files()[found]).head), found end
  local file = comments.files()[path]
  return file and without_name(comments.of(file).head) or "", path
end

local function add_members(result, space, path)
  result.members = {}
  for _, name in ipairs(names.of(space)) do
    local value = result.kind == "class" and rawget(space, name)
    local comment = type(value) == "function" and comments.of_function(value)
    if not (comment and comment.doc.private) then result.members[#result.members + 1] = path .. "." .. name end
  end
end

-- The methods of what a constructor function makes: the comments of `Name:method` in its file.
local function methods_beside(comment, class)
  local list = {}
  if not comment then return list end
  for _, each in ipairs(comments.of(comment.file).list) do
    local owner, name = each.name:match("^([%w_]+):([%w_]+)$")
    if owner == class and not name:find("^_") and not each.doc.private then list[#list + 1] = each end
  end
  return list
end

--- What is known of a method of what a constructor function makes: "DataLoader.iter", from the comment alone.
---@param path string of the constructor
---@param constructor function
---@param name string
---@return table? entry
function entry.of_method(path, constructor, name)
  local class = path:match("([%w_]+)$")
  for _, each in ipairs(methods_beside(comments.of_function(constructor, path), class)) do
    if each.name == class .. ":" .. name then
      local doc, in_lua = each.doc, {}
      for param in (each.parameters or ""):gmatch("[%w_%.]+") do in_lua[#in_lua + 1] = {name = param, unknown = true} end
      return {path = path .. "." .. name, name = name, kind = "function", method = true, documented = true, text = doc.text,
        params = parameters.of(doc, nil, in_lua), returns = doc.returns, examples = doc.examples, errors = doc.errors, source = doc.source}
    end
  end
  return nil
end

--- What is known of a value under a path in full.
---@param path string
---@param value any
---@return table
function entry.of(path, value)
  local result = {path = path, name = path:match("([%w_]+)$"), kind = "value", text = "", returns = {}, examples = {},
    errors = {}}
  local operator, method = names.operator_of(path, value)
  local named, schemas = objects.operator(value)
  if type(value) == "function" and path:find("^torch%.Tensor%.") and rawequal(names.attributes()[result.name], value) then
    local row = row_of(value, result.name)
    local doc = docstring.read(lines_of(row and row.doc or ""))
    result.kind, result.type = "attribute", doc.type
    result.text = doc.text ~= "" and doc.text or operators.sentence(path) or doc.type_text or ""
    result.documented = row ~= nil and row.doc ~= nil
  elseif named then
    local short = named:match("::(.*)$")
    result.kind, result.operator, result.schemas, result.documented = "operator", named, schemas, true
    result.text = operators.sentence(short) or ("The operator %s of the dispatcher."):format(named)
  elseif type(value) == "function" then
    result.kind = "function"
    result.is_operator = operator ~= nil and ops.name_of(value) ~= nil
    add_function(result, path, value)
    if not result.documented and operator then add_operator(result, operator, method) end
    result.beside = methods_beside(result.comment, result.name)
  elseif names.is_class(value) then
    result.kind = "class"
    if value == names.Tensor then
      result.text = "A tensor: its methods (x:add(y)) and attributes (x.shape)."
    else
      local head, module = head_of(value, path)
      add_class(result, path, value)
      local both = head ~= "" and result.text ~= ""
      result.text = both and head .. "\n" .. result.text or head ~= "" and head or result.text
      if not result.params and module then
        local spec = comments.files()[module] and comments.of(comments.files()[module]).signatures[result.name]
        result.params = spec and parameters.read(spec) or nil
      end
    end
    if result.text == "" then  -- a class made in the file of others
      local comment = comments.of_name(path)
      if comment then
        result.text, result.examples, result.errors = comment.doc.text, comment.doc.examples, comment.doc.errors
        result.params, result.returns = comment.doc.params, comment.doc.returns
      end
    end
    if #result.examples == 0 then  -- above the class, where it has no constructor of its own
      local comment = comments.of_name(path)
      if comment then result.examples = comment.doc.examples end
    end
    result.documented = result.text ~= ""
    add_members(result, value, path)
  elseif type(value) == "table" then
    result.kind = "namespace"
    result.text = head_of(value, path)
    local comment = result.text == "" and comments.of_name(path)
    if comment then result.text = comment.doc.text end
    if comment and callable(value) then
      result.params, result.returns, result.examples = comment.doc.params, comment.doc.returns, comment.doc.examples
    end
    result.documented = true
    add_members(result, value, path)
  else
    local kind, text = objects.about(path, value)
    result.value, result.kind, result.text = value, kind or "value", text or ""
    result.documented = true
  end
  result.link = link.of(result)
  return result
end

return entry
