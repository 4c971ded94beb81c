-- What a Lua text does with names, for trainhost check: its variables, globals, conditions, fields and calls. It takes
-- texts that Lua has compiled, and so looks for no mistakes of syntax.
local lexer = require "host.check.lexer"

local Parser = {}
Parser.__index = Parser

local PRIORITY <const> = {  -- left and right, as in Lua's own parser
  ["or"] = {1, 1}, ["and"] = {2, 2}, ["<"] = {3, 3}, [">"] = {3, 3}, ["<="] = {3, 3}, [">="] = {3, 3}, ["~="] = {3, 3},
  ["=="] = {3, 3}, ["|"] = {4, 4}, ["~"] = {5, 5}, ["&"] = {6, 6}, ["<<"] = {7, 7}, [">>"] = {7, 7}, [".."] = {9, 8},
  ["+"] = {10, 10}, ["-"] = {10, 10}, ["*"] = {11, 11}, ["/"] = {11, 11}, ["//"] = {11, 11}, ["%"] = {11, 11}, ["^"] = {14, 13},
}
local UNARY <const> = {["not"] = true, ["-"] = true, ["#"] = true, ["~"] = true}
local UNARY_PRIORITY <const> = 12

function Parser:peek() return self.tokens[self.at].kind end

function Parser:next()
  local token = self.tokens[self.at]
  self.at = self.at + 1
  return token
end

function Parser:accept(kind)
  if self:peek() ~= kind then return nil end
  return self:next()
end

-- --- Scopes

function Parser:open() self.scope = {above = self.scope, names = {}} end
function Parser:close() self.scope = self.scope.above end

function Parser:declare(name, line, kind, init)
  local variable = {name = name, line = line, kind = kind, init = init, reads = 0, writes = 0}
  self.scope.names[name] = variable
  self.found.variables[#self.found.variables + 1] = variable
  return variable
end

function Parser:resolve(name)
  local scope = self.scope
  while scope do
    if scope.names[name] then return scope.names[name] end
    scope = scope.above
  end
  return nil
end

-- --- Expressions

function Parser:name(token)
  local variable = self:resolve(token.value)
  local node = {type = "name", name = token.value, line = token.line, variable = variable}
  if variable then variable.reads = variable.reads + 1 end
  if not variable then self.found.globals[#self.found.globals + 1] = node end
  return node
end

function Parser:table()
  local node = {type = "table", line = self:next().line, items = {}, protected = self.protected}
  self.found.tables[#self.found.tables + 1] = node
  while self:peek() ~= "}" and self:peek() ~= "eof" do
    local item = {line = self.tokens[self.at].line}
    if self:accept("[") then
      item.key_expression = self:expression()
      self:accept("]")
      self:accept("=")
      if item.key_expression.type == "string" then item.key = item.key_expression.value end
      item.keyed = true
    elseif self:peek() == "name" and self.tokens[self.at + 1].kind == "=" then
      item.key, item.keyed = self:next().value, true
      self:next()
    end
    item.value = self:expression()
    node.items[#node.items + 1] = item
    if not (self:accept(",") or self:accept(";")) then break end
  end
  self:accept("}")
  return node
end

function Parser:list()
  local list = {self:expression()}
  while self:accept(",") do list[#list + 1] = self:expression() end
  return list
end

function Parser:body(line, method)
  self:open()
  if method then self:declare("self", line, "argument") end
  self:accept("(")
  while self:peek() ~= ")" and self:peek() ~= "eof" do
    local token = self:next()
    if token.kind == "name" then self:declare(token.value, token.line, "argument") end
  end
  self:accept(")")
  self:block()
  self:accept("end")
  self:close()
  return {type = "function", line = line}
end

function Parser:primary()
  local token = self:next()
  if token.kind == "(" then
    local inner = self:expression()
    self:accept(")")
    return {type = "paren", inner = inner, line = token.line}
  end
  return self:name(token)
end

function Parser:arguments()
  local token = self.tokens[self.at]
  if token.kind == "string" then
    self:next()
    return {{type = "string", value = token.value, line = token.line}}
  end
  if token.kind == "{" then return {self:table()} end
  self:next()
  if self:accept(")") then return {} end
  local list = self:list()
  self:accept(")")
  return list
end

-- Does a call catch what its arguments raise?
local function catches(node)
  local name = node.type == "name" and not node.variable and node.name or node.type == "index" and node.key
  return name == "pcall" or name == "xpcall" or name == "raises"
end

function Parser:suffixed()
  local node = self:primary()
  while true do
    local kind, line = self:peek(), self.tokens[self.at].line
    if kind == "." then
      self:next()
      node = {type = "index", object = node, key = self:next().value, line = line, protected = self.protected}
      self.found.fields[#self.found.fields + 1] = node
    elseif kind == "[" then
      self:next()
      local key = self:expression()
      self:accept("]")
      node = {type = "index", object = node, key_expression = key, line = line}
    elseif kind == ":" then
      self:next()
      local name = self:next().value
      node = {type = "method", object = node, name = name, line = line, arguments = self:arguments()}
    elseif kind == "(" or kind == "string" or kind == "{" then
      local before = self.protected
      self.protected = before or catches(node)
      node = {type = "call", callee = node, line = node.line, arguments = self:arguments(), protected = self.protected}
      self.protected = before
      self.found.calls[#self.found.calls + 1] = node
    else
      return node
    end
  end
end

function Parser:simple()
  local token = self.tokens[self.at]
  local kind = token.kind
  if kind == "string" or kind == "number" or kind == "nil" or kind == "true" or kind == "false" or kind == "..." then
    self:next()
    return {type = kind, value = token.value, line = token.line}
  end
  if kind == "{" then return self:table() end
  if kind == "function" then
    self:next()
    return self:body(token.line)
  end
  return self:suffixed()
end

function Parser:expression(limit)
  limit = limit or 0
  local left
  local token = self.tokens[self.at]
  if UNARY[token.kind] then
    self:next()
    left = {type = "unary", operator = token.kind, line = token.line, operand = self:expression(UNARY_PRIORITY)}
    if token.kind == "not" then self:condition(left.operand, "not") end
  else
    left = self:simple()
  end
  while true do
    local operator = self:peek()
    local priority = PRIORITY[operator]
    if not priority or priority[1] <= limit then return left end
    local line = self:next().line
    local right = self:expression(priority[2])
    if operator == "and" or operator == "or" then self:condition(left, operator) end
    left = {type = "binary", operator = operator, left = left, right = right, line = line}
  end
end

-- Notes the expressions whose truth decides something.
function Parser:condition(node, word)
  while node.type == "paren" do node = node.inner end
  if node.type == "binary" and (node.operator == "and" or node.operator == "or") then
    if word == "and" or word == "or" then return end  -- `a and b or c` chooses; of it a is a condition, noted before
    self:condition(node.left, node.operator)
    return self:condition(node.right, word)
  end
  if node.type ~= "call" and node.type ~= "method" or node.decides then return end
  node.decides = word
  self.found.conditions[#self.found.conditions + 1] = node
end

-- --- Statements

function Parser:assign(node)
  if node.type == "name" then
    if node.variable then
      node.variable.reads, node.variable.writes = node.variable.reads - 1, node.variable.writes + 1
    else
      node.assigned = true
    end
  else
    node.assigned = true
  end
end

function Parser:local_statement()
  if self:accept("function") then
    local token = self:next()
    self:declare(token.value, token.line, "function", {type = "function", line = token.line})
    return self:body(token.line)
  end
  local names = {}
  repeat
    local token = self:next()
    local attribute
    if self:accept("<") then
      attribute = self:next().value
      self:accept(">")
    end
    names[#names + 1] = {token = token, attribute = attribute}
  until not self:accept(",")
  local values = self:accept("=") and self:list() or {}
  for i, name in ipairs(names) do
    local init = values[i]
    local variable = self:declare(name.token.value, name.token.line, name.attribute == "close" and "close" or "local", init)
    if not init and #values > 0 then variable.later = true end  -- a further result of the last call
  end
end

function Parser:function_statement(line)
  local node = self:name(self:next())
  local method = false
  while self:peek() == "." or self:peek() == ":" do
    method = self:next().kind == ":"
    node = {type = "index", object = node, key = self:next().value, line = line, assigned = true}
  end
  if node.type == "name" then self:assign(node) else self.found.methods[#self.found.methods + 1] = node end
  self:body(line, method)
end

function Parser:for_statement()
  local first = {self:next()}
  while self:accept(",") do first[#first + 1] = self:next() end
  self:next()  -- = or in
  self:list()
  self:open()
  for _, token in ipairs(first) do self:declare(token.value, token.line, "loop") end
  self:accept("do")
  self:block()
  self:accept("end")
  self:close()
end

function Parser:scoped_block()
  self:open()
  self:block()
  self:close()
end

local statements = {}

statements["if"] = function(self)
  self:condition(self:expression(), "if")
  self:accept("then")
  self:scoped_block()
  while true do
    if self:accept("elseif") then
      self:condition(self:expression(), "elseif")
      self:accept("then")
      self:scoped_block()
    elseif self:accept("else") then
      self:scoped_block()
    else
      break
    end
  end
  self:accept("end")
end

statements["while"] = function(self)
  self:condition(self:expression(), "while")
  self:accept("do")
  self:scoped_block()
  self:accept("end")
end

statements["do"] = function(self)
  self:scoped_block()
  self:accept("end")
end

statements["for"] = Parser.for_statement

statements["repeat"] = function(self)
  self:open()
  self:block()
  self:accept("until")
  self:condition(self:expression(), "until")
  self:close()
end

statements["function"] = function(self, token) self:function_statement(token.line) end
statements["local"] = Parser.local_statement

statements["return"] = function(self)
  local kind = self:peek()
  if kind ~= "end" and kind ~= "eof" and kind ~= "else" and kind ~= "elseif" and kind ~= "until" and kind ~= ";" then
    self:list()
  end
end

statements["goto"] = function(self) self:next() end
statements["::"] = function(self)
  self:next()
  self:accept("::")
end
statements["break"] = function() end
statements[";"] = function() end

function Parser:block()
  while true do
    local token = self.tokens[self.at]
    local kind = token.kind
    if kind == "end" or kind == "eof" or kind == "else" or kind == "elseif" or kind == "until" then return end
    if statements[kind] then
      self:next()
      statements[kind](self, token)
    else
      local before = self.at
      local targets = {self:suffixed()}
      while self:accept(",") do targets[#targets + 1] = self:suffixed() end
      if self:accept("=") then
        for _, target in ipairs(targets) do self:assign(target) end
        self:list()
      end
      if self.at == before then self.at = before + 1 end
    end
  end
end

---Reads a text.
---@param text string
---@return table found {variables, globals, fields, calls, conditions, tables, methods}
return function(text)
  local self = setmetatable({tokens = lexer.tokens(text), at = 1, found = {
    variables = {}, globals = {}, fields = {}, calls = {}, conditions = {}, tables = {}, methods = {}}}, Parser)
  self:open()
  self:block()
  return self.found
end
