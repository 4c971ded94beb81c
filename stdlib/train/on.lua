-- train.on(event, filter, f): a callback from one function.
local hooks = require "train.hooks"
local interval = require "train.interval"
local nearest = require "train.nearest"
local ordered = require "host.ordered"
local options = require "train.options"

local On = {__name = "on"}
On.__index = On

local TIMES <const> = {"every", "once", "before", "after"}
local COMMON <const> = {"name", "errors", "budget", "group", "writes"}

-- Is any of several bounds on this side of the event?
local function any(list, judge, state, event)
  for _, spec in ipairs(list) do
    if judge(spec, state, event) then return true end
  end
  return false
end

local function not_reached(spec, state, event) return not interval.reached(spec, state, event) end

-- Does one filter let the event pass? every and once trigger, before and after bound them.
local function passes(filter, state, event, memory, index)
  if filter.before and not any(filter.before, not_reached, state, event) then return false end
  if filter.after and not any(filter.after, interval.over, state, event) then return false end
  if not filter.every and not filter.once then return true end
  local due = false
  if filter.every then due = interval.due(filter.every, state, event, memory, "every" .. index) end
  for i, spec in ipairs(filter.once or {}) do
    local key = "once" .. index .. "." .. i
    if not memory[key] and interval.reached(spec, state, event) then
      memory[key], due = true, true
    end
  end
  return due
end

-- Refuses what is neither a time nor, where they may stand, one of the options of any callback.
local function check_names(filter, valid)
  local names = {}
  for _, name in ipairs(valid) do names[name] = true end
  for _, key in ipairs(ordered.keys(filter)) do
    if not names[key] and not (math.type(key) and #filter > 0) then
      require("native.vm").raise("usage",
        ("train.on: unknown filter '%s'%s"):format(tostring(key), nearest.suggest(tostring(key), valid)))
    end
  end
end

local function read_filter(filter)
  local result = {}
  for _, key in ipairs(TIMES) do
    if filter[key] ~= nil then
      local spec = interval.parse(filter[key], "train.on: " .. key)
      result[key] = key == "every" and spec or interval.each(spec)
    end
  end
  return result
end

-- The filters of a table that is one, or a list of them.
local function read_filters(filter)
  local common = #filter > 0 and COMMON or table.move(COMMON, 1, #COMMON, #TIMES + 1, {table.unpack(TIMES)})
  check_names(filter, common)
  if #filter == 0 then return {read_filter(filter)} end
  local filters = {}
  for i, one in ipairs(filter) do
    if type(one) ~= "table" then
      require("native.vm").raise("usage", ("train.on: filter %d of the list must be a table, got %s"):format(i, type(one)))
    end
    check_names(one, TIMES)
    filters[i] = read_filter(one)
  end
  return filters
end

---A callback that calls `f(state)` at an event.
---
---Filters: `every = k` fires when (count + 1) % k == 0, `once = n` at the n-th time, `before = n` and `after = n`
---keep to the times before and after the n-th; each takes a number or a time as "5ep", "500ba", "30min", "0.5dur", or a
---list of them of which any counts: `every = {"1ep", "100ba"}`. `every` and `once` together fire when either does; a list
---of filters fires when any of them does. A new fit counts anew.
---@param event string "epoch_end", or a hook name "on_epoch_end"
---@param filter? table {every, once, before, after, name, errors, budget, group, writes}, or a list of tables with the
---first four
---@param f fun(state: table)
---@return table callback
---@overload fun(event: string, f: fun(state: table)): table
---@example local at = {}
--- local note = train.on("epoch_end", {every = {"3ep", "20ba"}, once = 1}, function(state) at[#at + 1] = state.epoch end)
--- local state = train.state{callbacks = {note}}
--- for _ = 1, 7 do state:emit("epoch_begin") state:emit("epoch_end") end
--- at  --> {0, 2, 5}
local function on(event, filter, f)
  local raise = require("native.vm").raise
  if f == nil and type(filter) == "function" then filter, f = {}, filter end
  if type(event) ~= "string" then
    raise("usage", "train.on: the event must be a string, got " .. require("native.vm").describe(event), 'train.on("epoch_end", f)')
  end
  if not (hooks.of_event[event] or hooks.of_name[event]) then
    raise("usage", ("train.on: unknown event '%s'%s"):format(event, nearest.suggest(event, hooks.events)))
  end
  if filter ~= nil and type(filter) ~= "table" then
    raise("usage", ("train.on: the filter must be a table, got %s"):format(type(filter)))
  end
  if type(f) ~= "function" then
    raise("usage", "train.on: the last argument must be a function, got " .. require("native.vm").describe(f))
  end
  filter = filter or {}
  options.check("train.on", filter, options.OF_ALL)
  local filters = read_filters(filter)

  local self = setmetatable({name = filter.name or ("on " .. event), group = filter.group, errors = filter.errors,
    budget = filter.budget, writes = filter.writes, memory = {}, state_fields = {"memory"}}, On)
  local events = hooks.of_event[event] and {event} or hooks.of_name[event]
  function self.on_train_begin(callback) callback.memory = {} end
  for _, one in ipairs(events) do
    self["on_" .. one] = function(callback, state)
      if one == "train_begin" then callback.memory = {} end
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
