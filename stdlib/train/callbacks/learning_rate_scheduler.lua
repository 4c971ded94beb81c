-- train.LearningRateScheduler: the learning rate of each epoch from a function.
local keywords = require "host.keywords"
local learning_rate = require "train.learning_rate"
local numbers = require "train.numbers"
local options = require "train.options"

local LearningRateScheduler = {__name = "LearningRateScheduler", group = "policy", writes = {"learning_rate"},
  state_fields = {}}
LearningRateScheduler.__index = LearningRateScheduler

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function LearningRateScheduler:check(state) learning_rate.check(state) end

function LearningRateScheduler:on_epoch_begin(state)
  local lr = self.schedule(state.epoch, learning_rate.get(state.optimizer))
  if not (type(lr) == "number" and lr >= 0 and lr < math.huge) then
    local vm = require "native.vm"
    vm.raise("usage", ("schedule must return a learning rate of 0 or more, got %s at epoch %d (epoch = %d of schedule)"):format(
      vm.describe(lr), state.epoch + 1, state.epoch))
  end
  learning_rate.set(state.optimizer, lr + 0.0)
  if self.verbose then
    state:say(("Epoch %d: LearningRateScheduler setting learning rate to %s."):format(state.epoch + 1,
      numbers.text(lr + 0.0)))
  end
end

function LearningRateScheduler:on_epoch_end(state)
  state.logs.learning_rate = learning_rate.get(state.optimizer)
end

---Sets the learning rate at the begin of each epoch to `schedule(epoch, lr)`, epoch counted from 0.
---@param arguments table|fun(epoch: integer, lr: number): number {schedule = function, verbose = 0|1 (prints Keras's
---messages), errors = "raise", budget}; a function alone is the schedule
---@return table callback
return function(arguments)
  if type(arguments) == "function" then arguments = {schedule = arguments} end
  return setmetatable(options.of_callback("train.LearningRateScheduler", arguments,
    {schedule = keywords.required, verbose = false}, {schedule = "function", verbose = "verbose"}), LearningRateScheduler)
end
