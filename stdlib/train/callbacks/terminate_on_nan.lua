-- train.TerminateOnNaN: stops at the batch whose loss is NaN or infinite. Reads the loss of every batch.
local numbers = require "train.numbers"
local options = require "train.options"

local TerminateOnNaN = {__name = "TerminateOnNaN", group = "policy", state_fields = {}}
TerminateOnNaN.__index = TerminateOnNaN

function TerminateOnNaN:on_batch_end(state)
  local loss = state.logs.loss
  if not loss or loss - loss == 0 then return end
  if self.raise_error then
    require("native.vm").raise("usage", ("NaN or Inf loss encountered at batch %d. Loss value: %s. Terminating training immediately.")
      :format(state.batch, numbers.text(loss)))
  end
  state:stop(("loss is %s at epoch %d, batch %d"):format(numbers.text(loss), state.epoch + 1, state.batch + 1))
end

---Stops training when the loss is NaN or infinite. As in Keras it looks when the batch has ended: the step with that
---loss has been taken, so the weights of then are spoilt too. Validation, epoch_end and train_end still come.
---@param arguments? table raise_error = false (true: an error ends the training at once), errors = "raise", budget
---@return table callback
return function(arguments)
  return setmetatable(options.of_callback("train.TerminateOnNaN", arguments, {raise_error = false}, {raise_error = "flag"}),
    TerminateOnNaN)
end
