-- train.ModelCheckpoint: saves the training, or its weights alone, every so often or when it is the best so far.
local interval = require "train.interval"
local keywords = require "host.keywords"
local monitor = require "train.monitor"
local options = require "train.options"
local snapshot = require "train.snapshot"
local template = require "train.template"

local ModelCheckpoint = {__name = "ModelCheckpoint", group = "checkpoint",
  state_fields = {"best", "best_path", "last_path", "saved", "memory"}}
ModelCheckpoint.__index = ModelCheckpoint

local function needs_monitor(self) return self.save_best_only or self.keep_best ~= nil end

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function ModelCheckpoint:check(state)
  local vm, host = require "native.vm", require "host"
  local at_batches = self._freq.unit ~= "ep"
  if needs_monitor(self) then self._monitor = monitor.new(self.monitor, self, state, at_batches and "batch" or nil) end
  local names = at_batches and state.batch_log_names or state.log_names
  if names then self._template:check(names) end
  if not state.model then vm.raise("usage", "needs a model") end
  -- An unwritable folder is found now and not after the first epoch.
  local folder = self._template:fixed_folder()
  local probe = ("%s/.write-test-%d"):format(folder, math.random(0, 1 << 30))
  local ok, err = pcall(function()
    host.file.mkdir(folder)
    host.file.write_atomic(probe, "")
    host.file.remove(probe)
  end)
  if not ok then
    vm.raise("io", ("cannot write into the folder '%s' of filepath '%s': %s"):format(folder, self.filepath,
      type(err) == "table" and err.message or tostring(err)))
  end
end

function ModelCheckpoint:on_train_begin()
  self.best, self.best_path, self.last_path = self.initial_value_threshold, nil, nil
  self.saved, self.memory, self._failing = {}, {}, false
end

-- Is `entry` one of the keep_last newest or the keep_best best ones, or the newest?
local function is_kept(self, entry, index, ranks)
  local newest = #self.saved
  if index == newest then return true end
  if self.keep_last and index > newest - self.keep_last then return true end
  return self.keep_best and ranks[entry] and ranks[entry] <= self.keep_best or false
end

-- Removes what keep_last and keep_best no longer keep. The newest always stays: `latest` points at it.
local function prune(self)
  if not (self.keep_last or self.keep_best) then return end
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
  local kept = {}
  for i, entry in ipairs(self.saved) do
    if is_kept(self, entry, i, ranks) then
      kept[#kept + 1] = entry
    else
      require("host").file.remove(entry.path)
    end
  end
  self.saved = kept
end

local function record(self, path, value)
  for i = #self.saved, 1, -1 do  -- the same path again is one checkpoint
    if self.saved[i].path == path then table.remove(self.saved, i) end
  end
  local last = self.saved[#self.saved]
  self.saved[#self.saved + 1] = {path = path, value = value, number = last and last.number + 1 or 1}
  self.last_path = path
end

local function write(self, state, path)
  if self.save_weights_only then
    snapshot.save_weights(path, state)
  else
    snapshot.save(path, state)
  end
end

-- Saves now; a failure warns once, keeps what was there and is tried again at the next chance.
local function save(self, state, value)
  local values = setmetatable({epoch = state.epoch + 1, batch = state.batch + 1, step = state.steps_done},
    {__index = state.logs})
  local path = self._template:fill(values)
  if self.save_weights_only and not path:find("%.safetensors$") then path = path .. ".safetensors" end
  local ok, err = pcall(write, self, state, path)
  if not ok then
    if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
    if not self._failing then
      require("host").log.warn(("ModelCheckpoint: %s was not saved: %s; the previous checkpoint is kept, it is tried again at the next %s")
        :format(path, type(err) == "table" and err.message or tostring(err), self._freq.unit == "ep" and "epoch" or "batch"))
    end
    self._failing = true
    return
  end
  self._failing = false
  record(self, path, value)
  if self._monitor and self._monitor:improved(value, self.best) then self.best, self.best_path = value, path end
  prune(self)
  if self.verbose then print(("ModelCheckpoint: epoch %d: saved %s"):format(state.epoch + 1, path)) end
  state.checkpoint = {path = path, weights_only = self.save_weights_only, value = value}
  state:emit("checkpoint_save")
end

local function consider(self, state)
  local value = self._monitor and self._monitor:read(state)
  if self.save_best_only and not self._monitor:improved(value, self.best) then return end
  save(self, state, value)
end

function ModelCheckpoint:on_batch_end(state)
  if self._freq.unit == "ep" then return end
  local due = interval.due(self._freq, state, "batch_end", self.memory, "saved")
  if due or self._failing then consider(self, state) end
end

function ModelCheckpoint:on_epoch_end(state)
  if self._freq.unit ~= "ep" then return end
  if interval.due(self._freq, state, "epoch_end", self.memory, "saved") or self._failing then consider(self, state) end
end

---Saves checkpoints while training.
---@param arguments table filepath (required; "{epoch:02d}-{val_loss:.3f}", epoch, batch and step counted from 1),
---monitor = "val_loss", save_best_only = false, save_weights_only = false (one .safetensors file in place of a folder),
---mode = "auto", save_freq = "epoch" | batches | "5ep" | "500ba" | "30min" | "0.5dur", initial_value_threshold,
---min_delta = 0, keep_best (how many of the best stay), keep_last (how many of the newest stay), verbose = false. The
---newest one always stays too, `latest` points at it: keep_best = 1 leaves the best and, if it is another one, the newest.
---@return table callback
return function(arguments)
  local self = setmetatable(keywords.check("train.ModelCheckpoint", arguments, {
    filepath = keywords.required, monitor = "val_loss", save_best_only = false, save_weights_only = false, mode = "auto",
    save_freq = "epoch", initial_value_threshold = keywords.none, min_delta = 0, keep_best = keywords.none,
    keep_last = keywords.none, verbose = false, name = "ModelCheckpoint",
  }), ModelCheckpoint)
  options.check("train.ModelCheckpoint", self, {
    filepath = "text", monitor = "text", save_best_only = "flag", save_weights_only = "flag", mode = options.MODES,
    initial_value_threshold = "number", min_delta = "number", keep_best = "positive_count", keep_last = "positive_count",
    verbose = "verbose", name = "text",
  })
  local freq = self.save_freq == "epoch" and "1ep" or self.save_freq
  self._freq = interval.parse(freq, "train.ModelCheckpoint: save_freq")
  self._template = template.parse(self.filepath)
  return self
end
