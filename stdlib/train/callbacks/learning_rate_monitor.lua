-- train.LearningRateMonitor: logs the learning rate of every parameter group, whoever sets it.
local learning_rate = require "train.learning_rate"
local options = require "train.options"
local ordered = require "host.ordered"

local LearningRateMonitor = {__name = "LearningRateMonitor", group = "metrics", writes = {"learning_rate"},
  writes_vary = true, state_fields = {}}
LearningRateMonitor.__index = LearningRateMonitor

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function LearningRateMonitor:check(state)
  learning_rate.check(state)
  self.writes = self:_names(state)
end

local function number(value) return type(value) == "userdata" and value:item() or value + 0.0 end

-- "learning_rate" of the first group; of others with its name, or its number from 1.
local function suffix(group, i)
  if i == 1 then return "" end
  return "_" .. (type(group.name) == "string" and group.name or tostring(i - 1))
end

local function write(self, state, logs)
  logs = logs or state.logs
  for i, group in ipairs(state.optimizer.param_groups) do
    local ending = suffix(group, i)
    logs["learning_rate" .. ending] = number(group.lr)
    if self.log_momentum then
      local momentum = group.momentum or group.betas and group.betas[1]
      if momentum then logs["momentum" .. ending] = number(momentum) end
    end
    if self.log_weight_decay and group.weight_decay then
      logs["weight_decay" .. ending] = number(group.weight_decay)
    end
  end
end

-- What it will write.
function LearningRateMonitor:_names(state)
  local logs = {}
  write(self, state, logs)
  return ordered.keys(logs)
end

function LearningRateMonitor:on_before_step(state)
  if self.logging_interval == "step" then write(self, state) end
end

-- Before schedulers and policies: the rates that the epoch ended with.
function LearningRateMonitor:on_epoch_end(state) write(self, state) end

---Logs `learning_rate` at the end of each epoch, as it was before a scheduler changes it; of further parameter groups
---`learning_rate_1`, `learning_rate_2` ..., or `learning_rate_<name>` where the group has a `name`.
---@param arguments? table logging_interval = "epoch" | "step" (also at each step), log_momentum = false (`momentum`, the first
---of betas), log_weight_decay = false, errors = "raise", budget
---@return table callback
return function(arguments)
  return setmetatable(options.of_callback("train.LearningRateMonitor", arguments, {
    logging_interval = "epoch", log_momentum = false, log_weight_decay = false,
  }, {logging_interval = {"epoch", "step"}, log_momentum = "flag", log_weight_decay = "flag"}), LearningRateMonitor)
end
