-- Calls of torch, nn, optim, mlflow and host as far as they are written out: keywords that a function does not have, too many
-- or too few arguments, and literals of a wrong type. What a function takes says its entry in host.help.
local asked = require "host.check.asked"
local keywords = require "host.keywords"
local ordered = require "host.ordered"
local values = require "host.check.values"

-- Functions that take a last table of options, which they check before anything else.
local OPTIONS <const> = {["torch.utils.data.DataLoader"] = 2, ["torch.utils.data.random_split"] = 3, ["mlflow.start_run"] = 1,
  ["host.param"] = 3}

-- Names beside those of the schemas: NumPy's, as PyTorch takes them, and the tensor of a method.
local ALSO <const> = {axis = true, keepdims = true, input = true, self = true, other = true, out = true,
  requires_grad = true}

-- {names = {name -> {types}}, order = {...}, required, most}; false where it does not show.
local takes = {}

-- What an option of an optimizer may be, by its default: nothing else is said of it.
local function type_of_default(text)
  return text:find("^{") and "table" or tonumber(text) and "number|Tensor" or nil
end

local function add(result, param, of_optimizer)
  local name = param.name
  if not result.names[name] then
    result.names[name] = {}
    result.order[#result.order + 1] = name
  end
  table.insert(result.names[name], param.type or of_optimizer and param.default and type_of_default(param.default) or "any")
end

local function of_operator(entry, method)
  local result = {names = {}, order = {}, also = ALSO}
  local calls = method and #entry.methods > 0 and entry.methods or entry.calls
  for _, call in ipairs(calls) do
    local required = 0
    for _, list in ipairs {call.positional, call.keywords} do
      for _, param in ipairs(list) do
        add(result, param)
        if list == call.positional and not param.optional then required = required + 1 end
      end
    end
    if call.varargs then required = 0 end
    if required < (result.least or math.huge) then result.least, result.first = required, call end
  end
  return #result.order > 0 and result
end

local function of_signature(entry, method, of_optimizer)
  local result = {names = {}, order = {}, required = 0, most = 0}
  for i, param in ipairs(entry.params) do
    if i == 1 and method and ALSO[param.name] then goto continue end
    i = #result.order + 1
    if param.name == "..." or param.name == "fn" or param.unknown then return false end
    add(result, param, of_optimizer)
    if not param.keyword then result.most = i end
    if not param.optional and not param.keyword and result.required == i - 1 then result.required = i end
    ::continue::
  end
  return #result.order > 0 and result
end

-- Does a loader of hardly any data refuse an option? Nothing is drawn for one that has a seed.
local function refused_by_loader(f, name, value)
  local data = require("host.help.names").find("torch.utils.data")
  local torch = require("host.help.names").find("torch")
  local ok, err = pcall(f, data.TensorDataset(torch.zeros(4)), {seed = 1, [name] = value})
  return not ok and type(err) == "table" and err.message and err.message:find(name, 1, true) and err or nil
end

local function of_options(path, f)
  local of = asked(f, OPTIONS[path])
  if not of then return false end
  local result = {names = {}, order = ordered.keys(of.defaults), at = OPTIONS[path], where = of.where}
  if path == "torch.utils.data.DataLoader" then
    result.refused = function(name, value) return refused_by_loader(f, name, value) end
  end
  for _, name in ipairs(result.order) do result.names[name] = {"any"} end
  return result
end

-- Not looked at: what train.check knows better, and what takes a table of names as its first argument.
local function is_left(path)
  return path:find("^train%.") or path:find("^mlflow%.") or path:find("^torch%.nn%.utils%.prune%.%u")
    or path == "torch.nn.ParameterDict"
end

local function read(path, value, method)
  if OPTIONS[path] then return of_options(path, value) end
  if is_left(path) then return false end
  local ok, entry = pcall(require("host.help.entry").of, path, value)
  if not ok then return false end
  if entry.calls then return of_operator(entry, method) end
  -- What a docstring alone says may be less than the function takes; optimizers are told by the list of their options.
  local of_optimizer = entry.kind == "class" and path:find("^torch%.optim%.%u") ~= nil
  return (entry.has_signature or of_optimizer) and entry.params and of_signature(entry, method, of_optimizer)
end

local function takes_of(path, value, method)
  local key = (method and ":" or "") .. path
  if takes[key] == nil then takes[key] = read(path, value, method) or false end
  return takes[key]
end

-- "number" of a literal, its text and its value; nil for what is computed.
local function literal(node)
  node = values.origin(node)
  if node.type == "unary" and node.operator == "-" and node.operand.type == "number" then
    return "number", "-" .. node.operand.value, -tonumber(node.operand.value)
  end
  if node.type == "string" then return "string", ("%q"):format(node.value), node.value end
  if node.type == "number" then return "number", node.value, tonumber(node.value) end
  if node.type == "true" or node.type == "false" then return "boolean", node.type, node.type == "true" end
  return nil
end

local ACCEPTS <const> = {
  number = {number = true}, integer = {number = true}, boolean = {boolean = true}, string = {string = true},
  Tensor = {number = true}, Generator = {}, layout = {},
}

-- May a literal be given where one of these types is due? What is not understood of a type is taken.
local function accepts(types, kind, value)
  for _, each in ipairs(types) do
    for word in each:gsub("%b{}", "table"):gsub("%b()", ""):gmatch("[^|]+") do
      word = word:gsub("%?+$", ""):gsub("^%s+", ""):gsub("%s+$", "")
      local simple = ACCEPTS[word]
      if word:find("^fun") or word:find("%[%]$") or word == "table" or word == "nil" then simple = {} end
      if word:find('^"') then simple = ACCEPTS.string end
      if not simple then return true end
      if simple[kind] and not (word == "integer" and value ~= math.floor(value)) then return true end
    end
  end
  return false
end

local function check_type(node, path, name, types, report)
  local kind, text, value = literal(node)
  if not kind or accepts(types, kind, value) then return end
  local expected = {}
  for _, each in ipairs(types) do expected[#expected + 1] = (each:gsub("%?+$", ""):gsub("|", " or ")) end
  report(node, ("%s: argument '%s' must be %s, got %s %s"):format(path, name, table.concat(expected, " or "), kind, text))
end

local function is_keywords(node)
  if not node or node.type ~= "table" or #node.items == 0 then return false end
  for _, item in ipairs(node.items) do
    if not item.key then return false end
  end
  return true
end

local function check_keywords(node, path, of, report)
  local found = false
  for _, item in ipairs(node.items) do
    local types = of.names[item.key]
    if types and of.refused then
      local kind, _, value = literal(item.value)
      local err = kind and of.refused(item.key, value)
      if err then report(item, err.message, err.hint) end
    elseif types then
      check_type(item.value, path, item.key, types, report)
    elseif not (of.also and of.also[item.key]) and item.value.type ~= "nil" then
      found = true
      report(item, ("%s: unknown keyword '%s'"):format(path, item.key),
        keywords.did_you_mean(item.key, of.order) or "there are " .. table.concat(of.order, ", "))
    end
  end
  return found
end

-- Is it surely no table of keywords?
local function is_value(node) return literal(node) ~= nil or values.is_tensor(node) == true end

-- The arguments by position against a signature.
local function check_positions(call, path, of, named, report)
  local arguments, last = call.arguments, call.arguments[#call.arguments]
  local count = named and #arguments - 1 or #arguments
  for i = 1, math.min(count, of.most) do check_type(arguments[i], path, of.order[i], of.names[of.order[i]], report) end
  if last and not named and not is_value(last) then return end  -- it may be several, or keywords
  if count > of.most then
    return report(arguments[of.most + 1], ("%s: takes at most %d arguments (%s), got %d"):format(path, of.most,
      table.concat(of.order, ", ", 1, of.most), count))
  end
  for i = count + 1, of.required do
    local given = false
    for _, item in ipairs(named and last.items or {}) do given = given or item.key == of.order[i] end
    if not given then return report(call, ("%s: argument '%s' is missing"):format(path, of.order[i])) end
  end
end

local function check_call(call, path, value, method, report)
  local of = takes_of(path, value, method)
  if not of then return end
  local last = call.arguments[#call.arguments]
  local named = is_keywords(last) and (not of.at or #call.arguments == of.at)
  if named and check_keywords(last, of.where or path, of, report) then return end
  if of.most then check_positions(call, path, of, named, report) end
  local is_short = of.least and #call.arguments < of.least and not named
  if is_short and (not last or is_value(last)) then
    report(call, ("%s: argument '%s' is missing"):format(path, of.first.positional[#call.arguments + 1].name))
  end
end

-- An optimizer of a module instead of its parameters.
local function check_parameters(call, path, report)
  local first = call.arguments[1]
  local made = path:find("^torch%.optim%.%u") and first and values.origin(first)
  if made and made.type == "call" and (values.path(made.callee) or ""):find("^torch%.nn%.%u") then
    report(first, ("%s: expected parameters, got a module"):format(path),
      ("%s:parameters()"):format(first.type == "name" and first.name or "model"))
  end
end

---@param found table of the parser
---@param report fun(at: table, message: string, hint: string?)
return function(found, report)
  for _, call in ipairs(found.calls) do
    local path = not call.protected and values.path(call.callee)
    local value = path and values.of(call.callee)
    if value ~= nil and path then
      check_call(call, path, value, false, report)
      check_parameters(call, path, report)
    end
  end
  for _, call in ipairs(found.method_calls) do
    if not call.protected and values.is_tensor(call.object) then
      local names = require "host.help.names"
      local path = "torch.Tensor." .. call.name
      local value = names.find(path)
      if value ~= nil and rawequal(names.attributes()[call.name], value) then
        report(call, ("%s of a tensor is no method"):format(call.name), "x." .. call.name)
      elseif value == nil then
        report(call, ("a tensor has no method '%s'"):format(call.name), call.name == "repeat" and "x:rep(2, 2)"
          or keywords.did_you_mean(call.name, names.of_tensor()))
      else
        check_call(call, path, value, true, report)
      end
    end
  end
end
