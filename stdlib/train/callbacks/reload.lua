-- train.reload: callbacks from Lua files that may be edited while the training runs.
--
-- The list of callbacks holds one stand-in for each callback of a file, at the place of train.reload in the list of its
-- group; a stand-in calls the callback of that name in the version that is in force.
local Source = require "host.source"
local Version = require "train.reload_version"
local active_run = require "train.active_run"
local generators = require "host.generators"
local keywords = require "host.keywords"
local options = require "train.options"
local ordered = require "host.ordered"

local Reload = {__name = "Reload", group = "checkpoint", writes_vary = true, state_fields = {}}
Reload.__index = Reload

local clock <const> = require("host").clock

-- What is in force from a step on, as an artifact of the active run, with the local modules in a folder beside it. A
-- second version in the same step does not take the place of the first.
local function record(unit, version, state)
  local run = not state.dry_run and active_run(state)
  if not run then return end
  local step = ("step_%06d"):format(state.steps_done or 0)
  unit.recorded[step] = (unit.recorded[step] or 0) + 1
  local place = ("reload/%s/%s%s"):format(unit.label, step, unit.recorded[step] > 1 and "_" .. unit.recorded[step] or "")
  local ok, err = pcall(function()
    run:log_text(version.text, place .. ".lua")
    for _, name in ipairs(ordered.keys(version.modules)) do
      run:log_text(version.modules[name], ("%s/%s.lua"):format(place, (name:gsub("[^%w_.-]", "_"))))
    end
  end)
  if not ok then require("host").log.warn("train.reload: " .. tostring(err)) end
end

-- Puts the stand-ins of a version in place of those that are in the list.
local function enter(self, unit, version)
  local list = self._list
  local shape = version:shape()
  if not list or shape == unit.shape then return end
  for _, slot in ipairs(unit.slots) do list:remove(slot) end
  local last = self
  for _, other in ipairs(self._units) do
    if other == unit then break end
    last = other.slots[#other.slots] or last
  end
  unit.slots, unit.shape = {}, shape
  for i, entry in ipairs(version.entries) do
    local slot = version.stand_in(unit, entry)
    list:add(slot, last)
    unit.slots[i], last = slot, slot
  end
end

local function announce(state, version)
  for _, field in ipairs {"log_names", "batch_log_names"} do
    local known = state[field]
    for _, name in ipairs(known and version:writes() or {}) do
      local there = false
      for _, other in ipairs(known) do there = there or other == name end
      if not there then known[#known + 1] = name end
    end
  end
end

-- Makes the new text the version in force; false and the error if it cannot be.
local function take(self, unit, state)
  local version, err = Version.new(unit)
  if not version then return false, err end
  local before = unit.current
  local ok, problem = pcall(function()
    announce(state, version)
    version:follow(before, state, self._begun)
  end)
  if not ok then return false, problem end
  version.before, unit.current = before, version
  enter(self, unit, version)
  return true
end

local function look(self, state)
  for _, unit in ipairs(self._units) do
    if unit.source:changed() and unit.source.key ~= unit.current.key then
      local random = generators.take()
      local ok, err = take(self, unit, state)
      generators.restore(random)
      if ok then
        record(unit, unit.current, state)
        require("host").log.info(("train.reload: the edit of %s is in force from step %d"):format(unit.source.name,
          state.steps_done or 0))
      else
        unit.source:refuse(err)
      end
    end
  end
end

-- Puts the callbacks into the list that this one is in. `event`: what they miss meanwhile.
local function install(self, state, event)
  local list = state.callback_list or self._entered
  if self._list == list then return end
  self._list, self._begun = list, false
  for _, unit in ipairs(self._units) do
    unit.slots, unit.shape = {}, nil
    unit.back = function(version)
      enter(self, unit, version)
      record(unit, version, state)
    end
    enter(self, unit, unit.current)
    if event then
      for _, entry in ipairs(unit.current.entries) do Version.dispatch(unit, entry.name, event, state) end
    end
  end
end

--- Notes the list that it is in.
---@private
---@param list table
function Reload:entered(list) self._entered = list end

--- Enters the callbacks of the files, which are checked next.
---@private
---@param state table
function Reload:check(state) install(self, state) end

function Reload:on_train_begin(state)
  install(self, state, "train_begin")
  self._begun, self._next = true, clock()
  for _, unit in ipairs(self._units) do record(unit, unit.current, state) end
end

function Reload:on_batch_end(state)
  local now = clock()
  if now < (self._next or 0) then return end
  self._next = now + self.interval
  look(self, state)
end

function Reload:on_epoch_end(state) look(self, state) end

function Reload:on_train_end()
  for _, unit in ipairs(self._units) do unit.source:finish() end
end

function Reload:on_evaluate_begin(state) install(self, state, "evaluate_begin") end

function Reload:on_predict_begin(state) install(self, state, "predict_begin") end

-- The name of a file among the artifacts: two files of one name in two folders have two.
local function label_of(units, name)
  local base, number = name:gsub("%.lua$", ""), 1
  local label = base
  local function taken()
    for _, unit in ipairs(units) do
      if unit.label == label then return true end
    end
  end
  while taken() do
    number = number + 1
    label = ("%s_%d"):format(base, number)
  end
  return label
end

---Callbacks from a Lua file, which is read again when it changes while the training runs: at the end of a step (asked
---every `interval` seconds) or of an epoch. The file returns a callback or a list of callbacks.
---
---A callback of the new version takes over the state of the one with its name: its state_dict, its state_fields, or those
---of its fields that have changed since they were loaded (what an edit changes is in force). One that is new hears
---train_begin first, one that is gone hears nothing more. An edit that does not compile, fails while it runs or has
---options that do not fit is warned of once and not used; where a hook of an edit fails, the version of before takes its
---place, also for that very event. Each version is an artifact of the active MLflow run, reload/<file>/step_<n>.lua, with
---the step it took effect. The upvalues of functions are not handed over: what must last is in the callback or state.user.
---Local modules that the file requires are followed too: when one changes, they and the file run again (the script keeps
---what it has required itself). A file that is gone or empty, or cannot be read, is warned of once, and taken when it is
---back; one that is being written is waited for. Random numbers that a reload draws are given back.
---@param files string|string[]|table the files, or {files = {...}, interval = 0.25, name = "Reload"}
---@param arguments? table interval = 0.25 (seconds, 0: after every step), name, errors = "raise", budget
---@return table callback
---@example local path = os.tmpname()
--- host.file.write_atomic(path, [[
--- local train = require "train"
--- return {train.on("epoch_end", function(state) state.logs.half = 0.5 * state.logs.loss end)}
--- ]])
--- local reload = train.reload(path, {interval = 1})
--- os.remove(path)
return function(files, arguments)
  if type(files) == "table" and next(files) ~= nil and files[1] == nil then files, arguments = files.files, files end
  local self = setmetatable(options.of_callback("train.reload", arguments,
    {files = keywords.none, interval = 0.25, name = "Reload"}, {interval = "not_negative"}), Reload)
  self.files = nil
  if type(files) ~= "table" then files = {files} end
  if #files == 0 then require("native.vm").raise("usage", "train.reload: expected the path of a Lua file, got nil") end
  self._units, self.writes = {}, {}
  for i, path in ipairs(files) do
    local unit = {source = Source.open(path, "train.reload"), slots = {}, recorded = {}}
    unit.label = label_of(self._units, unit.source.name)
    local version, err = Version.new(unit)
    if not version then error(err, 0) end
    unit.current = version
    self._units[i] = unit
    for _, name in ipairs(version:writes()) do self.writes[#self.writes + 1] = name end
  end
  return self
end
