-- state.logs: an ordered table of values by name whose entries may be lazy.
--
-- A lazy entry is a function that is called at the first read, so that a device scalar is fetched only when a
-- callback looks. `pairs(logs)` goes in insertion order and gives numbers.
local numbers = require "train.numbers"

local logs = {}

local STORE <const> = {}  -- the key of the private part, out of reach of string keys
local meta = {__name = "logs"}

-- NaN without a sign: that of 0 / 0 is printed as "-nan" on x86.
local NAN <const> = (string.unpack("<d", "\0\0\0\0\0\0\xf8\x7f"))

-- What a reader sees: a one-element tensor is read here, once.
local function plain(value, key)
  if value ~= value then return NAN end
  if type(value) ~= "userdata" then return value end
  local ok, number = pcall(value.item, value)
  if ok then return number ~= number and NAN or number end
  local vm = require "native.vm"
  return vm.raise("usage", ("the log '%s' must be one number, got %s"):format(key, vm.describe(value)))
end

local function read(store, key)
  local value = store.values[key]
  if value == nil then
    local lazy = store.lazy[key]
    if not lazy then return nil end
    value = plain(lazy(), key)
    store.values[key] = value
  elseif type(value) == "userdata" then
    value = plain(value, key)
    store.values[key] = value
  end
  return value
end

local function remember(store, key)
  if not store.known[key] then
    store.known[key] = true
    store.order[#store.order + 1] = key
  end
end

function meta.__index(self, key) return read(rawget(self, STORE), key) end

function meta.__newindex(self, key, value)
  local store = rawget(self, STORE)
  store.lazy[key] = nil
  if value ~= value then value = NAN end
  store.values[key] = value
  if value ~= nil then remember(store, key) end
end

function meta.__pairs(self)
  local store, i = rawget(self, STORE), 0
  return function()
    while true do
      i = i + 1
      local key = store.order[i]
      if key == nil then return nil end
      local value = read(store, key)
      if value ~= nil then return key, value end
    end
  end
end

function meta.__tostring(self)
  local words = {}
  for key, value in pairs(self) do
    words[#words + 1] = type(value) == "number" and key .. "=" .. numbers.short(value) or key .. "=" .. tostring(value)
  end
  return table.concat(words, " ")
end

---A new, empty logs table.
---@return table
function logs.new()
  return setmetatable({[STORE] = {values = {}, lazy = {}, known = {}, order = {}}}, meta)
end

---A new logs table with these entries, of an ordered table.
---@param values table
---@return table
function logs.of(values)
  local made = logs.new()
  for _, key in ipairs(require("host.ordered").keys(values)) do made[key] = values[key] end
  return made
end

---Makes `key` an entry that `f()` computes at the first read after each `logs.stale`.
function logs.set_lazy(self, key, f)
  local store = rawget(self, STORE)
  store.lazy[key] = f
  store.values[key] = nil
  remember(store, key)
end

---Marks what was read of `key` as old: the next read computes it again.
function logs.stale(self, key)
  local store = self[STORE]
  if store.lazy[key] then store.values[key] = nil end
end

---Reads every entry now, so that the accumulators behind them may be reset.
function logs.freeze(self)
  local store = rawget(self, STORE)
  for _, key in ipairs(store.order) do read(store, key) end
  store.lazy = {}
end

---Is it one? A loop by hand may put a plain table there.
---@return boolean
function logs.is(value) return getmetatable(value) == meta end

local function shallow(t)
  local copy = {}
  for key, value in next, t do copy[key] = value end
  return copy
end

---Keeps the entries of now without reading them.
---@return fun() restore puts them back
function logs.keep(self)
  local store = rawget(self, STORE)
  local values, lazy, known, order = shallow(store.values), shallow(store.lazy), shallow(store.known), shallow(store.order)
  return function() store.values, store.lazy, store.known, store.order = values, lazy, known, order end
end

---The names that have a value, in order.
---@return string[]
function logs.names(self)
  local store, names = rawget(self, STORE), {}
  for _, key in ipairs(store.order) do
    if store.values[key] ~= nil or store.lazy[key] then names[#names + 1] = key end
  end
  return names
end

---The names of now: in order, sorted for a script's own table.
---@param self table
---@return string[]
function logs.keys(self)
  if getmetatable(self) == meta then return logs.names(self) end
  return require("host.ordered").keys(self)
end

---A plain table with the values of now.
---@return table<string, number>
function logs.copy(self)
  local copy = {}
  for key, value in pairs(self) do copy[key] = value end
  return copy
end

return logs
