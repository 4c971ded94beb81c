-- An entry of help as text.
local docstring = require "host.help.docstring"
local entry = require "host.help.entry"
local names = require "host.help.names"
local operators = require "host.help.operators"

local show = {}

local function wrap(text, width, indent)
  local lines, line = {}, nil
  for word in text:gmatch("%S+") do
    if line and #line + 1 + #word > width then
      lines[#lines + 1] = line
      line = nil
    end
    line = line and line .. " " .. word or (#lines > 0 and indent or "") .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

local function param_text(param, typed)
  local text = param.name .. (param.optional and not param.default and "?" or "")
  if typed and param.type then text = text .. ": " .. param.type end
  if param.default and param.default ~= "nil" then text = text .. " = " .. param.default end
  return text
end

--- One call of an operator: "torch.sum(input: Tensor, {dtype?: dtype}) -> Tensor".
---@param name string "torch.sum" or "x:sum"
---@param call table of operators.calls
---@return string
function show.call(name, call)
  local parts = {}
  for i, param in ipairs(call.positional) do
    local text = param_text(param, true)
    if call.varargs and i == 1 then text = text:gsub("^[%w_]+%??", "%0...") end
    parts[i] = text
  end
  local keywords = {}
  for i, param in ipairs(call.keywords) do keywords[i] = param_text(param, true) end
  if #keywords > 0 then parts[#parts + 1] = "{" .. table.concat(keywords, ", ") .. "}" end
  local results = {}
  for i, each in ipairs(call.results) do
    results[i] = each.name and not each.name:find("^out%d*$") and ("%s: %s"):format(each.name, each.type) or each.type
  end
  return ("%s(%s)%s"):format(name, table.concat(parts, ", "),
    #results > 0 and " -> " .. table.concat(results, ", ") or "")
end

local function add_calls(lines, name, calls, width)
  for _, call in ipairs(calls) do lines[#lines + 1] = "  " .. wrap(show.call(name, call), width - 4, "      ") end
end

local function operator_lines(lines, it, width)
  local method = it.path:match("^torch%.Tensor%.(.*)$")
  add_calls(lines, method and "x:" .. method or it.path, it.calls, width)
  local short = it.operator:match("::(.*)$")
  if not method then add_calls(lines, "x:" .. operators.lua_name(short), it.methods, width) end
  if it.in_place then
    add_calls(lines, "x:" .. it.in_place, operators.calls("aten::" .. it.in_place, true), width)
  end
  if it.also then lines[#lines + 1] = "  " .. it.also end
  if it.symbol then lines[#lines + 1] = "  " .. it.symbol end
  local has_keywords, has_list, has_end, varargs = false, false, false, nil
  for _, calls in ipairs {it.calls, it.methods} do
    for _, call in ipairs(calls) do
      has_keywords = has_keywords or #call.keywords > 0
      varargs = varargs or call.varargs and call.positional[1].name
      for _, each in ipairs(call.results) do has_list = has_list or each.type == "Tensor[]" end
      for _, each in ipairs(call.positional) do has_end = has_end or each.name == "end_" end
    end
  end
  local notes = {}
  if has_keywords then notes[#notes + 1] = "what stands in braces is given by name, in a last table" end
  if varargs then notes[#notes + 1] = ("%s... is numbers or one list of them"):format(varargs) end
  if has_list then notes[#notes + 1] = "Tensor[] is a table that begins at 1" end
  if has_end then notes[#notes + 1] = "PyTorch's argument `end` is `end_`, a keyword of Lua otherwise" end
  if short == "repeat" then notes[#notes + 1] = "PyTorch's name is `repeat`, a keyword of Lua" end
  if #notes > 0 then
    lines[#lines + 1] = ""
    local text = table.concat(notes, "; ")
    lines[#lines + 1] = wrap(text:sub(1, 1):upper() .. text:sub(2) .. ".", width, "")
  end
end

local function call_name(it)
  if not it.method then return it.path end
  local class, name = it.path:match("([%w_]+)%.([%w_]+)$")
  return (class == "Tensor" and "x" or class) .. ":" .. name
end

local function function_lines(lines, it, width)
  local parts, results = {}, {}
  local keywords = {}
  for _, param in ipairs(it.params) do
    local into = param.keyword and keywords or parts
    into[#into + 1] = param_text(param, false)
  end
  if #keywords > 0 then parts[#parts + 1] = "{" .. table.concat(keywords, ", ") .. "}" end
  for i, each in ipairs(it.returns) do results[i] = each.type end
  lines[#lines + 1] = "  " .. wrap(("%s(%s)%s"):format(call_name(it), table.concat(parts, ", "),
    #results > 0 and " -> " .. table.concat(results, ", ") or ""), width - 4, "      ")
  local shown = false
  for _, param in ipairs(it.params) do
    if param.type or param.text and param.text ~= "" then
      if not shown then lines[#lines + 1] = "" end
      shown = true
      local text = ("  %s  %s%s"):format(param.name, param.type or "", param.text and param.text ~= ""
        and ", " .. param.text or "")
      lines[#lines + 1] = "  " .. wrap(text, width - 4, "      ")
    end
  end
  for _, each in ipairs(it.returns) do
    if each.text and each.text ~= "" then
      lines[#lines + 1] = "  " .. wrap(("returns %s, %s"):format(each.type, each.text), width - 4, "      ")
    end
  end
end

local function columns(list, width)
  local widest = 0
  for _, name in ipairs(list) do widest = math.max(widest, #name) end
  local count = math.max(1, (width - 2) // (widest + 2))
  local rows = (#list + count - 1) // count
  local lines = {}
  for row = 1, rows do
    local parts = {}
    for column = 0, count - 1 do
      local name = list[row + column * rows]
      if name then parts[#parts + 1] = ("%-" .. widest .. "s"):format(name) end
    end
    lines[row] = ("  " .. table.concat(parts, "  ")):gsub("%s+$", "")
  end
  return lines
end

-- "  name    its first sentence ..."
local function member_line(name, text, widest, width)
  local room = width - widest - 4
  if #text > room then text = text:sub(1, room - 3):gsub("%s+%S*$", "") .. " ..." end
  return (("  %-" .. widest .. "s  %s"):format(name, text):gsub("%s+$", ""))
end

local MOST_WITH_SENTENCES <const> = 120

local function member_lines(lines, it, width)
  local list, widest = {}, 0
  for i, path in ipairs(it.members) do
    list[i] = path:match("([%w_]+)$")
    widest = math.max(widest, #list[i])
  end
  if #list == 0 then return end
  if #list > MOST_WITH_SENTENCES then
    table.move(columns(list, width), 1, #list, #lines + 1, lines)
    return
  end
  for i, path in ipairs(it.members) do
    local value = names.find(path)
    local member = entry.of(path, value)
    local text = docstring.sentence(member.text)
    if member.kind == "value" then text = tostring(member.value) end
    lines[#lines + 1] = member_line(list[i], text, widest, width)
  end
end

--- The text of help about an entry.
---@param it table of entry.of
---@param width integer
---@return string
function show.text(it, width)
  local lines = {it.path .. (it.kind == "function" and "" or " (" .. (it.kind == "value" and type(it.value) or it.kind)
    .. (it.type and ", " .. it.type or "") .. ")"), ""}
  if it.value ~= nil then
    lines[#lines + 1] = "  " .. tostring(it.value)
    if it.text ~= "" then lines[#lines + 1] = "" end
  end
  if it.text ~= "" then
    for paragraph in (it.text .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = paragraph end
    if it.calls or it.params or it.members or it.schemas then lines[#lines + 1] = "" end
  end
  if it.schemas then
    for _, schema in ipairs(it.schemas) do lines[#lines + 1] = "  " .. wrap(schema, width - 4, "      ") end
  elseif it.calls then operator_lines(lines, it, width)
  elseif it.params then function_lines(lines, it, width) end
  for _, each in ipairs(it.errors) do lines[#lines + 1] = "  error: " .. each.text end
  for _, each in ipairs(it.examples) do
    lines[#lines + 1] = ""
    lines[#lines + 1] = "  Example:"
    for line in (each.text .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = "    " .. line end
  end
  if it.members then
    if it.params then lines[#lines + 1] = "" end
    member_lines(lines, it, width)
  end
  local widest = 0
  for _, each in ipairs(it.beside or {}) do widest = math.max(widest, #each.name:match("([%w_]+)$")) end
  for i, each in ipairs(it.beside or {}) do
    if i == 1 then lines[#lines + 1] = "" end
    lines[#lines + 1] = member_line(":" .. each.name:match("([%w_]+)$"), docstring.sentence(each.doc.text), widest + 1,
      width)
  end
  if it.link then
    lines[#lines + 1] = ""
    lines[#lines + 1] = "PyTorch: " .. it.link
  elseif it.source then
    lines[#lines + 1] = ""
    lines[#lines + 1] = "Source: " .. it.source
  end
  return table.concat(lines, "\n")
end

return show
