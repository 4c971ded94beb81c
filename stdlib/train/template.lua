-- File names with fields: "out/{epoch:02d}-{val_loss:.3f}".
local nearest = require "train.nearest"
local numbers = require "train.numbers"

local template = {}
template.__index = template

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

local function quoted(text) return ('filepath "%s"'):format(text) end

-- Reads a format of Python's: [[fill]align][sign][0][width][.precision][type].
local function read_format(spec, whole)
  local fill, align, rest = spec:match("^(.)([<>=^])(.*)$")
  if not fill then align, rest = spec:match("^([<>=^]?)(.*)$") end
  local sign, zero, width, precision, kind = rest:match("^([+ -]?)(0?)(%d*)(%.?%d*)([dfFeEgG%%]?)$")
  if not sign or precision == "." or (kind == "d" and precision ~= "") then
    usage(("%s: bad format ':%s'"):format(quoted(whole), spec), "as Python's: 02d, .3f, .2e, 5.1f, >6.2f")
  end
  return {fill = fill or (zero == "0" and "0") or " ", align = align ~= "" and align or zero == "0" and "=" or ">",
    sign = sign, width = tonumber(width) or 0, precision = precision, kind = kind}
end

---Reads a template.
---@param text string
---@return table template {parts, keys, text}
function template.parse(text)
  if type(text) ~= "string" or text == "" then usage(("filepath must be text, got %s"):format(type(text))) end
  local parts, keys, position = {}, {}, 1
  while position <= #text do
    local open = text:find("[{}]", position)
    if not open then
      parts[#parts + 1] = text:sub(position)
      break
    end
    if open > position then parts[#parts + 1] = text:sub(position, open - 1) end
    local brace = text:sub(open, open)
    if text:sub(open + 1, open + 1) == brace then  -- {{ and }} are braces
      parts[#parts + 1] = brace
      position = open + 2
    else
      local body, stop = text:match("^{([^{}]*)}()", open)
      local key, spec = (body or ""):match("^([^:]+):?(.*)$")
      if not key then usage(("%s: a brace without its field at character %d"):format(quoted(text), open)) end
      parts[#parts + 1] = {key = key, format = spec ~= "" and read_format(spec, text) or nil}
      keys[#keys + 1] = key
      position = stop
    end
  end
  return setmetatable({text = text, parts = parts, keys = keys}, template)
end

---A usage error unless every field is one of `names` or of epoch, batch and step.
function template:check(names)
  local valid = {"epoch", "batch", "step"}
  for _, name in ipairs(names) do valid[#valid + 1] = name end
  for _, key in ipairs(self.keys) do
    local known = false
    for _, name in ipairs(valid) do known = known or name == key end
    if not known then
      usage(("unknown field '{%s}' in \"%s\"%s"):format(key, self.text, nearest.suggest(key, valid)))
    end
  end
end

local function whole(value) return math.tointeger(value) or math.tointeger(math.floor(value + 0.5)) or 0 end

-- Python's format without a type: integers in full, other numbers as %g with a digit after the point.
local function general(value, precision)
  if precision == "" then return numbers.text(value) end
  local text = ("%" .. precision .. "g"):format(value)
  if text:find("[en]") then return text end
  local places = math.max(tonumber(precision:sub(2)), 1)
  if text:find("^0%..") or #text:match("^%d+") < places then return text:find(".", 1, true) and text or text .. ".0" end
  local mantissa, exponent = ("%." .. places - 1 .. "e"):format(value):match("^(.-)(e.*)$")
  if mantissa:find(".", 1, true) then mantissa = mantissa:gsub("0+$", ""):gsub("%.$", "") end
  return mantissa .. exponent
end

-- The digits of a number that is not negative.
local function digits(value, format)
  local kind = format.kind
  if kind == "" then return general(value, format.precision) end
  if kind == "d" then return ("%d"):format(whole(value)) end
  if kind == "%" then return ("%" .. format.precision .. "f%%"):format(value * 100) end
  if kind == "F" then return ("%" .. format.precision .. "f"):format(value):upper() end
  return ("%" .. format.precision .. kind):format(value)
end

local function nan_text(kind)
  if kind == "%" then return "nan%" end
  return kind:find("^[EFG]$") and "NAN" or "nan"
end

local function formatted(value, format)
  local is_nan = value ~= value
  local negative = not is_nan and (value < 0 or 1 / value == -math.huge)
  local text = is_nan and nan_text(format.kind) or digits(negative and -value or value, format):gsub(",", ".")  -- whatever the locale
  local sign = negative and "-" or format.sign ~= "-" and format.sign or ""
  local missing = format.width - #sign - #text
  if missing <= 0 then return sign .. text end
  if format.align == "=" then return sign .. format.fill:rep(missing) .. text end
  text = sign .. text
  local left = format.align == ">" and missing or format.align == "^" and missing // 2 or 0
  return format.fill:rep(left) .. text .. format.fill:rep(missing - left)
end

---The text with the fields filled in from `values`.
---@param values table<string, number>
---@return string
function template:fill(values)
  local words = {}
  for i, part in ipairs(self.parts) do
    if type(part) == "string" then
      words[i] = part
    else
      local value = values[part.key]
      if value == nil then usage(("no value for the field '{%s}' of \"%s\""):format(part.key, self.text)) end
      words[i] = part.format and type(value) == "number" and formatted(value, part.format) or numbers.text(value)
    end
  end
  return table.concat(words)
end

---The folder above the first field, which can be tried before the training: "out" for "out/{epoch}/w".
function template:fixed_folder()
  local first = type(self.parts[1]) == "string" and self.parts[1] or ""
  local folder = first:match("^(.*)/[^/]*$")
  if folder == "" then return "/" end
  return folder or "."
end

return template
