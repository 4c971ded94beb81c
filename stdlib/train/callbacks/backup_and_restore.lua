-- train.BackupAndRestore: after a crash the same script goes on where the last backup was taken, bit for bit.
local claim = require "train.claim"
local host = require "host"
local interval = require "train.interval"
local keywords = require "host.keywords"
local options = require "train.options"
local snapshot = require "train.snapshot"
local writable = require "train.writable"

local BackupAndRestore = {__name = "BackupAndRestore", group = "checkpoint", recovers = true, state_fields = {"memory"}}
BackupAndRestore.__index = BackupAndRestore

local KEPT <const> = 2
local LONGEST_WAIT <const> = 60

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function BackupAndRestore:check(state)
  if not state.model and not state.saved then
    require("native.vm").raise("usage", "needs a model", "train.state{saved = {generator = g, critic = c}} says what else there is")
  end
  snapshot.check(state)
  local what = ("backup_dir '%s'"):format(self.backup_dir)
  claim.check(self, state, what)
  writable.folder(self.backup_dir, what, state.dry_run)
end

---The folder of its checkpoints.
---@return string
function BackupAndRestore:checkpoint_folder() return self.backup_dir end

--- What no other callback may write to.
---@private
---@return string
function BackupAndRestore:checkpoint_target() return host.file.absolute(self.backup_dir) end

-- The names of its checkpoints, the oldest first, and of what killed removers left.
local function names_in(folder)
  local names, left = {}, {}
  for _, path in ipairs(require("host.checkpoint").list(folder)) do
    local name = path:match("/(ckpt%-%d+)$")
    if name then table.insert(names, 1, name) end
  end
  for _, name in ipairs(host.file.is_folder(folder) and host.file.list(folder) or {}) do
    local is_one = name:find("^ckpt%-%d+$")
    if is_one and not host.file.exists(folder .. "/" .. name .. "/manifest.json") then left[#left + 1] = name end
  end
  return names, left
end

local function remove(self, names)
  for _, name in ipairs(names) do host.file.remove(self.backup_dir .. "/" .. name) end
end

function BackupAndRestore:on_train_begin(state)
  self.memory, self._writings, self._failures, self._retry_at, self._displaced = {}, {}, 0, nil, false
  if state.dry_run then return end
  if state.arguments then claim.take("BackupAndRestore: backup_dir", self.backup_dir, self) end  -- train.fit always says when it ends
  local _, left = names_in(self.backup_dir)
  remove(self, left)
  host.checkpoint.sweep(self.backup_dir)
end

-- A backup could not be written: one warning, the one before is kept, and it is tried again after a while.
local function failed(self, state, err)
  if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
  self._failures = self._failures + 1
  self._retry_at = state.clock() + math.min(2 ^ (self._failures - 1) - 1, LONGEST_WAIT)
  if self._failures > 1 then return end
  host.log.warn(("BackupAndRestore: no checkpoint was written into %s: %s; the one before is kept, it is tried again"):format(
    self.backup_dir, type(err) == "table" and err.message or tostring(err)))
end

-- Takes note of backups that have been written, or could not be.
local function look(self, state, wait)
  local newest
  while self._writings[1] do
    local writing = self._writings[1]
    local ok, err = pcall(wait and writing.wait or writing.done, writing)
    if ok and not writing.ended then break end
    table.remove(self._writings, 1)
    if not ok then
      failed(self, state, err)
    elseif writing.written then
      self._failures, self._retry_at, newest = 0, nil, writing
    elseif not self._writings[1] then  -- a checkpoint of another callback has taken its place
      self._retry_at, self._displaced = state.clock(), true
    end
  end
  if not newest then return end
  local names = names_in(self.backup_dir)
  remove(self, table.move(names, 1, math.max(#names - KEPT, 0), 1, {}))
  snapshot.tell(state, {path = newest.folder, weights_only = false, is_temporary = self.delete_checkpoint}, newest.at)
end

-- No step waits for the disk: while a backup is being written none is made within an epoch, but as soon as it is there; that
-- of an epoch's end waits in the place of one that waited. The one to go on from after Ctrl-C, or the end, is waited for.
local function save(self, state, event)
  look(self, state, false)
  local is_last = state.interrupted or event == "train_end"
  if not is_last and (not host.checkpoint.has_room() or event == "batch_end" and self._writings[1]) then
    self._retry_at = self._retry_at or state.clock()
    return
  end
  local folder = ("%s/ckpt-%06d"):format(self.backup_dir, state.batches_done)
  local ok, writing = pcall(snapshot.submit, folder, state, not is_last)
  if not ok then
    if type(writing) ~= "table" or writing.kind ~= "io" then error(writing, 0) end
    return failed(self, state, writing)
  end
  writing.at = snapshot.moment(state)
  table.insert(self._writings, writing)
  self._retry_at, self._displaced = nil, false
  if is_last then look(self, state, true) end
end

-- Once all callbacks have heard of the event, so that what they have made of it is in the checkpoint.
local function consider(self, state, event, is_due)
  if state.dry_run then return end
  look(self, state, false)
  if not is_due and not (self._retry_at and state.clock() >= self._retry_at) then return end
  state:after(event, function() save(self, state, event) end)
end

function BackupAndRestore:on_batch_end(state)
  local freq = self._at_batches
  local is_due = freq and interval.due(freq, state, "batch_end", self.memory, "batches")
  -- What comes after this batch is the end in good order: validation and hooks of an epoch that is cut short.
  consider(self, state, "batch_end", is_due or state.interrupted)
end

function BackupAndRestore:on_epoch_end(state)
  if state.interrupted then return end
  local freq = self._at_epochs
  consider(self, state, "epoch_end", freq and interval.due(freq, state, "epoch_end", self.memory, "epochs"))
end

--- What is under way is there when a training ends.
---@private
---@param state table
function BackupAndRestore:settle(state)
  look(self, state, true)
  if self._displaced and not self.delete_checkpoint then save(self, state, "train_end") end
end

function BackupAndRestore:on_train_end(state)
  if state.dry_run then return end
  local remove_folder = false
  local _ <close> = setmetatable({}, {__close = function() claim.leave(self.backup_dir, self, remove_folder) end})
  if not self.delete_checkpoint or state.interrupted then return end
  local names, left = names_in(self.backup_dir)
  remove(self, names)
  remove(self, left)
  remove(self, {"latest"})
  host.checkpoint.sweep(self.backup_dir)
  remove_folder = true
end

function BackupAndRestore:on_exception(state)
  local _ <close> = setmetatable({}, {__close = function() claim.leave(self.backup_dir, self) end})
  look(self, state, true)
end

---Writes checkpoints of the whole training while it runs, and when it begins goes on from the newest one that is whole:
---run again after a crash or kill -9, the script ends with the same weights, history and files as one that was never
---stopped, also when it was stopped within an epoch. They are written by a thread, the training waits for a copy alone: on
---a slow disk there are fewer of them. The last two are kept, `latest` leads to the newest; when the training ends well they
---are removed. Each training needs a backup_dir of its own: one that another one uses, or has left a checkpoint in, is an error.
---@param arguments table|string backup_dir (required), save_freq = "epoch" | batches | "5ep" | "500ba" | "30min" | "0.5dur", or
---a list of these; delete_checkpoint = true, name, errors = "raise", budget; a string is the backup_dir
---@param more? table the other options, after a string
---@return table callback
return function(arguments, more)
  arguments = options.after_first("train.BackupAndRestore", "backup_dir", arguments, more)
  local self = setmetatable(options.of_callback("train.BackupAndRestore", arguments,
    {backup_dir = keywords.required, save_freq = "epoch", delete_checkpoint = true},
    {backup_dir = "text", delete_checkpoint = "flag"}), BackupAndRestore)
  self.backup_dir = self.backup_dir:gsub("(.)/+$", "%1")
  self._at_epochs, self._at_batches = interval.split(interval.parse_frequency(self.save_freq, "train.BackupAndRestore: save_freq"))
  self.memory, self._writings = {}, {}
  return self
end
