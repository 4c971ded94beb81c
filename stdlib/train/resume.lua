-- Going on from a checkpoint of a training, at the very step where it was taken.
local batches = require "train.batches"
local checkpoint = require "host.checkpoint"
local generators = require "host.generators"
local gradients = require "train.gradients"
local host = require "host"
local logs = require "train.logs"
local origin = require "train.origin"
local snapshot = require "train.snapshot"
local torch = require "torch"
local vm = require "native.vm"

local resume = {}

local is_module <const> = require("torch.nn.module").is_module

local function missing(folder)
  vm.raise("io", ("resume: there is no checkpoint in '%s'"):format(folder),
    "expected a folder with a manifest.json, or one of such folders")
end

---A usage error unless `resume` and `saved` of a training are what they may be.
---@param where string
---@param given table with resume and saved
function resume.check(where, given)
  local value = given.resume
  if value ~= nil and value ~= false and (type(value) ~= "string" or value == "") then
    vm.raise("usage", ('%s: resume must be "auto", the folder of a checkpoint or false, got %s'):format(where, vm.describe(value)))
  end
  if value and value ~= "auto" and #checkpoint.list(value) == 0 then missing(value) end
  if given.saved == nil then return end
  local ok = type(given.saved) == "table" and getmetatable(given.saved) == nil
  for name, object in pairs(ok and given.saved or {}) do
    local has, found = pcall(function() return generators.is_one(object) or object.state_dict and object.load_state_dict end)
    ok = ok and type(name) == "string" and has and found
  end
  if not ok then
    vm.raise("usage", where .. ": saved must be a table by name of what has state_dict and load_state_dict, or torch.Generators",
      "saved = {critic = critic, critic_optimizer = optimizer}")
  end
end

-- The first of these that is whole and holds a training; the others are told of.
local function first_good(paths)
  local damaged
  for _, path in ipairs(paths) do
    local ok, found = pcall(checkpoint.load, path)
    if ok and type(found.state) == "table" and math.type(found.state.steps_done) then
      if damaged then host.log.warn(("%s: %s is used in its place"):format(damaged, path)) end
      return path, found
    end
    if not ok then
      if type(found) ~= "table" or found.kind ~= "io" then error(found, 0) end
      if damaged then host.log.warn(damaged) end
      damaged = found.message
    end
  end
  if damaged then host.log.warn(damaged) end
  return nil
end

-- A folder of checkpoints, or one of them: if that is damaged the others beside it are as good.
local function find_in(folder)
  folder = folder:gsub("(.)/+$", "%1")
  local paths = checkpoint.list(folder)
  if #paths == 0 then
    missing(folder)
  end
  if paths[1] == folder then
    for _, path in ipairs(checkpoint.list(host.file.folder_of(folder))) do
      if path ~= folder then paths[#paths + 1] = path end
    end
  end
  local path, found = first_good(paths)
  if not path then vm.raise("io", ("resume: no checkpoint in '%s' is whole and of a training"):format(folder)) end
  return path, found
end

local function is_within(path, folder)
  path, folder = host.file.absolute(path), host.file.absolute(folder):gsub("(.)/+$", "%1")
  return path == folder or path:sub(1, #folder + 1) == folder .. "/"
end

---The checkpoint that a training begins from, if any.
---@param state table
---@return string? path
---@return table? contents
local function find(state)
  local wish = state.resume
  if wish == false then return nil end
  local path, found = first_good(checkpoint.list(table.unpack(snapshot.folders(state, wish ~= "auto"))))
  if wish == "auto" and #snapshot.folders(state) == 0 then
    host.log.warn('resume = "auto": no callback of this training writes checkpoints: train.BackupAndRestore and ModelCheckpoint do')
  end
  local is_by_name = wish ~= nil and wish ~= "auto"
  if not path then
    if is_by_name then return find_in(wish) end
    return nil
  end
  if found.state.origin and not (is_by_name and is_within(path, wish)) then
    origin.check_own(state, path, found.state.origin, snapshot.folders(state)[1])
  end
  return path, found
end

---The MLflow run of the checkpoint that a training will go on from: for who starts its run before the checkpoint is loaded.
---@param state table
---@return string? run_id
function resume.run_id(state)
  if not state:may_resume() then return nil end
  local path, found = find(state)
  state._found = path and {path, found}
  return found and found.state.run_id
end

local function load_model(state, saved, rest)
  local model = state.model
  model:load_state_dict(saved)
  if not (rest and is_module(model)) then return end
  local _ <close> = torch.no_grad()
  for name, buffer in model:named_buffers() do
    if rest.buffers[name] ~= nil then buffer:copy_(rest.buffers[name]) end
  end
end

local function set_of(names)
  local set = {}
  for _, name in ipairs(names) do set[name] = true end
  return set
end

local function load_modes(model, rest)
  local frozen, evaluating = set_of(rest.frozen), set_of(rest.evaluating)
  for name, parameter in model:named_parameters() do
    if parameter.requires_grad == (frozen[name] or false) then parameter:requires_grad_(not frozen[name]) end
  end
  for name, module in model:named_modules() do  -- parents come before children
    if module.training == (evaluating[name] or false) then module:train(not evaluating[name]) end
  end
end

local function load_window(state, saved)
  local window = state._window
  if not (window and saved) then return end
  window.count, window.samples, window.first = saved.count, saved.samples, saved.first
  for i, parameter in ipairs(gradients.parameters(state)) do
    local grad = saved.gradients[tostring(i)]
    parameter.grad = grad ~= nil and grad:to(parameter.device) or nil
  end
end

local function load_position(data, saved)
  if saved and batches.has_position(data) then data:load_state_dict(saved) end
end

local function load_user(state, user)
  local mine = state.user
  for key in pairs(mine) do mine[key] = nil end
  for key, value in pairs(user or {}) do mine[key] = value end
end

-- In this order: callbacks may make parameter groups, or schedulers that set rates, before the optimizer is loaded.
local function apply(state, found)
  local now, tensors = found.state, found.tensors
  for _, name in ipairs(snapshot.COUNTERS) do state[name] = now[name] or state[name] end
  if state.model and tensors.model then load_model(state, tensors.model, now.model) end
  for name, object in pairs(state.saved or {}) do
    local of_then = tensors.saved and tensors.saved[name]
    if of_then and generators.is_one(object) then object:set_state(of_then)
    elseif of_then then object:load_state_dict(of_then) end
  end
  if tensors.callbacks then state.callback_list:load_state_dict(tensors.callbacks, state) end
  if now.model and is_module(state.model) then load_modes(state.model, now.model) end
  if state.optimizer and tensors.optimizer then state.optimizer:load_state_dict(tensors.optimizer) end
  local scaler = state.arguments and state.arguments.scaler
  if scaler and now.scaler and next(now.scaler) then scaler:load_state_dict(now.scaler) end
  load_window(state, now.window)
  load_user(state, now.user)
  state.logs = logs.of(now.logs or {})
  state._within, state._epoch_random = now.within_epoch, now.random_at_epoch
  if not state._within then state._old_logs = state.logs
  elseif state._running and now.running then state._running:load_state_dict(now.running, state.logs, state) end
  load_position(state.train, now.loader)
  if not rawequal(state.valid, state.train) then load_position(state.valid, now.valid_loader) end
  state.started = state.clock() - (now.seconds or 0)
  if now.stop_reason then state:stop(now.stop_reason) end
end

local function place(now)
  if not now.within_epoch then return ("after epoch %d, step %d"):format(now.epochs_done, now.steps_done) end
  return ("in epoch %d after batch %d, step %d"):format(now.epoch + 1, now.epoch_batches, now.steps_done)
end

-- Data that do not go on where they were: told of before the first step.
local function tell_of_drift(names)
  host.log.warn(("resume: '%s' of the data had changed when the checkpoint was taken, which does not hold it: the batches may not "
    .. "be those of a training that was never stopped. Let them depend on the epoch that the function is given and on the default "
    .. "random numbers alone, give a torch.Generator in saved = {name = generator}, or data with state_dict and load_state_dict")
    :format(table.concat(names, "', '")))
end

---Once the callbacks have heard that the training begins: loads the checkpoint that is to be gone on from, if there is one.
---@param state table
function resume.begin(state)
  local path, found = table.unpack(state._found or {find(state)})
  state._found = nil
  if not path then return end
  local was = found.state.origin
  origin.begin(state)
  if was then origin.check_optimizer(state, path, was) end
  local ok, err = pcall(apply, state, found)
  if not ok then
    if type(err) == "table" and type(err.message) == "string" and err.kind ~= "interrupted" then
      err.message = ("the checkpoint %s does not fit this training: %s"):format(path, err.message)
    end
    error(err, 0)
  end
  state.resumed, state.resumed_time, state.resumed_run = path, found.state.time or host.time(), found.state.run_id
  state.checkpoint = {path = path, weights_only = false}
  host.log.info(("goes on from %s, %s"):format(path, place(found.state)))
  if was then origin.tell(state, was) end
  if found.state.drifted then tell_of_drift(found.state.drifted) end
  state:emit("checkpoint_load")
  if found.state.random then generators.restore(found.state.random) end
end

---A training has ended well.
---@param state table
function resume.finish(state) origin.finish(state, snapshot.folders(state)[1]) end

---Walks over the batches of an epoch of a training, from the one after those that it has done.
---@param state table
---@param data any
---@param limit? integer
---@return function, any, any, any for-values as batches.each gives them
function resume.each(state, data, limit)
  local done = state.epoch_batches
  if not batches.is_made_anew(data) then return batches.each(data, limit, state.epoch, done) end
  if done == 0 then
    state._epoch_random = generators.take()
    return batches.each(data, limit, state.epoch)
  end
  -- Those that are done are made once more, with the random numbers of then.
  local now = generators.take()
  if state._epoch_random then generators.restore(state._epoch_random) end
  local iterate, s, control, close = batches.each(data, limit, state.epoch, done)
  generators.restore(now)
  return iterate, s, control, close
end

return resume
