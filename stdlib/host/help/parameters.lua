-- The parameters of a function, from its signature, its docstring and Lua itself.
local comments = require "host.help.comments"

local parameters = {}

--- "in_features, *, bias=true" as a list of {name, default, optional, keyword}.
---@param spec string
---@return table[]
function parameters.read(spec)
  local list, at, keyword = {}, 1, nil
  while at <= #spec do
    local star = spec:match("^%s*%*%s*,%s*()", at)  -- what follows is given by name alone
    if star then at, keyword = star, true end
    local name, after = spec:match("^%s*([%a_][%w_]*)%s*()", at)
    if not name then break end
    local param = {name = name, keyword = keyword}
    if spec:sub(after, after) == "=" then
      local text = spec:match("^=%s*(%b{})", after) or spec:match("^=%s*([^,]+)", after)
      param.default = text:gsub("%s+$", "")
      param.optional = true
      after = spec:find(text, after, true) + #text
    end
    list[#list + 1] = param
    at = spec:match("^%s*,?()", after)
  end
  return list
end

--- How a function of Python's signature is called, by the name that errors give it.
---@param f function
---@param path string
---@param comment? table
---@return string?
function parameters.spec_of(f, path, comment)
  path = path:gsub("%.__init$", "")
  local file = comment and comment.file or debug.getinfo(f, "S").source:match("^=stdlib/(.+)$")
  if not file then return nil end
  local signatures = comments.of(file).signatures
  local last = path:match("([%w_]+)$")
  local class = path:match("([%w_]+)%.[%w_]+$")
  return signatures[path] or signatures[path:gsub("^torch%.nn%.functional", "F")]
    or signatures[path:gsub("^torch%.nn%.", "nn.")] or class and signatures[class .. "." .. last]
    or signatures["torch." .. last] or signatures[last]
end

--- The parameters that Lua knows, but self.
---@param f function
---@return table[]
function parameters.of_lua(f)
  local list = {}
  local info = debug.getinfo(f, "u")
  for i = 1, info.nparams do
    local name = debug.getlocal(f, i)
    if name ~= "self" then list[#list + 1] = {name = name, unknown = true} end
  end
  if info.isvararg then list[#list + 1] = {name = "..."} end
  return list
end

local function is_optional_type(kind) return kind:sub(-1) == "?" or kind:find("|nil", 1, true) ~= nil end

local function by_name(params)
  local map = {}
  for _, param in ipairs(params) do map[param.name] = param end
  return map
end

-- Do these names stand among those?
local function stand_among(params, others)
  local known = by_name(others)
  for _, param in ipairs(params) do
    if not known[param.name] then return false end
  end
  return true
end

local SELF <const> = {input = true, x = true, self = true, tensor = true}

--- The parameters of a function: named by its signature, by Lua or by its docstring, described by its docstring.
---@param doc table
---@param spec string?
---@param in_lua table[]?
---@param is_method? boolean of Tensor, written as a function: the first one is the tensor
---@return table[]
function parameters.of(doc, spec, in_lua, is_method)
  local described = by_name(doc.params)
  local read = spec and parameters.read(spec) or {}
  local list
  if spec and (#doc.params == 0 or next(described) and stand_among({doc.params[#doc.params]}, read)) then
    list = read
    for i = #doc.params, 1, -1 do  -- what the function takes before those that its signature reads
      if not stand_among({doc.params[i]}, list) then table.insert(list, 1, {name = doc.params[i].name}) end
    end
  elseif #doc.params > 0 and not (in_lua and stand_among(doc.params, in_lua)) then
    list = {}
    for i, param in ipairs(doc.params) do list[i] = {name = param.name} end
  else
    list = in_lua or {}
  end
  if is_method and list[1] and SELF[list[1].name] then table.remove(list, 1) end
  for _, param in ipairs(list) do
    local from = described[param.name]
    if from then
      param.unknown = nil
      param.type, param.text = from.type, from.text
      param.default = param.default or from.default
      param.optional = param.optional or from.optional or is_optional_type(from.type)
    end
  end
  return list
end

return parameters
