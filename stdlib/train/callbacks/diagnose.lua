-- train.Diagnose: says what a training's curves look like: overfitting, underfitting, a plateau, divergence.
--
-- Note [Trends in noisy curves]
-- A curve has a trend where the slope of the line through its last `window` values is larger than what their scatter around
-- that line would give by chance: |slope| > NOISE standard errors of the slope, and a change over the window of more than
-- `min_change` of the values' size. Diagnoses stand only once they hold for `patience` epochs.
local active_run = require "train.active_run"
local keywords = require "host.keywords"
local learning_rate = require "train.learning_rate"
local nearest = require "train.nearest"
local numbers = require "train.numbers"
local options = require "train.options"

local Diagnose = {__name = "Diagnose", group = "policy", writes = {"diagnosis_code"},
  state_fields = {"training", "validation", "tag", "reason", "streak", "streak_tag", "found", "best", "best_epoch", "acted"}}
Diagnose.__index = Diagnose

local NOISE <const> = 3
local short <const> = numbers.short

local CODES <const> = {healthy = 0, overfitting = 1, underfitting = 2, plateau = 3, divergence = 4}

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function Diagnose:check(state)
  if state.log_names then
    nearest.check("monitor", self.monitor, state.log_names)
    if state.valid then nearest.check("val_monitor", self.val_monitor, state.log_names) end
  end
  if self.action == "reduce_lr" then learning_rate.check(state) end
end

local function forget(self)
  self.training, self.validation, self.found = {}, {}, {}
  self.tag, self.reason, self.streak, self.streak_tag, self.best, self.best_epoch = "healthy", nil, 0, nil, nil, nil
  self.acted = {}
end

function Diagnose:on_train_begin() forget(self) end

-- The line through the last `count` values: its change over them, relative to their size, and whether that is more than noise.
local function trend(values, count)
  local n = math.min(count, #values)
  local first = #values - n
  local mean_x, mean_y = (n + 1) / 2, 0
  for i = 1, n do mean_y = mean_y + values[first + i] / n end
  local sxx, sxy = 0, 0
  for i = 1, n do
    sxx = sxx + (i - mean_x) ^ 2
    sxy = sxy + (i - mean_x) * (values[first + i] - mean_y)
  end
  local slope, rest, size = sxy / sxx, 0, 0
  for i = 1, n do
    rest = rest + (values[first + i] - mean_y - slope * (i - mean_x)) ^ 2
    size = size + math.abs(values[first + i]) / n
  end
  local noise = math.sqrt(rest / math.max(1, n - 2) / sxx)
  local change = slope * (n - 1) / math.max(size, 1e-12)
  return change, math.abs(slope) > NOISE * noise, size
end

local function mean_of_last(values, count)
  local sum = 0
  for i = #values - count + 1, #values do sum = sum + values[i] end
  return sum / count
end

local function finite(value) return value - value == 0 end

-- The tag and the reason, nil while nothing is wrong.
local function diagnose(self, current, current_valid)
  if not finite(current) or current_valid and not finite(current_valid) then
    local name = finite(current) and self.val_monitor or self.monitor
    return "divergence", ("%s is %s"):format(name, short(finite(current) and current_valid or current)), true
  end
  local window = self.window
  if #self.training < window then return nil end
  local change, is_trend = trend(self.training, window)
  local first, third = self.training[1], math.max(1, window // 3)
  local now = mean_of_last(self.training, third)
  local least = math.min(table.unpack(self.training, math.max(1, #self.training - 200)))
  if (is_trend and change > self.min_change and now > least * (1 + self.min_change))
    or now > math.abs(first) * self.divergence_factor then
    return "divergence", ("%s has risen by %.0f%% over %d epochs, to %s"):format(self.monitor, change * 100, window, short(now))
  end
  if #self.validation >= window then
    local change_valid, is_trend_valid = trend(self.validation, window)
    local rise = mean_of_last(self.validation, third) - self.best
    if is_trend_valid and change_valid > self.min_change and change < 0 and is_trend
      and rise > self.min_change * math.abs(self.best) then
      return "overfitting", ("%s has risen by %.0f%% over %d epochs while %s fell by %.0f%%; it was best, %s, at epoch %d")
        :format(self.val_monitor, change_valid * 100, window, self.monitor, -change * 100, short(self.best), self.best_epoch + 1)
    end
  end
  local is_flat = math.abs(change) < self.min_change or not is_trend and math.abs(change) < 2 * self.min_change
  if is_flat and #self.validation >= window then
    is_flat = trend(self.validation, window) > -self.min_change
  end
  if not is_flat then return nil end
  local learnt = (first - now) / math.max(math.abs(first), 1e-12)
  local is_poor = learnt < self.underfit
  if self.target then is_poor = now > self.target end
  if is_poor then
    return "underfitting", ("%s stands at %s after %d epochs, %s"):format(self.monitor, short(now), #self.training,
      self.target and "above the target " .. short(self.target) or ("%.0f%% below where it began"):format(learnt * 100))
  end
  if learnt > self.converged then return nil end  -- hardly anything is left to learn
  return "plateau", ("%s has changed by %.2g%% over %d epochs, at %s"):format(self.monitor, change * 100, window, short(now))
end

local function tag_run(tag, reason)
  local run = active_run()
  if not run then return end
  run:set_tag("diagnosis", tag)
  run:set_tag("diagnosis_reason", reason)
end

local function act(self, state, tag, reason)
  local action = self.action
  if type(action) == "table" then action = action[tag] end
  if type(action) == "function" then return action(state, {tag = tag, reason = reason, epoch = state.epoch}) end
  if action == "stop" then
    state:stop(("%s: %s"):format(tag, reason))
  elseif action == "reduce_lr" then
    learning_rate.map(state.optimizer, function(lr) return lr * self.factor end)
    self.streak = 0
    if self.verbose then
      state:say(("Diagnose: learning rate is now %.6g"):format(learning_rate.get(state.optimizer)))
    end
  end
end

local function announce(self, state, tag, reason)
  self.tag, self.reason = tag, reason
  self.found[#self.found + 1] = {tag = tag, reason = reason, epoch = state.epoch}
  if self.verbose then state:say(("Diagnose: epoch %d: %s: %s"):format(state.epoch + 1, tag, reason)) end
  tag_run(tag, reason)
  act(self, state, tag, reason)
end

function Diagnose:on_epoch_end(state)
  local current, current_valid = state.logs[self.monitor], state.logs[self.val_monitor]
  if current == nil then
    require("native.vm").raise("usage", ("unknown monitor '%s'"):format(self.monitor))
  end
  if finite(current) then
    self.training[#self.training + 1] = current
  end
  if current_valid and finite(current_valid) then
    self.validation[#self.validation + 1] = current_valid
    if not self.best or current_valid < self.best then self.best, self.best_epoch = current_valid, state.epoch end
  end
  local tag, reason, is_certain = diagnose(self, current, current_valid)
  if tag and tag == self.streak_tag then self.streak = self.streak + 1 else self.streak = 1 end
  self.streak_tag = tag
  if tag and (is_certain or self.streak >= self.patience) then
    if tag ~= self.tag then announce(self, state, tag, reason) end
    self.reason = reason
  elseif not tag then
    if self.tag ~= "healthy" and self.streak >= self.patience then self.tag, self.reason = "healthy", nil end
  end
  state.diagnosis = {tag = self.tag, reason = self.reason}
  state.logs.diagnosis_code = CODES[self.tag]
end

---Tells from the curves of the training and validation losses when something is wrong: "overfitting" (validation rises while
---training falls), "underfitting" (training stands still and has learnt little), "plateau" (it stands still),
---"divergence" (it rises, or is no number). Says it once with the reason, tags the MLflow run that is active (`diagnosis`,
---`diagnosis_reason`), sets `state.diagnosis = {tag, reason}` and logs `diagnosis_code` (0 healthy, 1 overfitting,
---2 underfitting, 3 plateau, 4 divergence).
---@param arguments? table window = 8 (epochs that a trend is over), patience = 2 (epochs for which it must hold),
---min_change = 0.02 (of a curve over the window), monitor = "loss", val_monitor = "val_loss", underfit = 0.2 (less of the first
---loss learnt is little), target (instead: a training loss above it is too much), converged = 0.95 (with more of the first loss
---learnt no plateau is told), divergence_factor = 2 (times the first loss), action = "warn"|"stop"|"reduce_lr"|
---function(state, found), or a table of these by tag, factor = 0.1 of reduce_lr, verbose = true, errors = "raise", budget
---@return table callback `tag`, `reason`, and `found`: what was said
return function(arguments)
  local self = setmetatable(options.of_callback("train.Diagnose", arguments, {
    window = 8, patience = 2, min_change = 0.02, monitor = "loss", val_monitor = "val_loss", underfit = 0.2,
    target = keywords.none, converged = 0.95, divergence_factor = 2, action = "warn", factor = 0.1, verbose = true,
  }, {
    window = "positive_count", patience = "positive_count", min_change = "not_negative", monitor = "text",
    val_monitor = "text", underfit = "not_negative", target = "number", converged = "not_negative",
    divergence_factor = "not_negative", factor = "not_negative", verbose = "verbose",
  }), Diagnose)
  local raise = require("native.vm").raise
  if self.window < 4 then raise("usage", ("train.Diagnose: window must be 4 or more, got %d"):format(self.window)) end
  if not (self.factor < 1) then raise("usage", ("train.Diagnose: factor must be less than 1, got %s"):format(self.factor)) end
  local function check_action(action)
    if type(action) ~= "function" then
      options.check("train.Diagnose", {action = action}, {action = {"warn", "stop", "reduce_lr"}})
    end
  end
  if type(self.action) ~= "table" then
    check_action(self.action)
  else
    for _, tag in ipairs(require("host.ordered").keys(self.action)) do
      if not CODES[tag] or tag == "healthy" then
        raise("usage", ("train.Diagnose: action has no tag '%s'; valid: overfitting, underfitting, plateau, divergence")
          :format(tostring(tag)))
      end
      check_action(self.action[tag])
    end
  end
  forget(self)
  return self
end
