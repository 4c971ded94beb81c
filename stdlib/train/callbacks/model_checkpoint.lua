-- train.ModelCheckpoint: saves the training, or its weights alone, every so often or when it is the best so far.
local interval = require "train.interval"
local keywords = require "host.keywords"
local monitor = require "train.monitor"
local options = require "train.options"
local snapshot = require "train.snapshot"
local template = require "train.template"
local writable = require "train.writable"

local ModelCheckpoint = {__name = "ModelCheckpoint", group = "checkpoint",
  state_fields = {"best", "best_path", "last_path", "saved", "memory"}}
ModelCheckpoint.__index = ModelCheckpoint

local function needs_monitor(self) return self.save_best_only or self.keep_best ~= nil end

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function ModelCheckpoint:check(state)
  if not state.model then require("native.vm").raise("usage", "needs a model") end
  if needs_monitor(self) then self._monitor = monitor.new(self.monitor, self, state, self._at_batches and "batch" or nil) end
  local names = self._at_batches and state.batch_log_names or state.log_names
  if names then self._template:check(names) end
  if not self.save_weights_only then snapshot.check(state) end
  writable.folder(self._template:fixed_folder(), ("filepath '%s'"):format(self.filepath), state.dry_run)
end

---The folder of its checkpoints.
---@return string
function ModelCheckpoint:checkpoint_folder() return self._template:fixed_folder() end

-- As in Keras the best value outlives a fit: a second one must do better than the first.
function ModelCheckpoint:on_train_begin(state)
  self.memory, self._failing = {}, false
  if not state.dry_run then require("host").checkpoint.sweep(self:checkpoint_folder()) end
end

-- Is `entry` one of the keep_last newest or the keep_best best ones, or the newest?
local function is_kept(self, entry, index, ranks)
  local newest = #self.saved
  if index == newest then return true end
  if entry.cut_short then return false end
  if not (self.keep_last or self.keep_best) then return true end
  if self.keep_last and index > newest - self.keep_last then return true end
  return self.keep_best and ranks[entry] and ranks[entry] <= self.keep_best or false
end

-- Removes a checkpoint. One that is gone already is removed too: another training may write there.
local function remove(self, path)
  local file = require("host").file
  local gone = not file.exists(path)
  if not gone then
    local ok, err = pcall(file.remove, path)
    gone = not ok and not file.exists(path)
    if not ok and not gone then
      if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
      require("host").log.warn(("ModelCheckpoint: %s could not be removed: %s"):format(path,
        type(err) == "table" and err.message or tostring(err)))
    end
  end
  if not gone or self._told then return end
  self._told = true
  require("host").log.warn(("ModelCheckpoint: %s is gone already: does another training write into that folder? Give each "
    .. "its own"):format(path))
end

-- What keep_last and keep_best keep, and the paths of the rest. The newest always stays: `latest` points at it. One of an
-- epoch that was cut short goes once there is a newer one.
local function sort_out(self)
  local ranks, ordered = {}, {}
  if self.keep_best then
    for _, entry in ipairs(self.saved) do
      if entry.value and entry.value == entry.value then ordered[#ordered + 1] = entry end
    end
    table.sort(ordered, function(a, b)
      if a.value == b.value then return a.number < b.number end
      return self._monitor:beyond(a.value, b.value)
    end)
    for rank, entry in ipairs(ordered) do ranks[entry] = rank end
  end
  local kept, rest = {}, {}
  for i, entry in ipairs(self.saved) do
    local list = is_kept(self, entry, i, ranks) and kept or rest
    list[#list + 1] = entry
  end
  return kept, rest
end

local function record(self, path, value, cut_short)
  local last, saved = self.saved[#self.saved], {}
  for _, entry in ipairs(self.saved) do  -- the same path again is one checkpoint
    if entry.path ~= path then saved[#saved + 1] = entry end
  end
  saved[#saved + 1] = {path = path, value = value, number = last and last.number + 1 or 1, cut_short = cut_short}
  self.saved, self.last_path = saved, path
end

local function write(self, state, path)
  if self.save_weights_only then
    snapshot.save_weights(path, state)
  else
    snapshot.save(path, state)
  end
end

-- The folder or file of now.
local function path_of(self, state)
  local values = setmetatable({epoch = state.epoch + 1, batch = state.batch + 1, step = state.steps_done},
    {__index = function(_, key)
      local value, at_epoch = state.logs[key], not self._at_batches and state.log_names
      if value ~= nil or not at_epoch then return value end
      for _, name in ipairs(at_epoch) do
        if name == key then return 0 / 0 end  -- an epoch without validation
      end
    end})
  local path = self._template:fill(values)
  if self.save_weights_only and not path:find("%.safetensors$") then path = path .. ".safetensors" end
  return path
end

-- Keras's messages, without the line feed that takes them off its progress bar.
local function say(self, state, text, ...)
  if self.verbose then state:say(("Epoch %d: "):format(state.epoch + 1) .. text:format(...)) end
end

local function fixed(value) return value == nil and "None" or value ~= value and "nan" or ("%.5f"):format(value) end

local OWN <const> = {"saved", "last_path", "best", "best_path"}

-- Saves once all callbacks have heard of the event, so that what they have made of it is in the checkpoint, as is this one
-- itself. A failure warns once, keeps what was there and is tried again at the next chance.
local function save(self, state, event, path, value, cut_short)
  local before = {}
  for _, name in ipairs(OWN) do before[name] = self[name] end
  record(self, path, value, cut_short)
  if not cut_short and self._monitor and self._monitor:improved(value, self.best) then self.best, self.best_path = value, path end
  local rest
  self.saved, rest = sort_out(self)
  state:after(event, function() self:_write(state, path, value, rest, before) end)
end

---@private
function ModelCheckpoint:_write(state, path, value, rest, before)
  local ok, err = pcall(write, self, state, path)
  if not ok then
    for _, name in ipairs(OWN) do self[name] = before[name] end
    if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
    if not self._failing then
      require("host").log.warn(("ModelCheckpoint: %s was not saved: %s; the previous checkpoint is kept, it is tried again at the next %s")
        :format(path, type(err) == "table" and err.message or tostring(err), self._at_batches and "batch" or "epoch"))
    end
    self._failing = true
    return
  end
  self._failing = false
  for _, entry in ipairs(rest) do remove(self, entry.path) end
  say(self, state, "finished saving model to %s", path)
  state.checkpoint = {path = path, weights_only = self.save_weights_only, value = value}
  state:emit("checkpoint_save")
end

local function consider(self, state, event)
  if state.dry_run then return require("host.overlay").tell(path_of(self, state)) end
  local value = self._monitor and self._monitor:read(state)
  if not self.save_best_only then
    local path = path_of(self, state)
    say(self, state, "saving model to %s", path)
    return save(self, state, event, path, value)
  end
  if value == nil then return end  -- an epoch without validation
  local best = fixed(self.best)
  if not self._monitor:improved(value, self.best) then
    return say(self, state, "%s did not improve from %s", self.monitor, best)
  end
  local path = path_of(self, state)
  say(self, state, "%s improved from %s to %s, saving model to %s", self.monitor, best, fixed(value), path)
  save(self, state, event, path, value)
end

-- Ctrl-C ends an epoch before its time: no checkpoint of a whole epoch is due, but one of this very step, to go on from.
local function save_cut_short(self, state)
  if state.dry_run or self.save_weights_only or self.save_best_only then return end
  save(self, state, "batch_end", path_of(self, state), nil, true)
end

function ModelCheckpoint:on_batch_end(state)
  local freq = self._at_batches
  if freq and (interval.due(freq, state, "batch_end", self.memory, "batches") or self._failing) then
    return consider(self, state, "batch_end")
  end
  if state.interrupted and self._at_epochs then save_cut_short(self, state) end
end

function ModelCheckpoint:on_epoch_end(state)
  if state.interrupted then return end
  local freq = self._at_epochs
  if freq and (interval.due(freq, state, "epoch_end", self.memory, "epochs") or self._failing) then consider(self, state, "epoch_end") end
end

---Saves checkpoints while training.
---@param arguments table|string filepath (required; "{epoch:02d}-{val_loss:.3f}", epoch, batch and step counted from 1),
---monitor = "val_loss", save_best_only = false, save_weights_only = false (one .safetensors file in place of a folder),
---mode = "auto", save_freq = "epoch" | batches | "5ep" | "500ba" | "30min" | "0.5dur", or a list of these of which any
---counts (but for epochs they are looked at when a batch ends, where there is no val_loss), initial_value_threshold,
---min_delta = 0, keep_best (how many of the best stay), keep_last (how many of the newest stay), verbose = 0|1 (prints
---Keras's messages), errors = "raise", budget. The newest one always stays too, `latest` points at it: keep_best = 1 leaves
---the best and, if it is another one, the newest. On Ctrl-C one of whole trainings at epochs saves at that very step, so that
---resume = "auto" loses none; the next one takes its place.
---@param more? table the other options, after a string
---@return table callback
return function(arguments, more)
  arguments = options.after_first("train.ModelCheckpoint", "filepath", arguments, more)
  local self = setmetatable(options.of_callback("train.ModelCheckpoint", arguments, {
    filepath = keywords.required, monitor = "val_loss", save_best_only = false, save_weights_only = false, mode = "auto",
    save_freq = "epoch", initial_value_threshold = keywords.none, min_delta = 0, keep_best = keywords.none,
    keep_last = keywords.none, verbose = false,
  }, {
    filepath = "text", monitor = "text", save_best_only = "flag", save_weights_only = "flag", mode = options.MODES,
    initial_value_threshold = "number", min_delta = "number", keep_best = "positive_count", keep_last = "positive_count",
    verbose = "verbose",
  }), ModelCheckpoint)
  self._at_epochs, self._at_batches = interval.split(interval.parse_frequency(self.save_freq, "train.ModelCheckpoint: save_freq"))
  self._template = template.parse(self.filepath)
  self.best, self.saved, self.memory = self.initial_value_threshold, {}, {}
  return self
end
