-- train.ModelCheckpoint: saves the training, or its weights alone, every so often or when it is the best so far.
local claim = require "train.claim"
local interval = require "train.interval"
local keywords = require "host.keywords"
local monitor = require "train.monitor"
local options = require "train.options"
local snapshot = require "train.snapshot"
local template = require "train.template"
local writable = require "train.writable"

local ModelCheckpoint = {__name = "ModelCheckpoint", group = "checkpoint",
  state_fields = {"best", "best_path", "last_path", "saved", "condemned", "memory"}}
ModelCheckpoint.__index = ModelCheckpoint

local function needs_monitor(self) return self.save_best_only or self.keep_best ~= nil end

local function with_suffix(self, path)
  return self.save_weights_only and not path:find("%.safetensors$") and path .. ".safetensors" or path
end

-- An io error where something else is in the place of a checkpoint, as far as the path is known: it would not be replaced,
-- or be lost.
local function check_kind(self, what)
  if #self._template.keys > 0 then return end
  local file, path = require("host").file, with_suffix(self, self._template:fill {})
  if not file.exists(path) then return end
  local is_folder, found = file.is_folder(path), nil
  if self.save_weights_only then
    found = is_folder and "a folder, weights are one file"
  elseif not is_folder then
    found = "a file, a checkpoint of the training is a folder"
  elseif not file.exists(path .. "/manifest.json") and #file.list(path) > 0 then
    found = "a folder of other files, which a checkpoint would replace"
  end
  if found then require("native.vm").raise("io", ("%s: '%s' is %s"):format(what, path, found), "give another filepath") end
end

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function ModelCheckpoint:check(state)
  if not state.model then require("native.vm").raise("usage", "needs a model") end
  if needs_monitor(self) then self._monitor = monitor.new(self.monitor, self, state, self._at_batches and "batch" or nil) end
  local names = self._at_batches and state.batch_log_names or state.log_names
  if names then self._template:check(names) end
  if not self.save_weights_only then snapshot.check(state) end
  local what = ("filepath '%s'"):format(self.filepath)
  claim.check(self, state, what)
  check_kind(self, what)
  writable.folder(self._template:fixed_folder(), what, state.dry_run)
end

--- What no other callback may write to: the path, fields and all.
---@private
---@return string
function ModelCheckpoint:checkpoint_target() return require("host").file.absolute(with_suffix(self, self.filepath)) end

---The folder of its checkpoints.
---@return string
function ModelCheckpoint:checkpoint_folder() return self._template:fixed_folder() end

-- As in Keras the best value outlives a fit: a second one must do better than the first.
function ModelCheckpoint:on_train_begin(state)
  self.memory, self._failing, self._pending = {}, false, nil
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

-- What has to go once the newest is there.
local function remove_condemned(self)
  for _, entry in ipairs(self.condemned) do remove(self, entry.path) end
  self.condemned = {}
end

-- The newest was written before the checkpoint that the training goes on from. What came after it comes once more, and may
-- have been removed already.
function ModelCheckpoint:on_checkpoint_load()
  self._told = true
  remove_condemned(self)
end

local function record(self, path, value, cut_short)
  local last, saved = self.saved[#self.saved], {}
  for _, entry in ipairs(self.saved) do  -- the same path again is one checkpoint
    if entry.path ~= path then saved[#saved + 1] = entry end
  end
  saved[#saved + 1] = {path = path, value = value, number = last and last.number + 1 or 1, cut_short = cut_short}
  self.saved, self.last_path = saved, path
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
  return with_suffix(self, self._template:fill(values))
end

-- Keras's messages, without the line feed that takes them off its progress bar.
local function say(self, state, epoch, text, ...)
  if self.verbose then state:say(("Epoch %d: "):format(epoch + 1) .. text:format(...)) end
end

local function fixed(value) return value == nil and "None" or value ~= value and "nan" or ("%.5f"):format(value) end

local OWN <const> = {"saved", "condemned", "last_path", "best", "best_path"}

-- A checkpoint was not written: one warning, what was there is kept, and it is tried again at the next chance.
local function failed(self, pending, err)
  for _, name in ipairs(OWN) do self[name] = pending.before[name] end
  if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
  if not self._failing then
    require("host").log.warn(("ModelCheckpoint: %s was not saved: %s; the previous checkpoint is kept, it is tried again at the next %s")
      :format(pending.path, type(err) == "table" and err.message or tostring(err), self._at_batches and "batch" or "epoch"))
  end
  self._failing = true
end

-- Takes note of a checkpoint that has been written, or could not be.
local function look(self, state, wait)
  local pending = self._pending
  if not pending then return end
  local writing = pending.writing
  local ok, err = pcall(wait and writing.wait or writing.done, writing)
  if ok and not writing.ended then return end
  self._pending = nil
  if not ok then return failed(self, pending, err) end
  if not writing.written then return failed(self, pending, "another checkpoint took its place, or it was stopped") end
  self._failing = false
  remove_condemned(self)
  say(self, state, pending.at.epoch, "finished saving model to %s", pending.path)
  snapshot.tell(state, {path = pending.path, weights_only = self.save_weights_only, value = pending.value}, pending.at)
end

-- Copies what the thread writes.
local function submit(self, state, pending)
  local ok, writing = pcall(self.save_weights_only and snapshot.submit_weights or snapshot.submit, pending.path, state)
  if not ok then return failed(self, pending, writing) end
  pending.writing = writing
  self._pending = pending
end

-- Saves once all callbacks have heard of the event, so that what they have made of it is in the checkpoint, as is this one
-- itself.
local function save(self, state, event, path, value, cut_short)
  local pending = {path = path, value = value, at = snapshot.moment(state), before = {}}
  for _, name in ipairs(OWN) do pending.before[name] = self[name] end
  record(self, path, value, cut_short)
  if not cut_short and self._monitor and self._monitor:improved(value, self.best) then self.best, self.best_path = value, path end
  self.saved, self.condemned = sort_out(self)
  state:after(event, function() submit(self, state, pending) end)
end

local function consider(self, state, event)
  if state.dry_run then return require("host.overlay").tell(path_of(self, state)) end
  look(self, state, true)
  if self._pending then return end  -- Ctrl-C has ended the wait
  local value = self._monitor and self._monitor:read(state)
  if not self.save_best_only then
    local path = path_of(self, state)
    say(self, state, state.epoch, "saving model to %s", path)
    return save(self, state, event, path, value)
  end
  if value == nil then return end  -- an epoch without validation
  local best = fixed(self.best)
  if not self._monitor:improved(value, self.best) then
    return say(self, state, state.epoch, "%s did not improve from %s", self.monitor, best)
  end
  local path = path_of(self, state)
  say(self, state, state.epoch, "%s improved from %s to %s, saving model to %s", self.monitor, best, fixed(value), path)
  save(self, state, event, path, value)
end

-- Ctrl-C ends an epoch before its time: no checkpoint of a whole epoch is due, but one of this very step, to go on from.
local function save_cut_short(self, state)
  if state.dry_run or self.save_weights_only or self.save_best_only then return end
  look(self, state, true)
  if self._pending then return end
  save(self, state, "batch_end", path_of(self, state), nil, true)
end

function ModelCheckpoint:on_batch_end(state)
  local freq = self._at_batches
  look(self, state, false)
  if freq and (interval.due(freq, state, "batch_end", self.memory, "batches") or self._failing) then
    return consider(self, state, "batch_end")
  end
  if state.interrupted and self._at_epochs then save_cut_short(self, state) end
end

function ModelCheckpoint:on_epoch_end(state)
  look(self, state, false)
  if state.interrupted then return end
  local freq = self._at_epochs
  if freq and (interval.due(freq, state, "epoch_end", self.memory, "epochs") or self._failing) then consider(self, state, "epoch_end") end
end

--- What is under way is there when a training ends.
---@private
---@param state table
function ModelCheckpoint:settle(state) look(self, state, true) end

ModelCheckpoint.on_exception = ModelCheckpoint.settle

---Saves checkpoints while training. A thread writes them: the training waits for a copy alone, and for the one before if
---that is not done yet. `checkpoint_save` tells of one that is there; when the training ends all are.
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
  self.best, self.saved, self.condemned, self.memory = self.initial_value_threshold, {}, {}, {}
  return self
end
