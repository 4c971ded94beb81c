-- What trainhost check finds in a script without running it.
local arguments = require "host.check.arguments"
local keywords = require "host.keywords"
local layers = require "host.check.layers"
local lexer = require "host.check.lexer"
local loops = require "host.check.loops"
local methods = require "host.check.methods"
local parse = require "host.check.parser"
local values = require "host.check.values"

local check = {}

local GLOBALS <const> = {}
for name in ([[_G _VERSION _ENV arg assert collectgarbage coroutine debug dofile error getmetatable io ipairs load loadfile
  math next os package pairs pcall print rawequal rawget rawlen rawset require select setmetatable string table tonumber
  tostring type utf8 warn xpcall]]):gmatch("%S+") do GLOBALS[name] = true end

-- Names of Python, and what is written here.
local PYTHON <const> = {
  None = "it is nil, among numbers of a table torch.None", True = "it is true", False = "it is false",
  len = "#x is the length of x", range = "for i = 0, n - 1 do", enumerate = "for i, x in ipairs(list) do",
  str = "tostring(x)", float = "tonumber(x)", int = "math.floor(x)", isinstance = "type(x), torch.is_tensor(x)",
  zip = "for i = 1, #a do local x, y = a[i], b[i]", sum = "x:sum() of a tensor", max = "math.max, x:max() of a tensor",
  min = "math.min, x:min() of a tensor", abs = "math.abs, x:abs() of a tensor", round = "x:round() of a tensor",
  np = "tensors have what is in numpy: torch.linspace(0, 1, 5)", unpack = "table.unpack",
}

local EQUAL <const> = {["=="] = "eq", ["~="] = "ne"}
local COMPARE <const> = {["<"] = "lt", ["<="] = "le", [">"] = "gt", [">="] = "ge"}

-- Names of PyTorch that are words of Lua: why the text does not compile there.
local function keyword_hints(tokens, report)
  for i, token in ipairs(tokens) do
    local before, after = tokens[i - 1], tokens[i + 1]
    local word = lexer.RESERVED[token.kind] and token.kind
    if word and before and (before.kind == ":" or before.kind == ".") then
      local has = word == "repeat" and "Tensor.repeat is x:rep(2, 2)" or ('after a dot it is written ["%s"]'):format(word)
      report(token, ("'%s' is a word of Lua"):format(word), has)
      return true
    elseif word and after and after.kind == "=" and before and (before.kind == "{" or before.kind == ",") then
      report(token, ("'%s' is a word of Lua"):format(word), ("the keyword argument is %s_ = ... or [\"%s\"] = ..."):format(word, word))
      return true
    end
  end
  return false
end

-- What people write who come from Python and C: the first word of these on the line that Lua does not understand.
local FOREIGN <const> = {
  ["!="] = "not equal is ~=", ["+="] = "there is no +=: x = x + 1", ["-="] = "there is no -=: x = x - 1",
  ["*="] = "there is no *=: x = x * 2", ["/="] = "there is no /=: x = x / 2", ["&&"] = "write and", ["||"] = "write or",
}
local FOREIGN_WORDS <const> = {
  None = "None is nil", def = "a function is `local function f(x) ... end`", import = "a module is loaded by require",
  elif = "write elseif", except = "errors are caught by pcall(f, ...)", lambda = "a function is function(x) return x end",
  class = "a class of modules is nn.class(\"Name\")",
}

-- What Lua says of it, and what was meant.
local MESSAGES <const> = {
  {"^'%)' expected near '='", "keywords are given in a table: f(x, {dim = 1})"},
  {"^']' expected near ':'", "a slice is text or torch.slice(1, 3): x[\"1:3\"], x[{0, torch.slice(1, 3)}]"},
  {"^function arguments expected", "a method is called with parentheses: loader:iter()"},
}

local function foreign_hint(tokens, line, message)
  for _, each in ipairs(MESSAGES) do
    if message:find(each[1]) then return each[2] end
  end
  for i, token in ipairs(tokens) do
    if token.line == line then
      local pair = token.kind .. (tokens[i + 1] and tokens[i + 1].kind or "")
      local hint = FOREIGN[pair] or token.kind == "name" and FOREIGN_WORDS[token.value]
      if hint then return hint end
    end
  end
  return nil
end

local function syntax(text, name, report)
  local chunk, problem = load(text, "@" .. name, "t")
  if chunk then return true end
  local line, message = problem:match("^.-:(%d+): (.*)$")
  local tokens = lexer.tokens(text)
  if keyword_hints(tokens, report) then return false end
  local at = {line = tonumber(line) or 1, column = 1}
  local near = message and message:match("near '(.*)'$")
  for _, token in ipairs(tokens) do
    if token.line == at.line and token.value == near then at = token break end
  end
  report(at, message or problem, foreign_hint(tokens, at.line, message or ""))
  return false
end

local function variables(found, report)
  for _, variable in ipairs(found.variables) do
    local private = variable.name:sub(1, 1) == "_"
    if variable.reads == 0 and not private and (variable.kind == "local" or variable.kind == "function") then
      report(variable, ("unused %s '%s'"):format(variable.kind == "function" and "function" or "variable", variable.name), nil,
        "warning")
    end
  end
end

local function globals(found, report)
  local set, names = {}, {}
  for _, node in ipairs(found.globals) do
    if node.assigned and not set[node.name] then set[node.name] = node end
  end
  for name in pairs(GLOBALS) do names[#names + 1] = name end
  for _, variable in ipairs(found.variables) do
    if variable.kind ~= "argument" then names[#names + 1] = variable.name end
  end
  table.sort(names)
  for _, node in ipairs(found.globals) do
    local name = node.name
    if set[name] == node and not GLOBALS[name] then
      report(node, ("'%s' is a global: `local` is missing"):format(name), nil, "warning")
    elseif not node.assigned and not set[name] and not GLOBALS[name] then
      local near = keywords.did_you_mean(name, names)
      if near and near:find("'" .. name .. "'", 1, true) then near = "the local of that name is not seen here" end
      local module = values.usual_module(name)
      if module then near = ("local %s = require \"%s\""):format(name, module) end
      if name == "self" then near = "a method is written with a colon: function Net:forward(x)" end
      report(node, ("unknown global '%s'"):format(name), PYTHON[name] or near)
    end
  end
end

local function fields(found, report)
  for _, node in ipairs(found.fields) do
    if not node.assigned and not node.protected then
      values.of(node)
      local problem = node.problem
      if type(problem) == "table" then report(node, problem.message, problem.hint) elseif problem then report(node, tostring(problem)) end
    end
  end
end

local function is_number(node) return values.origin(node).type == "number" end

local function conditions(found, report)
  for _, node in ipairs(found.conditions) do
    if values.is_tensor(node) then
      local what = node.type == "method" and ":" .. node.name .. "(...)"
        or node.type == "call" and (values.origin(node.callee).key or node.callee.name or "the call") .. "(...)" or "it"
      report(node, ("a tensor under '%s' is always true"):format(node.decides), "add :item() to " .. what)
    end
  end
  for _, node in ipairs(found.comparisons) do
    local left, right = values.is_tensor(node.left), values.is_tensor(node.right)
    local operator, equal = node.operator, EQUAL[node.operator]
    if not node.protected and (left or right) and not equal then
      report(node, ("tensors are not ordered by '%s', which gives one boolean in Lua"):format(operator),
        ("x:%s(y) compares elements, x:item() %s y numbers"):format(COMPARE[operator], operator))
    elseif not node.protected and (left and is_number(node.right) or right and is_number(node.left)) then
      report(node, ("a tensor %s a number is always %s"):format(operator, operator == "~=" and "true" or "false"),
        ("x:%s(y) compares elements, x:item() %s y numbers"):format(equal, operator))
    end
  end
end

---Checks a text: syntax, with PyTorch's names that are words of Lua; unknown and accidental globals; unused variables; names
---that torch, train, mlflow and host do not have; tensors as conditions; calls that functions of the library do not take; and
---what further rules find.
---@param text string
---@param name string the file, for what Lua says
---@param rules? (fun(found: table, report: fun(at: table, message: string, hint: string?, severity: string?)))[] what else is
---looked for in what the parser finds
---@return table[] findings {line, column, message, hint, severity = "error"|"warning"}, in the order of their places
function check.text(text, name, rules)
  local findings, seen = {}, {}
  local function report(at, message, hint, severity)
    local before, after = message:match("^(.-); (did you mean .*)$")
    if not before then before, after = message:match("^(.-); (valid: .*)$") end
    if before and not hint then message, hint = before, after end
    local key = ("%d:%s"):format(at.line, message)
    if seen[key] then return end
    seen[key] = true
    findings[#findings + 1] = {line = at.line, column = at.column, message = message, hint = hint, severity = severity or "error",
      place = #findings}
  end
  if syntax(text, name, report) then
    local found = parse(text)
    for _, rule in ipairs {globals, variables, fields, conditions, loops, methods, layers.check, arguments} do rule(found, report) end
    for _, rule in ipairs(rules or {}) do rule(found, report) end
  end
  table.sort(findings, function(a, b)
    if a.line ~= b.line then return a.line < b.line end
    if a.column ~= b.column then return a.column < b.column end
    return a.place < b.place
  end)
  for _, finding in ipairs(findings) do finding.place = nil end
  return findings
end

---A finding as one text: "message; hint".
---@param finding table
---@return string
function check.describe(finding) return finding.message .. (finding.hint and "; " .. finding.hint or "") end

return check
