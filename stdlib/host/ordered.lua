-- Tables that `pairs` walks in the order in which their keys came: state dicts, groups of named things.
--
-- Reads and overwrites are those of a plain table; only a new key costs a call.
local ordered = {}

-- What Python has as an attribute of the dict, not as a key.
local function get_attribute(self, key)
  local attributes = getmetatable(self).attributes
  return attributes and attributes[key]
end

local function add(self, key, value)
  local meta = getmetatable(self)
  if key == "_metadata" and meta.attributes and type(value) ~= "userdata" then  -- of a state dict
    meta.attributes._metadata = value
    return
  end
  if value == nil then return end
  if meta.none and meta.none[key] then  -- it has its place
    meta.none[key] = nil
    rawset(self, key, value)
    return
  end
  local order, known = meta.order, meta.known
  if known[key] then  -- removed before: it goes to the end
    for i = #order, 1, -1 do
      if order[i] == key then table.remove(order, i) break end
    end
  end
  known[key] = true
  order[#order + 1] = key
  rawset(self, key, value)
end

local function each(self)
  local order, i = getmetatable(self).order, 0
  return function()
    while true do
      i = i + 1
      local key = order[i]
      if key == nil then return nil end
      local value = rawget(self, key)
      if value ~= nil then return key, value end
    end
  end, self, nil
end

local function new_meta(kind)
  return {__name = "ordered", order = {}, known = {}, kind = kind, __index = get_attribute, __newindex = add,
    __pairs = each}
end

--- An ordered table, filled from a list of keys and a list of values.
---@param keys? any[]
---@param values? any[]
---@param kind? string what it is in Python: "dict", "OrderedDict", "Counter", "set"; torch.save writes it as that
---@return table
function ordered.new(keys, values, kind)
  local self, meta = {}, new_meta(kind)
  local order, known = meta.order, meta.known
  for i = 1, keys and #keys or 0 do
    local key, value = keys[i], values[i]
    if value ~= nil and not known[key] then
      known[key] = true
      order[#order + 1] = key
    end
    self[key] = value
  end
  return setmetatable(self, meta)
end

--- An ordered table with attributes: what a state dict says of its modules is in `_metadata`, which is no key of it.
---@param keys? any[]
---@param values? any[]
---@param metadata? table
---@return table
function ordered.state_dict(keys, values, metadata)
  local self = ordered.new(keys, values)
  getmetatable(self).attributes = {_metadata = metadata}
  return self
end

--- A copy with an order of its own.
---@param t table an ordered one
---@param map fun(value: any): any what is put for a key, a value or the attributes
---@param made? fun(copy: table) gets the copy while it is empty: a value may lead back to it
---@return table
function ordered.copy(t, map, made)
  local meta = getmetatable(t)
  local copy = ordered.new(nil, nil, meta.kind)
  if made then made(copy) end
  for _, key in ipairs(meta.order) do
    local value = rawget(t, key)
    if value ~= nil then copy[map(key)] = map(value)
    elseif meta.none and meta.none[key] then ordered.set_none(copy, map(key)) end
  end
  getmetatable(copy).attributes = meta.attributes and map(meta.attributes)
  return copy
end

--- Keeps a place for a key whose value is nil: None in a dict of Python. torch.save writes it.
---@param t table an ordered one
---@param key any
function ordered.set_none(t, key)
  local meta = getmetatable(t)
  if not meta.known[key] then
    meta.known[key] = true
    table.insert(meta.order, key)
  end
  meta.none = meta.none or {}
  meta.none[key] = true
  rawset(t, key, nil)
end

--- Is it one?
---@param value any
---@return boolean
function ordered.is(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(meta) == "table" and meta.__name == "ordered"
end

-- Numbers before strings; what has no order of its own by its text.
local function before(a, b)
  local kind = type(a)
  if kind ~= type(b) then return kind < type(b) end
  if kind == "number" or kind == "string" then return a < b end
  return tostring(a) < tostring(b)
end

--- The keys of any table in a fixed order: insertion order if it is ordered, else sorted.
---@param t table
---@return any[]
function ordered.keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  if not ordered.is(t) then table.sort(keys, before) end
  return keys
end

return ordered
