-- The words of a Lua text, for trainhost check. What is wrong in it Lua itself has said before: nothing here fails.
local lexer = {}

local RESERVED <const> = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
  while]]):gmatch("%a+") do RESERVED[word] = true end
lexer.RESERVED = RESERVED

local ESCAPES <const> = {a = "\a", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", v = "\v"}
local SYMBOLS <const> = {"...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>"}

-- The value of a short string without its quotes; rare escapes are left as they are.
local function unescape(text)
  return (text:gsub("\\(.)", function(c) return ESCAPES[c] or c end))
end

-- The end of a long bracket that opens at `position`, and its text; nil if none opens there.
local function long_bracket(text, position)
  local level = text:match("^%[(=*)%[", position)
  if not level then return nil end
  local start = position + #level + 2
  local from, to = text:find("]" .. level .. "]", start, true)
  return to or #text, text:sub(start, (from or #text + 1) - 1)
end

-- The end of a string that a quote opens.
local function short_string(text, position)
  local quote, at = text:sub(position, position), position + 1
  while at <= #text do
    local c = text:sub(at, at)
    if c == "\\" then
      at = at + 1
    elseif c == quote or c == "\n" then
      break
    end
    at = at + 1
  end
  return math.min(at, #text), unescape(text:sub(position + 1, at - 1))
end

local function symbol_at(text, position)
  for _, symbol in ipairs(SYMBOLS) do
    if text:sub(position, position + #symbol - 1) == symbol then return symbol end
  end
  return text:sub(position, position)
end

---Splits a text into words.
---@param text string
---@return table[] tokens {kind, value, line, column}: columns count bytes from 1; kind
---is "name", "string", "number", "eof", or the word or symbol itself
function lexer.tokens(text)
  local tokens, position, line, before = {}, 1, 1, 0  -- `before`: the bytes of the lines above
  if text:sub(1, 1) == "#" then position = text:find("\n", 1, true) or #text + 1 end
  local function skip(to)
    for at in text:sub(position, to):gmatch("()\n") do line, before = line + 1, position + at - 1 end
    position = to + 1
  end
  local function add(kind, value, to)
    tokens[#tokens + 1] = {kind = kind, value = value, line = line, column = position - before}
    skip(to)
  end
  while true do
    local _, blank = text:find("^%s+", position)
    if blank then skip(blank) end
    if position > #text then break end
    local c = text:sub(position, position)
    local word = text:match("^[%a_][%w_]*", position)
    if word then
      add(RESERVED[word] and word or "name", word, position + #word - 1)
    elseif text:find("^%-%-", position) then
      local finish = long_bracket(text, position + 2)
      skip(finish or (text:find("\n", position, true) or #text + 1) - 1)
    elseif text:find("^%.?%d", position) then
      local hex = text:match("^0[xX][%x%.]*[pP]?[%+%-]?%x*", position)
      local number = hex and (text:match("^0[xX][%x%.]*[pP][%+%-]?%d+", position) or text:match("^0[xX][%x%.]*", position))
        or text:match("^[%d%.]+[eE][%+%-]?%d+", position) or text:match("^%d*%.?%d*", position)
      add("number", number, position + #number - 1)
    elseif c == '"' or c == "'" then
      local finish, value = short_string(text, position)
      add("string", value, finish)
    else
      local finish, value = long_bracket(text, position)
      if finish then
        add("string", value, finish)
      else
        local symbol = symbol_at(text, position)
        add(symbol, symbol, position + #symbol - 1)
      end
    end
  end
  tokens[#tokens + 1] = {kind = "eof", value = "<eof>", line = line, column = math.max(#text - before, 1)}
  return tokens
end

return lexer
