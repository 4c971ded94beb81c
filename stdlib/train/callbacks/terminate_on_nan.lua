-- train.TerminateOnNaN: stops at the batch whose loss is NaN or infinite. Reads the loss of every batch.
local keywords = require "host.keywords"
local options = require "train.options"

local TerminateOnNaN = {__name = "TerminateOnNaN", group = "policy", state_fields = {}}
TerminateOnNaN.__index = TerminateOnNaN

function TerminateOnNaN:on_batch_end(state)
  local loss = state.logs.loss
  if loss and (loss ~= loss or math.abs(loss) == math.huge) then
    state:stop(("loss is %s at epoch %d, batch %d"):format(loss ~= loss and "nan" or loss > 0 and "inf" or "-inf",
      state.epoch + 1, state.batch + 1))
  end
end

---Stops training when the loss is NaN or infinite.
---@return table callback
return function(arguments)
  local given = keywords.check("train.TerminateOnNaN", arguments, {name = "TerminateOnNaN"})
  return setmetatable(options.check("train.TerminateOnNaN", given, {name = "text"}), TerminateOnNaN)
end
