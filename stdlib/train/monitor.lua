-- What it means to improve: direction, minimum change, and NaN, which never is the best.
local metric_logs = require "train.metric_logs"
local nearest = require "train.nearest"

local monitor = {}
monitor.__index = monitor

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

---The better direction of a log name: that of its metric, "min" of what ends with "loss", or nil when nothing tells it.
---@param name string
---@param state table
---@return string?
function monitor.direction(name, state)
  local stripped, of_train = name:gsub("^val_", ""), name:gsub("^train_", "")
  for _, log in ipairs(state.metrics and metric_logs.of(state.metrics) or {}) do
    local metric = state.metrics[log.metric]
    if log.name == stripped or log.name == of_train then
      local direction = type(metric) == "table" and metric.direction
      if direction then return direction end
    end
  end
  return name:find("loss$") and "min" or nil
end

---Resolves `mode` and checks that the monitored name will exist.
---@param name string the log name, "val_loss"
---@param options table {mode = "auto"|"min"|"max", min_delta = number, threshold_mode = "abs"|"rel"}
---@param state table state.log_names lists the names known before the first step
---@param at? string "batch" for what is known at batch ends
---@return table monitor
function monitor.new(name, options, state, at)
  local names = at == "batch" and state.batch_log_names or state.log_names
  if names then
    local hint = 'a callback that writes a log of its own says so: writes = {"' .. name .. '"}'
    if name:find("^val_") and not state.valid then hint = "train.fit was given no valid" end
    nearest.check("monitor", name, names, hint)
  end
  local mode = options.mode or "auto"
  if mode ~= "auto" and mode ~= "min" and mode ~= "max" then
    usage(("mode must be \"auto\", \"min\" or \"max\", got %s"):format(tostring(mode)))
  end
  if mode == "auto" then
    mode = monitor.direction(name, state)
    if not mode then
      usage(("the direction of monitor '%s' is unknown"):format(name), 'give mode = "min" or mode = "max"')
    end
  end
  local threshold_mode = options.threshold_mode or "abs"
  if threshold_mode ~= "abs" and threshold_mode ~= "rel" then
    usage(("threshold_mode must be \"abs\" or \"rel\", got %s"):format(tostring(threshold_mode)))
  end
  return setmetatable({name = name, known = names ~= nil, nan_first = state.compat == "keras", mode = mode,
    min_delta = math.abs(options.min_delta or 0), relative = threshold_mode == "rel"}, monitor)
end

-- Note [Single precision]
-- Keras compares what it monitors as float32: a change in the last digits of a float64 is none, and 0.7 is not better than
-- 0.8 by more than 0.1, as it would be in float64.

---A number rounded to single precision.
---@param value number
---@return number
function monitor.single(value) return (string.unpack("f", string.pack("f", value))) end

---Is `current` better than `best` (nil: nothing yet) by more than the minimum change? Strict, in single precision; false for
---NaN, but with compat = "keras", where the first value is the best whatever it is.
function monitor:improved(current, best)
  if current == nil or (current ~= current and not self.nan_first) then return false end
  if best == nil then return true end
  local delta = self.relative and math.abs(best) * self.min_delta or self.min_delta
  best = monitor.single(best)
  if self.mode == "min" then return monitor.single(current + delta) < best end
  return monitor.single(current - delta) > best
end

---Is `current` strictly beyond `threshold` in the better direction, whatever the minimum change?
function monitor:beyond(current, threshold)
  if self.mode == "min" then return current < threshold end
  return current > threshold
end

---Is `current` strictly beyond `threshold` in the worse direction?
function monitor:worse(current, threshold)
  if self.mode == "min" then return current > threshold end
  return current < threshold
end

---The monitored number in state.logs; nil in an epoch that has none, such as one without validation. When it was never
---there although it could not be checked before the first step, the error lists what is there.
---@param state table
---@return number?
function monitor:read(state)
  local value = state.logs[self.name]
  if value ~= nil then
    self.known = true
  elseif not self.known then
    local names = {}
    for key in pairs(state.logs) do names[#names + 1] = key end
    usage(("unknown monitor '%s'%s"):format(self.name, nearest.suggest(self.name, names)))
  end
  return value
end

return monitor
