-- train.on(event, filter, f): a callback from one function.
local hooks = require "train.hooks"
local interval = require "train.interval"
local nearest = require "train.nearest"
local ordered = require "host.ordered"
local options = require "train.options"

local On = {__name = "on"}
On.__index = On

local FILTER <const> = {"every", "once", "before", "after", "name", "errors", "group", "writes"}

-- Does one filter let the event pass? every and once trigger, before and after bound them.
local function passes(filter, state, event, memory, index)
  if filter.before and interval.reached(filter.before, state, event) then return false end
  if filter.after then
    local spec = filter.after
    local amount = interval.done(state, event, spec.unit)
    if amount <= spec.count then return false end
  end
  if not filter.every and not filter.once then return true end
  local due = false
  if filter.every then due = interval.due(filter.every, state, event, memory, "every" .. index) end
  if filter.once and not memory["once" .. index] and interval.reached(filter.once, state, event) then
    memory["once" .. index] = true
    due = true
  end
  return due
end

local function check_filter(filter)
  local names = {}
  for _, name in ipairs(FILTER) do names[name] = true end
  for _, key in ipairs(ordered.keys(filter)) do
    if not names[key] then
      require("native.vm").raise("usage",
        ("train.on: unknown filter '%s'%s"):format(tostring(key), nearest.suggest(tostring(key), FILTER)))
    end
  end
  local result = {}
  for _, key in ipairs {"every", "once", "before", "after"} do
    if filter[key] ~= nil then result[key] = interval.parse(filter[key], "train.on: " .. key) end
  end
  return result
end

---A callback that calls `f(state)` at an event.
---
---Filters: `every = k` fires when (count + 1) % k == 0, `once = n` at the n-th time, `before = n` and `after = n`
---keep to the times before and after the n-th; each takes a number or a time as "5ep", "500ba", "30min", "0.5dur".
---`every` and `once` together fire when either does; a list of filters fires when any of them does.
---@param event string "epoch_end", or a hook name "on_epoch_end"
---@param filter? table {every, once, before, after, name, errors, group, writes}, or a list of such
---@param f fun(state: table)
---@return table callback
---@overload fun(event: string, f: fun(state: table)): table
local function on(event, filter, f)
  local raise = require("native.vm").raise
  if f == nil and type(filter) == "function" then filter, f = {}, filter end
  if type(event) ~= "string" or not (hooks.of_event[event] or hooks.of_name[event]) then
    raise("usage", ("train.on: unknown event '%s'%s"):format(tostring(event),
      nearest.suggest(tostring(event), hooks.events)))
  end
  if filter ~= nil and type(filter) ~= "table" then
    raise("usage", ("train.on: the filter must be a table, got %s"):format(type(filter)))
  end
  if type(f) ~= "function" then
    raise("usage", ("train.on: the last argument must be a function, got %s"):format(type(f)))
  end
  filter = filter or {}
  options.check("train.on", filter, options.OF_ALL)
  local filters = {}
  for i, one in ipairs(#filter > 0 and filter or {filter}) do filters[i] = check_filter(one) end

  local self = setmetatable({name = filter.name or ("on " .. event), group = filter.group, errors = filter.errors,
    writes = filter.writes, memory = {}, state_fields = {"memory"}}, On)
  local events = hooks.of_event[event] and {event} or hooks.of_name[event]
  for _, one in ipairs(events) do
    self["on_" .. one] = function(callback, state)
      local fires = false
      for i, each in ipairs(filters) do
        if passes(each, state, one, callback.memory, i) then fires = true end
      end
      if fires then f(state) end
    end
  end
  return self
end

return on
