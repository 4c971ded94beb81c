-- Python's calls in Lua: positional arguments, keywords in a last table, defaults.
local keywords = require "host.keywords"
local none = require("native.tensor").None
local ordered = require "host.ordered"
local vm = require "native.vm"

-- "in_features, out_features, bias=true, *, betas={0.9, 0.999}" -> names, defaults by position, positions by name, how
-- many are required (those stand first), and how many may be given by position: those before `*`.
local function read(spec)
  local names, defaults, positions, required, most = {}, {}, {}, 0, nil
  local at = 1
  while at <= #spec do
    local star = spec:match("^%s*%*%s*,%s*()", at)
    if star then at, most = star, #names end
    local name, next_at = spec:match("^%s*([%a_][%w_]*)%s*()", at)
    local i = #names + 1
    names[i], positions[name], at = name, i, next_at
    if spec:sub(at, at) == "=" then
      local text = spec:match("^=%s*(%b{})", at) or spec:match("^=%s*([^,]+)", at)
      defaults[i] = load("return " .. text, "=default", "t", {})()
      at = spec:find(text, at, true) + #text
    else
      assert(required == i - 1, spec)
      required = i
    end
    at = spec:match("^%s*,?()", at)
  end
  return names, defaults, positions, required, most or #names
end

-- Keywords that are all nil: f(x, {dim = dim}). Where a list is due, {} is one.
local function is_empty(value) return type(value) == "table" and next(value) == nil and getmetatable(value) == nil end

-- Note [Positional calls]
-- Most calls are positional without lists, and they are what layers do at every step: for those a function of exactly
-- these parameters is made, without a table (60 ns in place of 290-410). Anything else goes to `parse`.
local function positional(count, required, defaults, most, parse)
  if count == 0 then return parse end
  local arguments, fill = {}, {}
  local checks = {"given > " .. most, 'given > 0 and type((select(given, ...))) == "table"'}
  for i = 1, count do arguments[i] = "a" .. i end
  for i = 1, required do checks[#checks + 1] = ("a%d == nil"):format(i) end
  for i = required + 1, count do
    if defaults[i] ~= nil then fill[#fill + 1] = ("if given < %d then a%d = defaults[%d] end"):format(i, i, i) end
  end
  local list = table.concat(arguments, ", ")
  local text = ([[
    local defaults, parse, select, type = ...
    return function(...)
      local given = select("#", ...)
      local %s = ...
      if %s then return parse(...) end
      if given < %d then %s end
      return %s
    end]]):format(list, table.concat(checks, " or "), count, table.concat(fill, " "), list)
  return load(text, "=stdlib/torch/signature.lua", "t", {})(defaults, parse, select, type)
end

--- Makes the parser of a function's arguments.
---@param function_name string as the user writes it: "nn.Linear"
---@param spec string its parameters, with defaults in Lua; those after `*` are given by name alone
---@return fun(...): ... the arguments in the order of `spec`, defaults filled in; nil, or torch.None by name,
--- is None and takes no default
---@return integer required how many must be given
---@return integer most how many may be given by position
---@return string[] names of the parameters
return function(function_name, spec)
  local names, defaults, positions, required, most = read(spec)
  local count = #names

  local function fail(message, hint) vm.raise("usage", function_name .. ": " .. message, hint) end

  -- The first wrong keyword in sorted order.
  local function refuse(named, given)
    for _, name in ipairs(ordered.keys(named)) do
      local i = positions[name]
      if not i then
        fail(("unknown keyword %s, expected one of %s"):format(vm.describe(name), table.concat(names, ", ")),
          keywords.did_you_mean(name, names))
      end
      if i <= given then fail(("argument '%s' is given by position and by name"):format(name)) end
    end
  end

  local function parse(...)
    local given = select("#", ...)
    local named
    if given > 0 then
      local last = select(given, ...)
      if keywords.is(last) then named, given = last, given - 1
      elseif given > required and is_empty(last) then given = given - 1 end
    end
    while given > most and select(given, ...) == nil do given = given - 1 end  -- f(x, options) without options
    if given > most then
      fail(("takes at most %d arguments (%s), got %d"):format(most, table.concat(names, ", ", 1, most), given))
    end
    local values = {...}
    for i = given + 1, count do values[i] = defaults[i] end
    if named then
      for name, value in pairs(named) do
        local i = positions[name]
        if not i or i <= given then refuse(named, given) end
        if rawequal(value, none) then value = nil end
        values[i] = value
      end
    end
    for i = 1, required do
      if values[i] == nil then fail(("argument '%s' is missing, expected %s"):format(names[i], spec)) end
    end
    return table.unpack(values, 1, count)
  end

  return positional(count, required, defaults, most, parse), required, most, names
end
