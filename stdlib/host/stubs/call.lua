-- Calls as the editor checks them: one main form, and the others as overloads, keywords in a last table among them.
local operators = require "host.help.operators"
local types = require "host.stubs.types"

local call = {}

local kMostForms <const> = 6

local function param_type(param)
  local text = types.written(param.type or param.default and types.of_default(param.default) or "any", true)
  -- Else the results of a function would take in what follows.
  return text:find("fun(", 1, true) and not text:find("^%(") and "(" .. text .. ")" or text
end

local function written(param)
  local mark = param.optional and "?" or ""
  return ("%s%s: %s"):format(operators.lua_name(param.name), mark, param_type(param))
end

local function table_of(params)
  local fields = {}
  for i, param in ipairs(params) do fields[i] = ("%s?: %s"):format(operators.lua_name(param.name), param_type(param)) end
  return "{" .. table.concat(fields, ", ") .. "}"
end

-- The parameters of each form: those by position alone, then with each number of optional ones a table of the rest.
local function forms_of(positional, keywords)
  local forms, is_optional = {positional}, false
  for _, param in ipairs(positional) do  -- as in Python: what follows an optional one is optional
    is_optional = is_optional or param.optional
    param.optional = is_optional or nil
  end
  local required = 0
  for i, param in ipairs(positional) do
    if not param.optional then required = i end
  end
  for count = required, #positional do
    local rest = table.move(positional, count + 1, #positional, 1, {})
    table.move(keywords, 1, #keywords, #rest + 1, rest)
    if #rest > 0 and #forms < kMostForms then
      local form = table.move(positional, 1, count, 1, {})
      for i = 1, count do  -- before a table nil has to be written
        form[i] = {name = form[i].name, type = types.written(param_type(form[i]) .. (form[i].optional and "|nil" or ""))}
      end
      form[count + 1] = {name = "options", type = table_of(rest)}
      forms[#forms + 1] = form
    end
  end
  return forms
end

local function results_text(results)
  local list = {}
  for i, each in ipairs(results) do list[i] = types.written(each.type) end
  return #list > 0 and ": " .. table.concat(list, ", ") or ""
end

-- Numbers in place of the one list: x:view(2, 3).
local function vararg_form(each)
  return {{name = "...", type = (each.positional[1].type:gsub("%[%]$", ""):gsub("|.*$", ""))}}
end

--- The forms of the calls of an operator.
---@param calls table[] of operators.calls
---@return {params: table[], results: table[]}[]
function call.forms(calls)
  local list = {}
  for _, each in ipairs(calls) do
    for _, form in ipairs(forms_of(each.positional, each.keywords)) do
      list[#list + 1] = {params = form, results = each.results}
    end
    if each.varargs then list[#list + 1] = {params = vararg_form(each), results = each.results} end
  end
  return list
end

--- The forms of a function of Python's signature: `spec` says that its last table is keywords.
---@param params table[]
---@param results table[]
---@param spec boolean
---@return table[]
function call.forms_of_function(params, results, spec)
  local list, positional, keywords = {}, {}, {}
  for _, param in ipairs(params) do
    local into = param.keyword and keywords or positional
    into[#into + 1] = param
  end
  for _, form in ipairs(spec and forms_of(positional, keywords) or {params}) do list[#list + 1] = {params = form, results = results} end
  return list
end

--- "fun(self: Tensor, dim: integer): Tensor"
---@param form table
---@param self? string the class, for a method
---@return string
function call.fun(form, self)
  local parts = self and {"self: " .. self} or {}
  for _, param in ipairs(form.params) do parts[#parts + 1] = written(param) end
  return "fun(" .. table.concat(parts, ", ") .. ")" .. results_text(form.results)
end

local function one_line(text) return (text:gsub("%s*\n%s*", " ")) end

--- The lines of a stub: text, parameters, results, overloads, and the function.
---@param lines string[] added to
---@param name string "torch.add" or "Tensor:add"
---@param text string
---@param forms table[] the first is the function itself
---@param link? string
---@param overloads? string[] further forms, as the docstring writes them
function call.write(lines, name, text, forms, link, overloads)
  for line in (text .. "\n"):gmatch("(.-)\n") do
    if line ~= "" or text ~= "" then lines[#lines + 1] = "---" .. line end
  end
  if link then
    if text ~= "" then lines[#lines + 1] = "---" end
    lines[#lines + 1] = ("---[PyTorch](%s)"):format(link)
  end
  local self = name:match("^([%w_%.]+):")
  local main, parameters = forms[1], {}
  for i, param in ipairs(main.params) do
    if parameters[i - 1] == "..." then break end
    local param_name = operators.lua_name(param.name)
    parameters[i] = param_name
    local mark = param.optional and param_name ~= "..." and "?" or ""
    lines[#lines + 1] = (("---@param %s%s %s %s"):format(param_name, mark, param_type(param),
      one_line(param.text or param.default and "default " .. param.default or "")):gsub("%s+$", ""))
  end
  for _, each in ipairs(main.results) do
    local words = each.name or each.text and (each.text:find("^%.%.%.") and each.text or "# " .. each.text) or ""
    lines[#lines + 1] = (("---@return %s %s"):format(types.written(each.type), one_line(words)):gsub("[%s#]+$", ""))
  end
  for i = 2, #forms do lines[#lines + 1] = "---@overload " .. call.fun(forms[i], self) end
  for _, each in ipairs(overloads or {}) do lines[#lines + 1] = "---@overload " .. types.written(each) end
  lines[#lines + 1] = ("function %s(%s) end"):format(name, table.concat(parameters, ", "))
  lines[#lines + 1] = ""
end

return call
