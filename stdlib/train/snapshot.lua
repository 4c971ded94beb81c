-- What a checkpoint holds of a training, and writing it.
--
-- Everything that the next step depends on: with the same script and data, a training that goes on from it is the one that
-- was never stopped, bit for bit. train/resume.lua is the way back.
local active_run = require "train.active_run"
local batches = require "train.batches"
local callback_state = require "train.callback_state"
local checkpoint = require "host.checkpoint"
local drift = require "train.drift"
local generators = require "host.generators"
local gradients = require "train.gradients"
local host = require "host"
local logs = require "train.logs"
local ordered = require "host.ordered"
local origin = require "train.origin"
local structure = require "torch.structure"

local is_module <const> = require("torch.nn.module").is_module

local snapshot = {}

---The counters of a state, in the order of the file.
snapshot.COUNTERS = {"epoch", "batch", "step", "epochs_done", "batches_done", "steps_done", "epoch_batches"}

---What of a model is no part of its state_dict: buffers that are not persistent, frozen parameters, modules in evaluation.
local function rest_of_model(model)
  local known, rest = model:state_dict(), {buffers = {}, frozen = {}, evaluating = {}}
  for name, buffer in model:named_buffers() do
    if known[name] == nil then rest.buffers[name] = buffer end
  end
  for name, parameter in model:named_parameters() do
    if not parameter.requires_grad then rest.frozen[#rest.frozen + 1] = name end
  end
  for name, module in model:named_modules() do
    if not module.training then rest.evaluating[#rest.evaluating + 1] = name end
  end
  return rest
end

local function position(data) return batches.has_position(data) and data:state_dict() or nil end

-- The batches since the last step, and their gradients; those of an epoch's last step are for the hooks of its end.
local function window_of(state, within)
  local window = state._window
  if not (window and (window.count > 0 or within and state.epoch_batches == state._train_count)) then return nil end
  local grads = {}
  for i, parameter in ipairs(gradients.parameters(state)) do
    if parameter.grad ~= nil then grads[tostring(i)] = parameter.grad end
  end
  return {count = window.count, samples = window.samples, first = window.first, gradients = grads}
end

local function script()
  local ok, text = pcall(host.file.read, host.script or "")
  return {name = host.script, xxh3_128 = ok and require("native.save").checksum(text) or nil}
end

local function run_id(state)
  local run = active_run(state)
  return run and run.info.run_id or nil
end

---The folders that callbacks of this training write checkpoints into: `to_recover` alone, or all.
---@param state table
---@param to_recover? boolean
---@return string[]
function snapshot.folders(state, to_recover)
  local folders = {}
  for _, entry in ipairs(state.callback_list and state.callback_list.entries or {}) do
    local callback = entry.callback
    if callback.checkpoint_folder and (callback.recovers or not to_recover) then
      folders[#folders + 1] = callback:checkpoint_folder()
    end
  end
  return folders
end

local function dict_of(object) return object and object.state_dict and object:state_dict() or nil end

---What a checkpoint of now holds: for host.checkpoint.save.
---@param state table
---@return table contents
function snapshot.contents(state)
  local now, scaler = {}, state.arguments and state.arguments.scaler
  for _, name in ipairs(snapshot.COUNTERS) do now[name] = state[name] end
  local within = state.epochs_done <= state.epoch and state.epoch_batches > 0
  now.within_epoch = within
  now.seconds, now.stop_reason = state:elapsed(), state._lasting_stop
  now.logs, now.user = ordered.new(), state.user
  for _, key in ipairs(logs.keys(state.logs)) do now.logs[key] = state.logs[key] end
  now.running = within and state._running and state._running:state_dict() or nil
  now.window = window_of(state, within)
  now.random, now.random_at_epoch = generators.take(), within and state._epoch_random or nil
  now.loader, now.valid_loader = position(state.train), position(state.valid)
  now.scaler = scaler and scaler:state_dict() or nil
  now.model = is_module(state.model) and rest_of_model(state.model) or nil
  now.script, now.run_id, now.versions, now.time = script(), run_id(state), host.versions, host.time()
  now.drifted, now.origin = drift.names(state), origin.contents(state, snapshot.folders(state)[1])
  local saved = {}
  for name, object in pairs(state.saved or {}) do saved[name] = generators.is_one(object) and object:get_state() or object:state_dict() end
  return {
    tensors = {
      model = dict_of(state.model), optimizer = dict_of(state.optimizer),
      callbacks = state.callback_list and state.callback_list:state_dict() or nil,
      saved = next(saved) and saved or nil,
    },
    state = now,
  }
end

---A usage error where something of a training cannot be kept, before its first step.
---@param state table
function snapshot.check(state)
  if not state._before then drift.begin(state) end
  origin.begin(state)
  local function try(value, where) structure.take_apart("a checkpoint cannot be written", value, where, {}) end
  try(state.user, "state.user")
  for _, entry in ipairs(state.callback_list and state.callback_list.entries or {}) do
    -- A state_dict may need what only a training that has begun has.
    local ok, found = pcall(callback_state.get, entry.callback)
    if ok then
      try(found, "the state of callback " .. entry.title)
    elseif type(found) == "table" and found.kind == "interrupted" then
      error(found, 0)
    end
  end
end

---Writes the model's weights into one .safetensors file.
---@param path string
---@param state table
function snapshot.save_weights(path, state)
  checkpoint.save_tensors(path, state.model:state_dict())
end

---The same by a thread: the training waits for the copies alone.
---@param path string
---@param state table
---@return table writing of host.checkpoint.submit_tensors
function snapshot.submit_weights(path, state) return checkpoint.submit_tensors(path, state.model:state_dict()) end

---Writes a checkpoint folder by a thread, then points the link `latest` beside it at it.
---@param folder string
---@param state table
---@param replaceable? boolean
---@return table writing of host.checkpoint.submit
function snapshot.submit(folder, state, replaceable)
  return checkpoint.submit(folder, snapshot.contents(state), "latest", replaceable)
end

local TOLD <const> = {"epoch", "batch", "step", "logs"}

---What `checkpoint_save` tells of, once the checkpoint that is being made now is there.
---@param state table
---@return table
function snapshot.moment(state)
  local at = {}
  for _, name in ipairs(TOLD) do at[name] = state[name] end
  return at
end

---Tells of a checkpoint that is there, at the moment when it was made.
---@param state table
---@param saved table path, weights_only ...: state.checkpoint from then on
---@param at table
function snapshot.tell(state, saved, at)
  local now = snapshot.moment(state)
  local function move(to)
    for _, name in ipairs(TOLD) do state[name] = to[name] end
  end
  local _ <close> = setmetatable({}, {__close = function() move(now) end})
  move(at)
  state.checkpoint = saved
  state:emit("checkpoint_save")
end

return snapshot
