-- train.EarlyStopping: stops when the monitored value no longer improves. Semantics: Keras's, but NaN never is the best
-- (with compat = "keras" a NaN in the first epoch is, as there).
local keywords = require "host.keywords"
local monitor = require "train.monitor"
local numbers = require "train.numbers"
local options = require "train.options"
local weights = require "train.weights"

local EarlyStopping = {__name = "EarlyStopping", group = "policy",
  state_fields = {"wait", "best", "best_epoch", "stopped_epoch", "best_weights"}}
EarlyStopping.__index = EarlyStopping

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function EarlyStopping:check(state)
  self._monitor = monitor.new(self.monitor, self, state)
  if self.restore_best_weights and not state.model then
    require("native.vm").raise("usage", "restore_best_weights needs a model")
  end
end

function EarlyStopping:on_train_begin()
  self.wait, self.stopped_epoch = 0, nil
  self.best, self.best_epoch, self.best_weights = nil, nil, nil
end

local function keep(self, state)
  self.best_epoch = state.epoch
  if self.restore_best_weights then self.best_weights = weights.copy(state.model) end
end

local function stop(self, state, reason)
  self.stopped_epoch = state.epoch
  state:stop(reason)
end

function EarlyStopping:on_epoch_end(state)
  local current = self._monitor:read(state)
  if current == nil or state.epoch < self.start_from_epoch then return end
  local text = ("%s is %s"):format(self.monitor, numbers.short(current))
  if self.check_finite and (current ~= current or math.abs(current) == math.huge) then
    return stop(self, state, text)
  end
  if self.divergence_threshold and self._monitor:worse(current, self.divergence_threshold) then
    return stop(self, state, text .. ", beyond the divergence threshold " .. self.divergence_threshold)
  end

  -- Keras: the first epoch that counts is the best until one improves, so that there always is something to restore.
  if self.restore_best_weights and not self.best_weights then keep(self, state) end
  self.wait = self.wait + 1
  if self._monitor:improved(current, self.best) then
    self.best = current
    keep(self, state)
    if self.baseline == nil or self._monitor:improved(current, self.baseline) then self.wait = 0 end
  elseif self.wait >= self.patience and state.epoch > 0 then
    local best = self.best and ("best %s at epoch %d"):format(numbers.short(self.best), (self.best_epoch or state.epoch) + 1)
    return stop(self, state, ("%s has not improved for %d epochs, %s"):format(self.monitor, self.wait,
      best or "it was never a number"))
  end
  if self.stopping_threshold and self._monitor:beyond(current, self.stopping_threshold) then
    stop(self, state, text .. ", beyond the stopping threshold " .. self.stopping_threshold)
  end
end

function EarlyStopping:on_train_end(state)
  if self.verbose and self.stopped_epoch then state:say(("Epoch %d: early stopping"):format(self.stopped_epoch + 1)) end
  if self.restore_best_weights and self.best_weights then
    if self.verbose then
      state:say(("Restoring model weights from the end of the best epoch: %d."):format(self.best_epoch + 1))
    end
    weights.restore(state.model, self.best_weights)
    state.restored_epoch = self.best_epoch
  end
end

---Stops training when a monitored value has stopped improving. Values are compared in single precision, as in Keras.
---@param arguments? table monitor = "val_loss", min_delta = 0, patience = 0, mode = "auto"|"min"|"max", baseline,
---restore_best_weights = false, start_from_epoch = 0, check_finite = false, stopping_threshold, divergence_threshold,
---threshold_mode = "abs"|"rel" (of min_delta), verbose = 0|1 (prints Keras's messages), errors = "raise", budget
---@return table callback
return function(arguments)
  return setmetatable(options.of_callback("train.EarlyStopping", arguments, {
    monitor = "val_loss", min_delta = 0, patience = 0, mode = "auto", baseline = keywords.none,
    restore_best_weights = false, start_from_epoch = 0, check_finite = false, stopping_threshold = keywords.none,
    divergence_threshold = keywords.none, threshold_mode = "abs", verbose = false,
  }, {
    monitor = "text", min_delta = "number", patience = "count", mode = options.MODES, baseline = "number",
    restore_best_weights = "flag", start_from_epoch = "count", check_finite = "flag", stopping_threshold = "number",
    divergence_threshold = "number", threshold_mode = options.THRESHOLD_MODES, verbose = "verbose",
  }), EarlyStopping)
end
