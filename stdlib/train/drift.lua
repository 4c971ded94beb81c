-- What data change that no checkpoint holds: variables around a function that makes batches, a generator of their own.
local batches = require "train.batches"
local data = require "train.data"
local generators = require "host.generators"
local torch = require "torch"

local drift = {}

local MOST <const> = 1000  -- values that are looked at

-- The values that `value` leads to, by path: those that change as it runs. `is_all`: numbers and texts too.
local function walk(value, path, found, is_all)
  if value == nil or found.count > MOST or found.seen[value] then return end
  found.count = found.count + 1
  local kind = type(value)
  if kind == "number" or kind == "string" or kind == "boolean" then
    if is_all then found.values[path] = value end
    return
  end
  found.seen[value] = true
  if kind == "userdata" then
    if generators.is_one(value) then
      if not found.saved[value] then found.values[path] = require("native.tensor").keep(value:get_state()) end
    elseif is_all and io.type(value) == "file" then
      found.values[path] = value:seek()
    end
  elseif kind == "function" then
    for i = 1, math.huge do
      local name, item = debug.getupvalue(value, i)
      if not name then break end
      if name ~= "_ENV" then walk(item, name, found, is_all) end
    end
  elseif kind == "table" then
    for key, item in next, value do
      if math.type(key) == "integer" or type(key) == "string" then walk(item, path .. "." .. key, found, is_all) end
    end
  end
end

local function look(given, name, found)
  given = data.inner(given)
  if type(given) == "function" then return walk(given, name, found, true) end
  if type(given) ~= "table" or not batches.has_position(given) then return end
  walk(rawget(given, "dataset"), name .. ".dataset", found, false)
  walk(rawget(given, "collate_fn"), name .. ".collate_fn", found, false)
end

local function take(state)
  local found = {values = {}, count = 0, seen = {}, saved = {}}
  for _, library in pairs(package.loaded) do found.seen[library] = true end
  for _, object in pairs(state.saved or {}) do found.saved[object] = true end
  look(state.train, "train", found)
  if not rawequal(state.valid, state.train) then look(state.valid, "valid", found) end
  return found.values
end

local function same(a, b)
  if torch.is_tensor(a) and torch.is_tensor(b) then return torch.equal(a, b) end
  return rawequal(a, b)
end

---Takes note of what there is before the first step.
---@param state table
function drift.begin(state) state._before = take(state) end

---The names of what has changed since.
---@param state table
---@return string[]? none where nothing has
function drift.names(state)
  if not state._before then return nil end
  local names, now = {}, take(state)
  for name, value in pairs(now) do
    if not same(value, state._before[name]) then names[#names + 1] = name end
  end
  if #names == 0 then return nil end
  table.sort(names)
  return names
end

return drift
