-- The expressions of a Lua text as nodes, for host.check.parser: each has a type and its place, and what names stand for
-- within their scopes.
local Parser = {}
Parser.__index = Parser

local PRIORITY <const> = {  -- left and right, as in Lua's own parser
  ["or"] = {1, 1}, ["and"] = {2, 2}, ["<"] = {3, 3}, [">"] = {3, 3}, ["<="] = {3, 3}, [">="] = {3, 3}, ["~="] = {3, 3},
  ["=="] = {3, 3}, ["|"] = {4, 4}, ["~"] = {5, 5}, ["&"] = {6, 6}, ["<<"] = {7, 7}, [">>"] = {7, 7}, [".."] = {9, 8},
  ["+"] = {10, 10}, ["-"] = {10, 10}, ["*"] = {11, 11}, ["/"] = {11, 11}, ["//"] = {11, 11}, ["%"] = {11, 11}, ["^"] = {14, 13},
}
local UNARY <const> = {["not"] = true, ["-"] = true, ["#"] = true, ["~"] = true}
local COMPARES <const> = {["<"] = true, ["<="] = true, [">"] = true, [">="] = true, ["=="] = true, ["~="] = true}
local UNARY_PRIORITY <const> = 12

---The kind of the next word.
function Parser:peek() return self.tokens[self.at].kind end

---Takes the next word.
function Parser:next()
  local token = self.tokens[self.at]
  self.at = self.at + 1
  return token
end

---Takes the next word if it is of this kind.
function Parser:accept(kind)
  if self:peek() ~= kind then return nil end
  return self:next()
end

-- --- Scopes

---Opens a scope.
function Parser:open() self.scope = {above = self.scope, names = {}} end

---Closes the scope.
function Parser:close() self.scope = self.scope.above end

---A new variable of the scope.
function Parser:declare(token, kind, init)
  local variable = {name = token.value, line = token.line, column = token.column, kind = kind, init = init, reads = 0, writes = 0}
  self.scope.names[variable.name] = variable
  self.found.variables[#self.found.variables + 1] = variable
  return variable
end

---The variable that a name stands for here; nil: a global.
function Parser:resolve(name)
  local scope = self.scope
  while scope do
    if scope.names[name] then return scope.names[name] end
    scope = scope.above
  end
  return nil
end

-- --- Expressions

-- A node whose place is that of a token, or of another node.
local function new(kind, at, node)
  node = node or {}
  node.type, node.line, node.column = kind, at.line, at.column
  return node
end

---A use of a name.
function Parser:name(token)
  local variable = self:resolve(token.value)
  local node = new("name", token, {name = token.value, variable = variable})
  if variable then variable.reads = variable.reads + 1 end
  if not variable then self.found.globals[#self.found.globals + 1] = node end
  return node
end

---A table that is written out.
function Parser:table()
  local node = new("table", self:next(), {items = {}, protected = self.protected})
  self.found.tables[#self.found.tables + 1] = node
  while self:peek() ~= "}" and self:peek() ~= "eof" do
    local item = {line = self.tokens[self.at].line, column = self.tokens[self.at].column}
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

---Expressions with commas between them.
function Parser:list()
  local list = {self:expression()}
  while self:accept(",") do list[#list + 1] = self:expression() end
  return list
end

---A function: the names of its parameters, `self` of a method and "..." among them; `returns` is set if it returns something.
function Parser:body(at, method)
  local parameters = {}
  self:open()
  if method then
    parameters[1] = "self"
    self:declare({value = "self", line = at.line, column = at.column}, "argument")
  end
  self:accept("(")
  while self:peek() ~= ")" and self:peek() ~= "eof" do
    local token = self:next()
    if token.kind ~= "," then parameters[#parameters + 1] = token.value end
    if token.kind == "name" then self:declare(token, "argument") end
  end
  self:accept(")")
  local f, outer = new("function", at, {parameters = parameters}), self.inside
  self.inside = f
  self:block()
  self.inside = outer
  self:accept("end")
  self:close()
  return f
end

---What a chain of fields and calls begins with.
function Parser:primary()
  local token = self:next()
  if token.kind == "(" then
    local inner = self:expression()
    self:accept(")")
    return new("paren", token, {inner = inner})
  end
  return self:name(token)
end

---The arguments of a call.
function Parser:arguments()
  local token = self.tokens[self.at]
  if token.kind == "string" then
    self:next()
    return {new("string", token, {value = token.value})}
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

---A name or call with all its fields and calls.
function Parser:suffixed()
  local node = self:primary()
  while true do
    local kind = self:peek()
    if kind == "." then
      self:next()
      local name = self:next()
      node = new("index", name, {object = node, key = name.value, protected = self.protected})
      self.found.fields[#self.found.fields + 1] = node
    elseif kind == "[" then
      self:next()
      local key = self:expression()
      self:accept("]")
      node = new("index", key, {object = node, key_expression = key})
      self.found.indexes[#self.found.indexes + 1] = node
    elseif kind == ":" then
      self:next()
      local name = self:next()
      node = new("method", name, {object = node, name = name.value, arguments = self:arguments(), protected = self.protected})
      self.found.method_calls[#self.found.method_calls + 1] = node
    elseif kind == "(" or kind == "string" or kind == "{" then
      local before = self.protected
      self.protected = before or catches(node)
      node = new("call", node, {callee = node, arguments = self:arguments(), protected = self.protected})
      self.protected = before
      self.found.calls[#self.found.calls + 1] = node
    else
      return node
    end
  end
end

---An expression without operators.
function Parser:simple()
  local token = self.tokens[self.at]
  local kind = token.kind
  if kind == "string" or kind == "number" or kind == "nil" or kind == "true" or kind == "false" or kind == "..." then
    self:next()
    return new(kind, token, {value = token.value})
  end
  if kind == "{" then return self:table() end
  if kind == "function" then return self:body(self:next()) end
  return self:suffixed()
end

---An expression with operators that bind tighter than `limit`.
function Parser:expression(limit)
  limit = limit or 0
  local left
  local token = self.tokens[self.at]
  if UNARY[token.kind] then
    self:next()
    left = new("unary", token, {operator = token.kind, operand = self:expression(UNARY_PRIORITY)})
    if token.kind == "not" then self:condition(left.operand, "not") end
  else
    left = self:simple()
  end
  while true do
    local operator = self:peek()
    local priority = PRIORITY[operator]
    if not priority or priority[1] <= limit then return left end
    local token_of = self:next()
    local right = self:expression(priority[2])
    if operator == "and" or operator == "or" then self:condition(left, operator) end
    left = new("binary", token_of, {operator = operator, left = left, right = right, protected = self.protected})
    if COMPARES[operator] then self.found.comparisons[#self.found.comparisons + 1] = left end
  end
end

---Notes the expressions whose truth decides something.
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

return Parser
