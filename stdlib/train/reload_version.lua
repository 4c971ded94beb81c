-- One version of the callbacks of a file, for train.reload: what it holds, what it takes over, and what happens when a
-- hook of an edited version fails.
local callback_list = require "train.callback_list"
local callback_state = require "train.callback_state"
local generators = require "host.generators"
local hooks = require "train.hooks"
local logs = require "train.logs"
local ordered = require "host.ordered"

local Version = {}
Version.__index = Version

-- Hooks that may be called a thousand times a second: what an edited one changes is kept safe for so many calls, and then
-- as long as that takes no more than a small part of the time.
local OFTEN <const> = {}
for _, event in ipairs(hooks.events) do
  OFTEN[event] = event:find("batch") ~= nil or event:find("backward") ~= nil or event:find("_step") ~= nil
end
local CALLS <const>, SHARE <const> = 2000, 0.01
local clock <const> = require("host").clock

local function is_tensor(value)
  local torch = package.loaded.torch
  return torch and torch.is_tensor(value)
end

-- Values without what a checkpoint does not hold; tensors are shared, or copied with `clone`.
local function copy(value, clone, seen)
  if clone and is_tensor(value) then return value:clone() end
  if type(value) ~= "table" or getmetatable(value) then return value end
  if seen[value] then return seen[value] end
  local result = {}
  seen[value] = result
  for key, item in pairs(value) do result[key] = copy(item, clone, seen) end
  return result
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return type(a) ~= "userdata" and (a == b or (a ~= a and b ~= b)) end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local function usage(message) require("native.vm").raise("usage", message) end

---Runs the text of a unit's source. nil and the error if it is no list of callbacks.
---@param unit table
---@return table? version
---@return any err
function Version.new(unit)
  local ok, value = unit.source:run()
  if not ok then return nil, value end
  local self = setmetatable({text = unit.source.text, key = unit.source.key, modules = unit.source:modules(), entries = {},
    by_name = {}, spent = 0, since = clock()}, Version)
  local made, err = pcall(function()
    if type(value) ~= "table" then
      usage(("train.reload: %s must return a callback or a list of callbacks, got %s"):format(unit.source.name,
        require("native.vm").describe(value)))
    end
    local is_list = getmetatable(value) == nil and (value[1] ~= nil or next(value) == nil)
    self.list = callback_list(is_list and value or {value})
    for i, entry in ipairs(self.list.entries) do
      entry.proven, entry.initial = {}, copy(callback_state.get(entry.callback), false, {})
      self.entries[i], self.by_name[entry.name] = entry, entry
    end
  end)
  if not made then return nil, err end
  return self
end

---The log names that its callbacks write.
---@return string[]
function Version:writes() return self.list:written_names() end

---What of it the list of callbacks depends on, as a text.
---@return string
function Version:shape()
  local parts = {}
  for _, entry in ipairs(self.entries) do
    local errors, budget = entry.errors, entry.budget
    parts[#parts + 1] = ("%s|%d|%s|%d|%s|%s"):format(entry.name, entry.rank, errors.verdict, errors.times,
      budget and budget.text or "", table.concat(ordered.keys(entry.hooks), " "))
  end
  return table.concat(parts, "\n")
end

-- Without a state_dict or state_fields of its own every field is state: of those, the ones that are as they were
-- loaded belong to the text and not to the training.
local function state_to_give(old, new)
  local state = callback_state.get(old.callback)
  if old.callback.state_dict or old.callback.state_fields or new.callback.load_state_dict then return state end
  local given = {}
  for key, value in pairs(state) do
    if not same(value, old.initial[key]) then given[key] = value end
  end
  return given
end

-- Hands the state over, and what the old callback has made for itself alone, such as an open file.
local function hand_over(from, to)
  for _, entry in ipairs(to.entries) do
    local old = from.by_name[entry.name]
    if old then
      callback_state.set(entry.callback, state_to_give(old, entry))
      for key, value in next, old.callback do
        local private = type(key) == "string" and key:sub(1, 1) == "_" and type(value) ~= "function"
        if private and rawget(entry.callback, key) == nil then rawset(entry.callback, key, value) end
      end
    end
  end
end

---Takes the place of another version: checks its callbacks, takes over their states, tells new ones that the training
---has begun.
---@param before table
---@param state table
---@param begun boolean
function Version:follow(before, state, begun)
  for _, entry in ipairs(self.entries) do
    if entry.callback.check then entry.callback:check(state) end
  end
  hand_over(before, self)
  for _, entry in ipairs(self.entries) do
    local hook = entry.hooks.train_begin
    if begun and hook and not before.by_name[entry.name] then hook(entry.callback, state) end
  end
end

-- What a hook may change before it fails, to be put back; the values of tensors with `clone`.
local function remember(version, state, clone)
  local random = generators.take()
  local callbacks, groups, fields = {}, {}, {}
  for i, entry in ipairs(version.entries) do callbacks[i] = copy(callback_state.get(entry.callback), clone, {}) end
  for i, group in ipairs(state.optimizer and state.optimizer.param_groups or {}) do
    groups[i] = {}
    for key, value in pairs(group) do
      if type(value) == "number" or type(value) == "boolean" then groups[i][key] = value end
    end
  end
  local names <const> = {"stopping", "stop_reason", "skip_step", "loss", "epochs", "max_steps", "max_time"}
  for _, name in ipairs(names) do fields[name] = state[name] end
  local user, restore_logs = copy(state.user, clone, {}), logs.is(state.logs) and logs.keep(state.logs)
  return function()
    generators.restore(random)
    if restore_logs then restore_logs() end
    for i, entry in ipairs(version.entries) do callback_state.set(entry.callback, callbacks[i]) end
    for i, group in ipairs(groups) do
      for key, value in pairs(group) do state.optimizer.param_groups[i][key] = value end
    end
    for _, name in ipairs(names) do state[name] = fields[name] end
    for key in pairs(state.user or {}) do state.user[key] = nil end
    for key, value in pairs(user or {}) do state.user[key] = value end
  end
end

---Calls the hook of the callback of that name in the version that is in force.
---@param unit table
---@param name string
---@param event string
---@param state table
function Version.dispatch(unit, name, event, state)
  local version = unit.current
  local entry = version.by_name[name]
  local hook = entry and entry.hooks[event]
  if not hook then return end
  local before = version.before
  if not before then return hook(entry.callback, state) end
  local restore
  local calls, began = entry.proven[event] or 0, clock()
  if not OFTEN[event] or calls < CALLS or version.spent < SHARE * (began - version.since) then
    restore = remember(version, state, calls == 0 or not OFTEN[event])
    version.spent = version.spent + clock() - began
  end
  local ok, err = pcall(hook, entry.callback, state)
  if ok then
    entry.proven[event] = calls + 1
    return
  end
  if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
  if restore then restore() end
  unit.source:refuse(err)
  hand_over(version, before)
  unit.current = before
  unit.back(before)
  Version.dispatch(unit, name, event, state)
  for _, old in ipairs(before.entries) do  -- those that the edit had taken out have missed this event
    if not version.by_name[old.name] then Version.dispatch(unit, old.name, event, state) end
  end
end

---What is in the list of callbacks for one callback of a file.
---@param unit table
---@param entry table of a version
---@return table
function Version.stand_in(unit, entry)
  local name = entry.name
  local function current() return (unit.current.by_name[name] or entry).callback end
  local first = entry.callback
  local slot = {name = entry.base_name, group = first.group, errors = first.errors, budget = first.budget,
    writes = first.writes}
  function slot.state_dict() return callback_state.get(current()) end
  function slot.load_state_dict(_, state) callback_state.set(current(), state) end
  if entry.callback.check then
    function slot.check(_, state)
      local callback = current()
      if callback.check then callback:check(state) end
    end
  end
  for event in pairs(entry.hooks) do
    slot["on_" .. event] = function(_, state) return Version.dispatch(unit, name, event, state) end
  end
  return setmetatable(slot, {__index = function(_, key)
    if type(key) == "string" and hooks.of_name[key] or key == "check" then return nil end
    local callback = current()
    local value = callback[key]
    if type(value) ~= "function" then return value end
    return function(_, ...) return value(callback, ...) end
  end})
end

return Version
