-- Nested tables as JSON beside named tensors: what host.checkpoint and torch.save keep in safetensors files.
--
-- Plain values are themselves, and in tables with one key that begins with "$": {"$tensor": name}, {"$number": "nan"},
-- {"$complex": [re, im]}, {"$pairs": [[key, value]]} for keys that are no names, {"$ordered": [[key, value]],
-- "$kind": kind} for ordered tables, {"$bytes": hex} for a string that is not UTF-8.
local json = require "native.json"
local ordered = require "host.ordered"
local torch = require "torch"
local vm = require "native.vm"

local structure = {}

local function hex(bytes) return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)) end

local function join(place, key)
  key = tostring(key)
  if not utf8.len(key) then key = hex(key) end
  return place == "" and key or place .. "." .. key
end

-- JSON holds text alone.
local function take_text(text) return utf8.len(text) and text or {["$bytes"] = hex(text)} end

local function bytes_of(digits)
  if type(digits) ~= "string" or #digits % 2 ~= 0 or digits:find("%X") then error("it has unknown bytes", 0) end
  return (digits:gsub("..", function(two) return string.char(tonumber(two, 16)) end))
end

-- What marks a table as a list, be it empty.
structure.list = getmetatable(json.array {})

-- A list of 1 ... n, names only, or neither.
local function shape_of(value)
  local count, names = 0, true
  for key in next, value do
    count = count + 1
    if type(key) ~= "string" or key:sub(1, 1) == "$" or not utf8.len(key) then names = false end
  end
  if getmetatable(value) == structure.list or count > 0 and #value == count then return "list" end
  return names and "names" or "pairs"
end

--- What JSON can hold of a value. Tensors leave their name behind; one that is met again keeps its name.
---@param name string of the function, for errors
---@param value any
---@param where string its place, which begins the names of tensors, "" for none
---@param tensors? table gets {name, tensor} for each; nil: none are allowed
---@return any
function structure.take_apart(name, value, where, tensors)
  local open, known, taken = {}, {}, {}

  local function bad(place, what, expected)
    vm.raise("usage", ("%s: %s is %s, expected %s"):format(name, place, vm.describe(what), expected
      or tensors and "nil, boolean, number, string, Tensor or a table of them"
      or "nil, boolean, number, string or a table of them"))
  end

  local take

  local function take_pairs(from, place)
    local list = json.array {}
    local keys = ordered.is(from) and getmetatable(from).order or ordered.keys(from)
    local none = ordered.is(from) and getmetatable(from).none
    for _, key in ipairs(keys) do
      local item = rawget(from, key)
      if item ~= nil or none and none[key] then
        local kind = type(key)
        if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then bad("a key of " .. place, key) end
        list[#list + 1] = {kind == "string" and take_text(key) or key, item == nil and json.null or take(item, join(place, key))}
      end
    end
    return list
  end

  local depth = 0

  function take(from, place)
    local kind = type(from)
    if from == torch.None or from == json.null then return json.null end
    if kind == "number" and from - from ~= 0 then
      return {["$number"] = from ~= from and "nan" or from > 0 and "inf" or "-inf"}
    end
    if kind == "userdata" and vm.describe(from) == "complex" then
      return {["$complex"] = json.array {take(from.real, place), take(from.imag, place)}}
    end
    if tensors and torch.is_tensor(from) then
      local called = known[from]
      if not called then
        called = place
        while taken[called] do called = called .. "_" end  -- {["a.b"] = x, a = {b = y}}
        known[from], taken[called] = called, true
        tensors[#tensors + 1] = {called, from}
      end
      return {["$tensor"] = called}
    end
    if kind == "nil" or kind == "boolean" or kind == "number" then return from end
    if kind == "string" then return take_text(from) end
    if kind ~= "table" then bad(place, from) end
    local meta = getmetatable(from)
    if type(meta) == "table" and meta.__name == "torch.Size" then from = table.move(from, 1, #from, 1, {}) end
    if open[from] then vm.raise("usage", ("%s: %s holds itself"):format(name, place)) end
    if depth == 500 then vm.raise("usage", name .. ": a table nested more than 500 deep") end
    open[from], depth = true, depth + 1
    local result
    if ordered.is(from) then
      result = {["$ordered"] = take_pairs(from, place), ["$kind"] = getmetatable(from).kind}
    else
      local shape = shape_of(from)
      if shape == "list" then
        result = json.array {}
        for i = 1, #from do result[i] = take(from[i], join(place, i - 1)) end
      elseif shape == "names" then
        result = {}
        for _, key in ipairs(ordered.keys(from)) do result[key] = take(from[key], join(place, key)) end
      else
        result = {["$pairs"] = take_pairs(from, place)}
      end
    end
    open[from], depth = nil, depth - 1
    return result
  end

  return take(value, where)
end

local specials = {nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge}

--- The value that `take_apart` took apart, of decoded JSON. Raises a string for what it did not make.
---@param value any
---@param tensors table name -> Tensor
---@return any
function structure.put_together(value, tensors)
  if value == json.null then return torch.None end
  if type(value) ~= "table" then return value end
  if value["$number"] then return specials[value["$number"]] or error("it has an unknown number", 0) end
  if value["$tensor"] then
    return tensors[value["$tensor"]] or error(("it lacks the tensor %q"):format(tostring(value["$tensor"])), 0)
  end
  if value["$bytes"] then return bytes_of(value["$bytes"]) end
  local parts = value["$complex"]
  if parts then
    if type(parts) ~= "table" or #parts ~= 2 then error("it has an unknown complex number", 0) end
    local re, im = structure.put_together(parts[1], tensors), structure.put_together(parts[2], tensors)
    if type(re) ~= "number" or type(im) ~= "number" then error("it has an unknown complex number", 0) end
    return torch.complex(re, im)
  end
  local list = value["$pairs"] or value["$ordered"]
  if list then
    local result = value["$pairs"] and {} or ordered.new(nil, nil, value["$kind"])
    if type(list) ~= "table" then error("it has pairs that are no list", 0) end
    for _, pair in ipairs(list) do
      local key = type(pair) == "table" and pair[1]
      if type(key) == "table" and key["$bytes"] then key = bytes_of(key["$bytes"]) end
      if key == nil or key == json.null or key ~= key or type(key) == "table" then error("it has a pair without a key", 0) end
      if pair[2] == json.null and ordered.is(result) then ordered.set_none(result, key)
      else result[key] = structure.put_together(pair[2], tensors) end
    end
    return result
  end
  local result = {}
  if getmetatable(value) == structure.list then
    if #value == 0 then setmetatable(result, structure.list) end
    for i, item in ipairs(value) do result[i] = structure.put_together(item, tensors) end
    return result
  end
  for key, item in pairs(value) do
    if item ~= json.null then result[key] = structure.put_together(item, tensors) end
  end
  return result
end

--- A table name -> Tensor as a list of {name, tensor}: in its own order if it has one, else sorted.
---@param tensors table
---@return table
function structure.pairs_of(name, tensors)
  if type(tensors) ~= "table" then
    vm.raise("usage", ("%s: expected a table of named tensors, got %s"):format(name, vm.describe(tensors)),
      type(tensors) == "userdata" and "for a module give its state_dict()" or nil)
  end
  local list = {}
  for i, key in ipairs(ordered.keys(tensors)) do
    local tensor = tensors[key]
    if type(key) ~= "string" or not torch.is_tensor(tensor) then
      vm.raise("usage", ("%s: expected a flat table of named tensors, got %s = %s"):format(name, vm.describe(key),
        vm.describe(tensor)))
    end
    list[i] = {key, tensor}
  end
  return list
end

--- An ordered table name -> Tensor of a list of {name, tensor}.
---@return table
function structure.table_of(list)
  local tensors = ordered.new()
  for _, pair in ipairs(list) do tensors[pair[1]] = pair[2] end
  return tensors
end

return structure
