-- train.ReduceLROnPlateau: multiplies the learning rate by a factor when the monitored value stops improving.
local learning_rate = require "train.learning_rate"
local monitor = require "train.monitor"
local numbers = require "train.numbers"
local options = require "train.options"

local ReduceLROnPlateau = {__name = "ReduceLROnPlateau", group = "policy", writes = {"learning_rate"},
  state_fields = {"wait", "best", "cooldown_counter"}}
ReduceLROnPlateau.__index = ReduceLROnPlateau

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function ReduceLROnPlateau:check(state)
  learning_rate.check(state)
  self._monitor = monitor.new(self.monitor, self, state)
end

function ReduceLROnPlateau:on_train_begin()
  self.wait, self.best, self.cooldown_counter = 0, nil, 0
end

-- Multiplies the rates that are above the least one; was there any?
local function reduce(self, optimizer)
  local reduced, least = false, monitor.single(self.min_lr)
  learning_rate.map(optimizer, function(lr)
    if monitor.single(lr) <= least then return lr end  -- Note [Single precision] in train/monitor.lua
    reduced = true
    return math.max(lr * self.factor, self.min_lr)
  end)
  return reduced
end

function ReduceLROnPlateau:on_epoch_end(state)
  state.logs.learning_rate = learning_rate.get(state.optimizer)
  local current = self._monitor:read(state)
  if current == nil then return end
  if self.cooldown_counter > 0 then
    self.cooldown_counter = self.cooldown_counter - 1
    self.wait = 0
  end
  if self._monitor:improved(current, self.best) then
    self.best, self.wait = current, 0
  elseif self.cooldown_counter == 0 then
    self.wait = self.wait + 1
    if self.wait >= self.patience and reduce(self, state.optimizer) then
      self.cooldown_counter, self.wait = self.cooldown, 0
      if self.verbose then
        state:say(("Epoch %d: ReduceLROnPlateau reducing learning rate to %s."):format(state.epoch + 1,
          numbers.text(learning_rate.get(state.optimizer))))
      end
    end
  end
end

---Reduces the learning rate when a monitored value has stopped improving; logs `learning_rate` before it does. Values are
---compared in single precision, as in Keras.
---@param arguments? table monitor = "val_loss", factor = 0.1, patience = 10, min_delta = 1e-4, cooldown = 0, min_lr = 0,
---mode = "auto", threshold_mode = "abs"|"rel", verbose = 0|1 (prints Keras's messages), errors = "raise", budget
---@return table callback
return function(arguments)
  local self = setmetatable(options.of_callback("train.ReduceLROnPlateau", arguments, {
    monitor = "val_loss", factor = 0.1, patience = 10, min_delta = 1e-4, cooldown = 0, min_lr = 0, mode = "auto",
    threshold_mode = "abs", verbose = false,
  }, {
    monitor = "text", factor = "not_negative", patience = "count", min_delta = "number", cooldown = "count",
    min_lr = "not_negative", mode = options.MODES, threshold_mode = options.THRESHOLD_MODES, verbose = "verbose",
  }), ReduceLROnPlateau)
  if not (self.factor < 1) then
    require("native.vm").raise("usage", ("train.ReduceLROnPlateau: factor must be less than 1, got %s"):format(self.factor))
  end
  if self.factor == 0 and self.min_lr == 0 then
    require("native.vm").raise("usage", "train.ReduceLROnPlateau: factor = 0 sets the learning rate to 0, which trains nothing more",
      "a factor above 0, or min_lr")
  end
  return self
end
