-- What a checkpoint holds of a training, and writing it.
local tree = require "train.tree"

local snapshot = {}

-- A state dict as a list of {name, tensor}.
local function listed(state_dict)
  local list = {}
  for name, tensor in pairs(state_dict) do list[#list + 1] = {name, tensor} end
  return list
end

---Writes the model's weights into one .safetensors file.
function snapshot.save_weights(path, state)
  require("host.checkpoint").save_tensors(path, state.model:state_dict())
end

---Writes a checkpoint folder: model.safetensors, optimizer.safetensors, callbacks.safetensors where callbacks hold
---tensors, state.json; then points the link `latest` beside it at it.
function snapshot.save(folder, state)
  local checkpoint = require "host.checkpoint"
  local tensors = {model = state.model:state_dict()}
  local plain = {
    epoch = state.epoch, batch = state.batch, epochs_done = state.epochs_done, batches_done = state.batches_done,
    steps_done = state.steps_done, epoch_batches = state.epoch_batches, seconds = state:elapsed(),
    phase = state.phase, logs = require("train.logs").copy(state.logs),
  }
  if state.optimizer and state.optimizer.state_dict then
    plain.optimizer, tensors.optimizer = tree.take_apart(state.optimizer:state_dict(), "optimizer")
  end
  plain.callbacks, tensors.callbacks = tree.take_apart(state.callback_list:state_dict(), "callbacks")
  checkpoint.save(folder, {tensors = tensors, state = plain})
  checkpoint.link(folder, "latest")
end

return snapshot
