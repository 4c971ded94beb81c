-- What a Lua text does with names, for trainhost check: its variables, globals, conditions, fields and calls. It takes
-- texts that Lua has compiled, and so looks for no mistakes of syntax.
local Parser = require "host.check.expressions"
local lexer = require "host.check.lexer"

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
    local variable = self:declare(token, "function", {})
    for key, value in pairs(self:body(token)) do variable.init[key] = value end
    return
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
    local variable = self:declare(name.token, name.attribute == "close" and "close" or "local", init)
    if not init and #values > 0 then variable.later = true end  -- a further result of the last call
  end
end

function Parser:function_statement(at)
  local node = self:name(self:next())
  local method = false
  while self:peek() == "." or self:peek() == ":" do
    method = self:next().kind == ":"
    local name = self:next()
    node = {type = "index", object = node, key = name.value, line = name.line, column = name.column, assigned = true}
  end
  if node.type == "name" then self:assign(node) else self.found.methods[#self.found.methods + 1] = node end
  node.defined = self:body(at, method)
end

function Parser:for_statement()
  local first = {self:next()}
  while self:accept(",") do first[#first + 1] = self:next() end
  local is_generic = self:next().kind == "in"  -- or =
  local iterators = self:list()
  local loop = {names = first, iterators = iterators, protected = self.protected, first_call = #self.found.calls + 1}
  if is_generic then self.found.loops[#self.found.loops + 1] = loop end
  self:open()
  for _, token in ipairs(first) do self:declare(token, "loop") end
  self:accept("do")
  self:block()
  self:accept("end")
  loop.last_call = #self.found.calls
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

statements["function"] = function(self, token) self:function_statement(token) end
statements["local"] = Parser.local_statement

statements["return"] = function(self)
  local kind = self:peek()
  if kind ~= "end" and kind ~= "eof" and kind ~= "else" and kind ~= "elseif" and kind ~= "until" and kind ~= ";" then
    self:list()
    if self.inside then self.inside.returns = true end
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
        for i, value in ipairs(self:list()) do value.kept = targets[i] ~= nil and targets[i].type == "index" end
      end
      if self.at == before then self.at = before + 1 end
    end
  end
end

---Reads a text.
---@param text string
---@return table found {variables, globals, fields, calls, method_calls, conditions, comparisons, tables, methods, loops, indexes}
return function(text)
  local self = setmetatable({tokens = lexer.tokens(text), at = 1, found = {
    variables = {}, globals = {}, fields = {}, calls = {}, method_calls = {}, conditions = {}, comparisons = {}, tables = {},
    methods = {}, loops = {}, indexes = {}}}, Parser)
  self:open()
  self:block()
  return self.found
end
