-- host.help: what there is about a function, class, method or namespace, by its value or its name.
local entry = require "host.help.entry"
local names = require "host.help.names"
local objects = require "host.help.objects"
local rules = require "host.help.function_rules"
local show = require "host.help.show"
local vm = require "native.vm"

local USAGE <const> = [[
help(torch.add)        a function, class or namespace: help(torch.linalg), help(nn.Linear), help(x) for its class
help "Tensor.add"      the same by name: "nn.Linear", "torch.nn.Module.train", "F.relu", "train.fit", "Run.log_metric"
help "torch"           what there is: torch, train, mlflow, host, test]]

local kNarrow <const>, kWide <const> = 60, 110

local function width()
  return math.max(kNarrow, math.min(vm.terminal_width() or kWide, kWide))
end

-- A function of the user's own: its name and the comment above it.
local function of_user(f)
  local info = debug.getinfo(f, "S")
  local lines = {}
  local file = info.source:sub(1, 1) == "@" and io.open(info.source:sub(2))
  if file then
    for line in file:lines() do lines[#lines + 1] = line end
    file:close()
  end
  local first = info.linedefined
  while first > 1 and lines[first - 1] and lines[first - 1]:match("^%s*%-%-") do first = first - 1 end
  local text = {("function at %s:%d"):format(info.short_src, info.linedefined)}
  for i = first, info.linedefined - 1 do text[#text + 1] = "  " .. lines[i]:gsub("^%s*%-+%s?", "") end
  return table.concat(text, "\n")
end

-- The class or module that a value belongs to, when the value itself has no name.
local function path_of_object(value)
  local meta = debug.getmetatable(value)
  local name = type(meta) == "table" and meta.__name
  if name == "Tensor" then return "torch.Tensor" end
  if type(value) == "userdata" and name == "Module" then
    local class = require("native.model").class_of(value)
    return names.path_of(class) or "torch.nn.Module"
  end
  if type(value) == "userdata" and tostring(value):find("^torch%.[%w_]+$") then return tostring(value) end  -- a dtype
  local home, text = objects.home(value)
  if home or text then return home, text end
  if meta == nil then return nil end
  local path = names.path_of(meta)
  if path == nil and name ~= "class" then path = names.of_class(name) end
  if path == nil and name == "class" then  -- one of the user's own
    local base = type(meta.__index) == "table" and names.path_of(meta.__index)
    return nil, tostring(value) .. (base and ", a " .. base or "")
  end
  return path
end

-- Why a namespace has no such name, where it is known.
local function reason(owner, name)
  local space = names.find(owner)
  if type(space) ~= "table" or owner:find "^torch%.ops" then return nil end  -- its reason is the same for every name
  local found, failure = pcall(function() return space[name] end)
  local hint = not found and type(failure) ~= "string" and failure.hint
  return hint and not hint:find("^did you mean") and hint or nil
end

local function refuse(message, near, hint)
  hint = hint or near[1] and "did you mean " .. table.concat(near, ", "):gsub(", ([^,]+)$", " or %1") .. "?" or nil
  vm.raise("usage", message, hint)
end

local help = {}

--- The text that `help` prints.
---@param what any a value of the standard library, or a name
---@return string
function help.text(what)
  entry.refresh()
  local path, text = what, nil
  if type(what) == "userdata" then path, text = path_of_object(what) end
  if type(what) ~= "string" and (type(what) ~= "userdata" or not (path or text)) then
    path = (type(what) == "table" or type(what) == "function") and names.path_of(what) or nil
    if path == nil then path, text = path_of_object(what) end
  end
  if path == nil then
    if text then return text end
    if type(what) == "function" then return of_user(what) end
    return ("a %s: %s"):format(type(what), vm.describe(what))
  end
  local value, full, owner, missing = names.find(path)
  if value == nil then
    local made = owner and owner ~= "" and names.find(owner)
    local method = type(made) == "function" and entry.of_method(owner, made, missing)
      or owner == "torch.autograd.Function" and rules.of(missing)
    if method then return show.text(method, width()) end
    local where = owner == "" and "there is no '%s'" or owner .. " has no '%s'"
    local near = (missing or path):find("%w") and names.nearest(owner or "", missing or path) or {}
    refuse("help: " .. where:format(missing or path), near, owner and reason(owner, missing))
  end
  return show.text(entry.of(full, value), width())
end

return setmetatable(help, {
  __name = "help",
  __tostring = function() return USAGE end,
  --- Prints what there is about a value or a name; without an argument, how to ask.
  __call = function(_, ...)
    if select("#", ...) == 0 then return print(USAGE) end
    print(help.text((...)))
  end,
})
