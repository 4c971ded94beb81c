-- What the arguments of layers must be: checked when a layer is made, not where the first batch meets it.
local native = require "native.tensor"
local none <const> = native.None
local vm = require "native.vm"

local function integer(value, least)
  local n = math.type(value) and math.tointeger(value)
  return n and (not least or n >= least) and n or nil
end

-- A number, or a list of them; `item` gives the value to keep or nil.
local function one_or_list(value, item)
  if type(value) ~= "table" then return item(value) end
  local list = {}
  for i = 1, #value do
    list[i] = item(value[i])
    if list[i] == nil then return nil end
  end
  return #list > 0 and list or nil
end

local function size(value) return integer(value, 0) end

local REDUCTIONS <const> = {none = true, mean = true, sum = true, elementwise_mean = true}

-- kind -> {what it must be, function(value) that returns the value to keep, nil if it is none}
local KINDS <const> = {
  size = {"an integer of 0 or more", size},
  integer = {"an integer", integer},
  number = {"a number", function(v) return type(v) == "number" and v or nil end},
  flag = {"true or false", function(v)
    if type(v) == "boolean" then return v end
    return nil
  end},
  text = {"a string", function(v) return type(v) == "string" and v or nil end},
  sizes = {"an integer of 0 or more or a list of them", function(v) return one_or_list(v, size) end},
  padding = {"an integer of 0 or more, a list of them, 'same' or 'valid'", function(v)
    if type(v) == "string" then return v end
    return one_or_list(v, size)
  end},
  output_size = {"an integer of 0 or more, or a list of them and torch.None", function(v)
    if type(v) ~= "table" then return size(v) end
    local list, last = {}, 0
    for i in pairs(v) do last = math.max(last, integer(i) or 0) end
    for i = 1, last do
      local item = v[i]
      list[i] = (item == nil or item == none) and none or size(item)  -- {nil, 7} is {torch.None, 7}
      if list[i] == nil then return nil end
    end
    return list
  end},
  integers = {"an integer or a list of them", function(v) return one_or_list(v, integer) end},
  numbers = {"a number or a list of them", function(v)
    return one_or_list(v, function(item) return type(item) == "number" and item or nil end)
  end},
  list = {"a list of integers of 0 or more", function(v)
    return type(v) == "table" and (#v == 0 and v or one_or_list(v, size)) or nil
  end},
  any = {"a value", function(v) return v end},
  reduction = {"'none', 'mean' or 'sum'", function(v) return REDUCTIONS[v] and v or nil end},
  reduction_or_batchmean = {"'none', 'mean', 'sum' or 'batchmean'", function(v)
    return (REDUCTIONS[v] or v == "batchmean") and v or nil
  end},
  tensor = {"a Tensor", function(v) return native.is_tensor(v) and v or nil end},
}

-- "in_features: size, bias: flag?" -> names, kinds, and which may be nil, by position: that of the parameter, or in order.
local function read(spec, parameters)
  local positions = {}
  for i, name in ipairs(parameters or {}) do positions[name] = i end
  local names, kinds, optional = {}, {}, {}
  for name, kind, mark in spec:gmatch("([%w_]+): ([%w_]+)(%??)") do
    local i = parameters and assert(positions[name], name) or #names + 1
    assert(KINDS[kind], kind)
    names[i], kinds[i], optional[i] = name, kind, mark == "?"
  end
  return names, kinds, optional
end

--- A parser whose arguments are checked too; torch.None is nil.
---@param parse fun(...): ... of torch.signature
---@param where string "nn.Linear"
---@param spec string arguments and what they are, with ? where nil is one too: "out_features: size, bias: flag?"
---@param parameters string[]? the names of all parameters; without it `spec` has the first ones
---@return fun(...): ...
return function(parse, where, spec, parameters)
  local names, kinds, optional = read(spec, parameters)
  return function(...)
    local values = table.pack(parse(...))
    for i = 1, values.n do
      local value = values[i]
      if value == none then
        value = nil
        values[i] = nil
      end
      if kinds[i] and not (value == nil and optional[i]) then
        local kind = KINDS[kinds[i]]
        values[i] = kind[2](value)
        if values[i] == nil then
          vm.raise("usage", ("%s: argument '%s' must be %s, got %s"):format(where, names[i], kind[1],
            vm.describe(value)))
        end
      end
    end
    return table.unpack(values, 1, values.n)
  end
end
