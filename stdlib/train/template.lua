-- File names with fields: "out/{epoch:02d}-{val_loss:.3f}".
local nearest = require "train.nearest"

local template = {}
template.__index = template

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

local function quoted(text) return ('filepath "%s"'):format(text) end

-- "02d", ".3f", "" -> a Lua format
local function lua_format(spec, whole)
  if spec == "" then return nil end
  local flags, kind = spec:match("^([+ ]?0?%d*%.?%d*)([dfeEgG%%]?)$")
  if not flags then
    usage(("%s: bad format ':%s'"):format(quoted(whole), spec), "as Python's: 02d, .3f, .2e, 5.1f")
  end
  return flags, kind == "" and (flags:find("%.") and "g" or "d") or kind
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
      local key, spec = (body or ""):match("^([%w_]+):?(.*)$")
      if not key then usage(("%s: a brace without its field at character %d"):format(quoted(text), open)) end
      local flags, kind = lua_format(spec, text)
      parts[#parts + 1] = {key = key, flags = flags, kind = kind}
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

local function whole(value)
  local rounded = math.tointeger(value)
  return rounded or math.tointeger(math.floor(value + 0.5)) or 0
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
      if not part.kind then
        words[i] = math.tointeger(value) and tostring(math.tointeger(value)) or tostring(value)
      elseif part.kind == "d" then
        words[i] = ("%" .. part.flags .. "d"):format(whole(value))
      elseif part.kind == "%" then
        words[i] = ("%" .. part.flags .. "f%%"):format(value * 100)
      else
        words[i] = ("%" .. part.flags .. part.kind):format(value)
      end
    end
  end
  return table.concat(words)
end

---The folder above the first field, which can be tried before the training: "out" for "out/{epoch}/w".
function template:fixed_folder()
  local first = type(self.parts[1]) == "string" and self.parts[1] or ""
  if #self.parts == 1 then first = self.text end
  local folder = first:match("^(.*)/[^/]*$")
  if folder == "" then return "/" end
  return folder or "."
end

return template
