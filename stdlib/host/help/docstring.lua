-- A docstring in LuaCATS, as parts: its text, parameters, results, example, source.
local docstring = {}

local CLOSING <const> = {["("] = ")", ["{"] = "}", ["["] = "]", ["<"] = ">"}

-- One name, literal, list or function type at `at`; returns where it ends.
local function read_term(text, at)
  local first = text:sub(at, at)
  if first == '"' or first == "'" then return (text:find(first, at + 1, true) or at) + 1 end
  if text:find("^fun%(", at) then
    at = text:match("^fun%b()()", at)
    if not at then return nil end
    local after = text:match("^%s*:%s*()", at)
    return after and docstring.end_of_type(text, after) or at
  end
  if CLOSING[first] then return text:match("^%b" .. first .. CLOSING[first] .. "()", at) end
  local stop = text:match("^%.%.%.()", at) or text:match("^[%a_][%w_%.]*()", at)
  if stop and text:sub(stop, stop) == "<" then return text:match("^%b<>()", stop) end
  return stop
end

--- Where the type expression that begins at `at` ends; nil if there is none.
---@param text string
---@param at integer
---@return integer?
function docstring.end_of_type(text, at)
  local stop = read_term(text, at)
  while stop do
    local further = text:match("^%[%]()", stop) or text:match("^%?()", stop)
    if further then
      stop = further
    else
      local after = text:match("^%s*|%s*()", stop)
      if not after then break end
      local other = read_term(text, after)
      if not other then break end
      stop = other
    end
  end
  return stop
end

-- "Tensor? a Parameter" -> "Tensor?", "a Parameter"
local function split_type(text)
  local stop = docstring.end_of_type(text, 1)
  if not stop then return "any", text end
  return text:sub(1, stop - 1), (text:sub(stop):gsub("^%s+", ""))
end

-- "probability of a zero, 0.5" -> "probability of a zero", "0.5"
local function split_default(text)
  local words, last = text:match("^(.*),%s+(%S+)$")
  if not words then words, last = "", text end
  last = last:match("^default%s+(.*)$") or last
  if last:match("^%-?%d[%w%.%-]*$") and tonumber(last) or last:match('^"[^"]*"$') or last:match("^'[^']*'$") or last == "true"
    or last == "false" or last == "nil" then
    return words, last
  end
  return text, nil
end

local read = {}

function read.param(doc, text)
  local name, mark, rest = text:match("^([%w_%.]+)(%??)%s*(.*)$")
  if not name then return nil end
  local kind, words = split_type(rest)
  local param = {name = name, optional = mark == "?", type = kind, text = words}
  param.text, param.default = split_default(words)
  param.optional = param.optional or param.default ~= nil
  doc.params[#doc.params + 1] = param
  return param
end

function read.vararg(doc, text) return read.param(doc, "... " .. text) end

read["return"] = function(doc, text)
  local kind, words = split_type(text)
  local result = {type = kind, text = words}
  doc.returns[#doc.returns + 1] = result
  return result
end

function read.type(doc, text)
  doc.type, doc.type_text = split_type(text)
  return nil
end

function read.class(doc, text)
  doc.class, doc.base = text:match("^([%w_%.]+)%s*:?%s*([%w_%.]*)")
  return nil
end

function read.private(doc)
  doc.private = true
  return nil
end

function read.overload(doc, text)
  doc.overloads[#doc.overloads + 1] = text
  return nil
end

function read.source(doc, text)
  doc.source = text
  return nil
end

function read.error(doc, text)
  local error = {text = text}
  doc.errors[#doc.errors + 1] = error
  return error
end

function read.example(doc, text)
  local example = {text = text, is_code = true}
  doc.examples[#doc.examples + 1] = example
  return example
end

--- Reads a docstring.
---@param lines string[] without the leading ---
---@return table doc {text, params, returns, examples, errors, source, type, class}
function docstring.read(lines)
  local doc = {params = {}, returns = {}, examples = {}, errors = {}, overloads = {}}
  local words, part = {}, nil
  for _, line in ipairs(lines) do
    line = line:gsub("^%-%-%-", "")
    local tag, rest = line:match("^%s*@(%a+)%s*(.*)$")
    if tag then
      part = read[tag] and read[tag](doc, rest) or nil
    elseif part and part.is_code then
      part.text = part.text .. "\n" .. line:gsub("^%s", "", 1)
    elseif part then  -- a long description goes on
      part.text = part.text .. " " .. line:gsub("^%s+", "")
    else
      words[#words + 1] = line:gsub("^ ", "", 1)
    end
  end
  while words[#words] and words[#words]:match("^%s*$") do words[#words] = nil end
  doc.text = table.concat(words, "\n")
  return doc
end

--- The first sentence of a text, on one line.
---@param text string
---@return string
function docstring.sentence(text)
  local paragraph = (text .. "\n\n"):match("^(.-)\n%s*\n"):gsub("%s*\n%s*", " ")
  return paragraph:match("^(.-[%.%?!])%s+%u") or paragraph
end

return docstring
