-- What a checkpoint holds of a training, and writing it.
local logs = require "train.logs"

local snapshot = {}

---Writes the model's weights into one .safetensors file.
---@param path string
---@param state table
function snapshot.save_weights(path, state)
  require("host.checkpoint").save_tensors(path, state.model:state_dict())
end

---Writes a checkpoint folder (the model, the optimizer, the callbacks' states, the counters), then points the link
---`latest` beside it at it.
---@param folder string
---@param state table
function snapshot.save(folder, state)
  local checkpoint = require "host.checkpoint"
  local loader = state.train
  loader = type(loader) == "table" and getmetatable(loader) and loader.state_dict and loader:state_dict() or nil
  checkpoint.save(folder, {
    tensors = {
      model = state.model:state_dict(),
      optimizer = state.optimizer and state.optimizer.state_dict and state.optimizer:state_dict() or nil,
      callbacks = state.callback_list:state_dict(),
    },
    state = {
      epoch = state.epoch, batch = state.batch, epochs_done = state.epochs_done, batches_done = state.batches_done,
      steps_done = state.steps_done, epoch_batches = state.epoch_batches, seconds = state:elapsed(),
      logs = logs.copy(state.logs), user = state.user, loader = loader,
    },
  })
  checkpoint.link(folder, "latest")
end

return snapshot
