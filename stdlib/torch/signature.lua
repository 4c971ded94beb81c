-- Python's calls in Lua: positional arguments, keywords in a last table, defaults.
local keywords = require "host.keywords"
local vm = require "native.vm"

-- "in_features, out_features, bias=true, betas={0.9, 0.999}" -> names, defaults by position, which are required.
local function read(spec)
  local names, defaults, required, positions = {}, {}, {}, {}
  local at = 1
  while at <= #spec do
    local name, next_at = spec:match("^%s*([%a_][%w_]*)%s*()", at)
    local i = #names + 1
    names[i], positions[name], at = name, i, next_at
    if spec:sub(at, at) == "=" then
      local text = spec:match("^=%s*(%b{})", at) or spec:match("^=%s*([^,]+)", at)
      defaults[i] = load("return " .. text, "=default", "t", {})()
      at = spec:find(text, at, true) + #text
    else
      required[i] = true
    end
    at = spec:match("^%s*,?()", at)
  end
  return names, defaults, required, positions
end

--- Makes the parser of a function's arguments.
---@param function_name string as the user writes it: "nn.Linear"
---@param spec string its parameters, with defaults in Lua
---@return fun(...): ... the arguments in the order of `spec`, defaults filled in; nil is None and takes no default
return function(function_name, spec)
  local names, defaults, required, positions = read(spec)
  local count = #names

  local function fail(message, hint) vm.raise("usage", function_name .. ": " .. message, hint) end

  local function unknown(name)
    local near = type(name) == "string" and vm.nearest(name, names, 1)[1]
    fail(("unknown keyword %s, expected one of %s"):format(vm.describe(name), table.concat(names, ", ")),
      near and ("did you mean '%s'?"):format(near) or nil)
  end

  return function(...)
    local given = select("#", ...)
    local named
    if given > 0 then
      local last = select(given, ...)
      if keywords.is(last) then named, given = last, given - 1 end
    end
    if given > count then
      fail(("takes at most %d arguments (%s), got %d"):format(count, table.concat(names, ", "), given))
    end
    local values = {...}
    for i = given + 1, count do values[i] = defaults[i] end
    if named then
      for name in pairs(named) do
        local i = positions[name]
        if not i then unknown(name) end
        if i <= given then fail(("argument '%s' is given by position and by name"):format(name)) end
      end
      for i = given + 1, count do
        local value = named[names[i]]
        if value ~= nil then values[i] = value end
      end
    end
    for i in pairs(required) do
      if values[i] == nil then fail(("argument '%s' is missing, expected %s"):format(names[i], spec)) end
    end
    return table.unpack(values, 1, count)
  end
end
