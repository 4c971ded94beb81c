-- Types of docstrings as the editor knows them: names that are no class of the stubs become `any`.
local types = {}

-- A class of the stubs, with what it stands for. A docstring may use these names and Lua's own types.
types.CLASSES = {
  Tensor = "a tensor", Module = "a module of torch.nn", Optimizer = "an optimizer of torch.optim",
  DataLoader = "batches of a dataset", Run = "a run of MLflow", Generator = "a random number generator",
  dtype = "the type of a tensor's elements", device = "where a tensor lives", layout = "how a tensor is stored",
  memory_format = "the order of a tensor's dimensions in memory", scope = "ends by `local _ <close> = ...`",
}

local KNOWN <const> = {any = true, ["nil"] = true, boolean = true, number = true, integer = true, string = true,
  table = true, ["function"] = true, thread = true, fun = true, ["true"] = true, ["false"] = true,
  self = true, lightuserdata = true, unknown = true}

local WRITTEN <const> = {int = "integer", float = "number", bool = "boolean", str = "string", func = "function",
  list = "any[]", userdata = "any", Size = "integer[]"}

local NAMED <const> = {  -- what a default says of its parameter
  {"^true$", "boolean"}, {"^false$", "boolean"}, {"^['\"]", "string"}, {"^%-?%d+$", "number"}, {"^%-?[%d%.e%-]+$", "number"},
  {"^{[%d%.]", "number[]"},
}

--- The type that a default in Lua has: "number" of `1e-3`; nil for `nil`.
---@param default string
---@return string?
function types.of_default(default)
  for _, each in ipairs(NAMED) do
    if default:find(each[1]) then return each[2] end
  end
  return nil
end

local extra = {}

--- Adds a class that the stubs define.
---@param name string
function types.define(name) extra[name] = true end

local function is_known(name) return KNOWN[name] or types.CLASSES[name] or extra[name] end

--- Writes a type of a docstring so that the editor knows every name in it.
---@param text string "Tensor|number", "{lr: number}", "fun(x: Tensor): Tensor"
---@param is_parameter? boolean where a device may be named by a string
---@return string
function types.written(text, is_parameter)
  text = text:gsub("%s*|%s*", "|")
  local out, at = {}, 1
  while at <= #text do
    local quoted = text:match('^"[^"]*"', at) or text:match("^'[^']*'", at)
    local name = not quoted and text:match("^[%a_][%w_%.]*", at)
    if quoted then
      out[#out + 1] = quoted
      at = at + #quoted
    elseif name then
      local after = at + #name
      if text:find("^%??%s*:", after) and name ~= "fun" then out[#out + 1] = name  -- a field or a parameter
      elseif is_parameter and name == "device" and not text:find("string", 1, true) then
        out[#out + 1] = text:find("^%[", after) and "(device|string)" or "device|string"
      elseif is_known(name) then out[#out + 1] = name
      else out[#out + 1] = WRITTEN[name] or "any" end
      at = after
    elseif text:find("^%?[^:]", at) or at == #text and text:sub(at) == "?" then
      out[#out + 1] = "|nil"
      at = at + 1
    else
      out[#out + 1] = text:sub(at, at)
      at = at + 1
    end
  end
  text = table.concat(out):gsub("|nil|nil", "|nil")
  if text == "..." or text == "" then return "any" end
  return text
end

return types
