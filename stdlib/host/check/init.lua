-- What trainhost check finds in a script without running it.
local keywords = require "host.keywords"
local lexer = require "host.check.lexer"
local parse = require "host.check.parser"
local values = require "host.check.values"

local check = {}

local GLOBALS <const> = {}
for name in ([[_G _VERSION _ENV arg assert collectgarbage coroutine debug dofile error getmetatable io ipairs load loadfile
  math next os package pairs pcall print rawequal rawget rawlen rawset require select setmetatable string table tonumber
  tostring type utf8 warn xpcall]]):gmatch("%S+") do GLOBALS[name] = true end

-- Names of PyTorch that are words of Lua: why the text does not compile there.
local function keyword_hints(text, report)
  local tokens = lexer.tokens(text)
  for i, token in ipairs(tokens) do
    local before, after = tokens[i - 1], tokens[i + 1]
    if token.kind == "repeat" and before and (before.kind == ":" or before.kind == ".") then
      report(token.line, "'repeat' is a word of Lua: Tensor.repeat is x:rep(2, 2)")
      return true
    elseif token.kind == "end" and after and after.kind == "=" and before and (before.kind == "{" or before.kind == ",") then
      report(token.line, "'end' is a word of Lua: the keyword argument is end_ = ... or [\"end\"] = ...")
      return true
    end
  end
  return false
end

local function syntax(text, name, report)
  local chunk, problem = load(text, "@" .. name, "t")
  if chunk then return true end
  local line, message = problem:match("^.-:(%d+): (.*)$")
  if not keyword_hints(text, report) then report(tonumber(line) or 1, message or problem) end
  return false
end

local function variables(found, report)
  for _, variable in ipairs(found.variables) do
    local private = variable.name:sub(1, 1) == "_"
    if variable.reads == 0 and not private and (variable.kind == "local" or variable.kind == "function") then
      report(variable.line, ("unused %s '%s'"):format(variable.kind == "function" and "function" or "variable", variable.name))
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
      report(node.line, ("'%s' is a global: `local` is missing"):format(name))
    elseif not node.assigned and not set[name] and not GLOBALS[name] then
      local near = keywords.did_you_mean(name, names)
      if near and near:find("'" .. name .. "'", 1, true) then near = "the local of that name is not seen here" end
      local module = values.usual_module(name)
      if module then near = ("local %s = require \"%s\""):format(name, module) end
      report(node.line, ("unknown global '%s'%s"):format(name, near and "; " .. near or ""))
    end
  end
end

local function fields(found, report)
  for _, node in ipairs(found.fields) do
    if not node.assigned and not node.protected then
      values.of(node)
      local problem = node.problem
      if problem then
        report(node.line, type(problem) == "table" and problem.message .. (problem.hint and "; " .. problem.hint or "")
          or tostring(problem))
      end
    end
  end
end

local function conditions(found, report)
  for _, node in ipairs(found.conditions) do
    if values.is_tensor(node) then
      local what = node.type == "method" and ":" .. node.name .. "(...)" or values.origin(node.callee).key .. "(...)"
      report(node.line, ("a tensor under '%s' is always true: add :item() to %s"):format(node.decides, what))
    end
  end
end

---Checks a text: syntax, with PyTorch's names that are words of Lua; unknown and accidental globals; unused variables; names
---that torch, train, mlflow and host do not have; tensors as conditions; and what further rules find.
---@param text string
---@param name string the file, for what Lua says
---@param rules? (fun(found: table, report: fun(line: integer, text: string)))[] what else is looked for in what the parser finds
---@return table[] findings {line, text}, in the order of lines
function check.text(text, name, rules)
  local findings = {}
  local function report(line, message) findings[#findings + 1] = {line = line, text = message, place = #findings} end
  if syntax(text, name, report) then
    local found = parse(text)
    globals(found, report)
    variables(found, report)
    fields(found, report)
    conditions(found, report)
    for _, rule in ipairs(rules or {}) do rule(found, report) end
  end
  table.sort(findings, function(a, b)
    if a.line ~= b.line then return a.line < b.line end
    return a.place < b.place
  end)
  return findings
end

return check
