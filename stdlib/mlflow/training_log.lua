-- A training's parameters, metrics, models and checkpoints in an MLflow run: what mlflow.callback and mlflow.autolog are.
--
-- Keys are those of Keras's autolog (epochs, batch_size, opt_*, loss, <metric>, val_<metric>, validation_<metric>), or with
-- style = "lightning" of Lightning's; steps are epochs from 0. What cannot be logged is a failure of the run
-- (failures.lua), never of the training.
local active_run = require "train.active_run"
local failures = require "mlflow.failures"
local interval = require "train.interval"
local model_artifacts = require "mlflow.model_artifacts"
local snapshot = require "train.snapshot"
local training_params = require "mlflow.training_params"
local vm = require "native.vm"

local Callback = {__name = "mlflow", group = "logging", state_fields = {"memory"}}
Callback.__index = Callback

--- It looks at its neighbours: what EarlyStopping does is logged.
---@private
function Callback:entered(list) self._entries = list.entries end

local function usage(message, hint) vm.raise("usage", "mlflow.callback: " .. message, hint) end

-- A dry run of train.fit alone; where all of the script is one the run itself keeps nothing.
local function dry(state) return state.dry_run and not require("host").dry_run() end

-- Does what may fail: a failure of the run, unless the script has said what becomes of it.
local function try(self, f, ...)
  if self.errors == nil then return failures.try(self._run, {quiet = self.silent, retries = self._owed}, f, ...) end
  f(...)
  return true
end

local function logs_models(self, state)
  return state.model and (self.log_models or self.log_models == nil and self.every ~= nil)
end

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function Callback:check(state)
  local saves = self.checkpoint and not self.checkpoint_save_weights_only
  if self._autolog then
    if saves then pcall(snapshot.check, state) end  -- what cannot be kept is told where it is tried
    return
  end
  if saves then snapshot.check(state) end
  self._run = self.run or active_run()
  if not self._run then usage("there is no active run", 'local run <close> = mlflow.start_run{run_name = "..."}') end
  if (self.every or self.log_models) and self.log_models ~= false and not state.model then usage("every needs a model") end
end

-- --- Metrics

local function number_of(value)
  if type(value) == "userdata" then
    local ok, number = pcall(function() return value:item() end)
    value = ok and number or nil
  end
  return type(value) == "number" and value or nil
end

-- The numbers of now; what a loop by hand has as state.loss alone is its loss.
local function numbers_of(state)
  local values = {}
  local function add(key, value) values[key] = number_of(value) end
  for key, value in pairs(state.logs or {}) do add(key, value) end
  if values.loss == nil and not state.arguments then add("loss", state.loss) end
  return values
end

local function lightning_key(key)
  return (key:find("^val_") or key:find("^train_") or key == "learning_rate") and key or "train_" .. key
end

-- The keys of the style.
local function named(self, values)
  local all = {}
  for key, value in pairs(values) do
    local own = key:match("^val_(.+)$")
    if self.style == "lightning" then
      all[lightning_key(key)] = value
    else
      all[key] = value
      if own then all["validation_" .. own] = value end
    end
  end
  return all
end

-- All at once, or one by one where one of them is refused: it keeps none of the others.
local function log_each(self, all, one, values, ...)
  local run = self._run
  if pcall(run[all], run, values, ...) then return end
  for _, key in ipairs(require("host.ordered").keys(values)) do try(self, run[one], run, key, values[key], ...) end
end

local function log_metrics(self, values, step)
  if self._again then values = self._again(values, step) end
  log_each(self, "log_metrics", "log_metric", values, {step = step})
end

local function log_params(self, values) log_each(self, "log_params", "log_param", values) end

-- Those of the training alone, while an epoch is under way: one by one, for this may be every step.
local function log_step(self, state)
  local run, step, values = self._run, state.steps_done, self._again and {}
  self._logged_step = step
  for key, value in pairs(state.logs or {}) do
    if not key:find("^val_") then
      if self.style == "lightning" then key = lightning_key(key) end
      local kind = type(value)
      if values then values[key] = number_of(value)
      elseif kind == "number" or kind == "userdata" then try(self, run.log_metric, run, key, value, step) end
    end
  end
  if values then log_metrics(self, values, step) end
end

local function log_epoch(self, state, values)
  log_metrics(self, named(self, values), state.epoch + self.step_base)
  self._logged_epoch = state.epoch
end

-- Where steps are logged alone the validation has the step that it was made at.
local function log_validation(self, state, values)
  local of_validation = {}
  for key, value in pairs(named(self, values)) do
    local wanted = self.style == "lightning" and key:find("^val_") or key:find("^validation_")
    if wanted then of_validation[key] = value end
  end
  if next(of_validation) then log_metrics(self, of_validation, state.steps_done) end
end

-- --- Models and checkpoints

local AWAY <const> = 300  -- seconds in which a server that took no model is not asked again

-- Deletes what keep_last_models does not keep.
local function sort_out(self)
  local models = self.memory.models
  while self.keep_last_models and #models > self.keep_last_models do
    model_artifacts.delete(models[1], self.registered_model_name)
    table.remove(models, 1)
  end
end

-- A server that does not take the model now gets it as files of the run, which wait for it; what cannot be kept there either
-- is tried again at the end of the next epoch.
local function log_model(self, state, name, values)
  self._sample = self._sample or model_artifacts.sample(state)
  local run, model, info = self._run, state.model, nil
  local options, training = model_artifacts.of_training(state, name, self, {metrics = values, sample = self._sample})
  local is_away = self._away_until and vm.clock() < self._away_until
  if not is_away and not try(self, function() info = run:log_model(model, options, training) end)
    and require("mlflow").get_tracking_uri():find("^https?:") then
    self._away_until = vm.clock() + AWAY
  end
  if not info and not try(self, model_artifacts.log_as_files, run, model, options, training) then
    self._owed = (self._owed or 0) + 1
    return
  end
  self._owed, self._modelled_epoch = nil, state.epoch
  if info and name ~= "model" then
    table.insert(self.memory.models, {model_id = info.model_id, artifact_path = info.artifact_path,
      version = info.registered_model_version})
    try(self, sort_out, self)
  end
end

-- Is there one to be logged as a checkpoint? With checkpoint_save_best_only the best so far.
local function is_best(self, values)
  local value, best = values[self.checkpoint_monitor], self.memory.best_checkpoint
  if value == nil then
    if not self._told_monitor and not self.silent then
      require("host").log.warn(("mlflow: no checkpoints are logged: there is no %s to compare; checkpoint_monitor names another")
        :format(self.checkpoint_monitor))
    end
    self._told_monitor = true
    return false
  end
  if best == nil then return value == value end
  if self.checkpoint_mode == "min" then return value < best end
  return value > best
end

-- One that fails leaves its place to the next one.
local function log_checkpoint(self, state, values)
  if self.checkpoint_save_best_only and not is_best(self, values) then return end
  if try(self, model_artifacts.log_checkpoint, self._run, state, self, values) then
    self.memory.best_checkpoint = values[self.checkpoint_monitor]
  end
end

-- ModelCheckpoint has saved: the folder or file becomes an artifact under checkpoints/.
function Callback:on_checkpoint_save(state)
  if not self.log_checkpoints or not self._run or dry(state) then return end
  local path, run = state.checkpoint.path, self._run
  local name = path:match("([^/]+)/*$")
  try(self, function()
    if state.checkpoint.weights_only then
      run:log_artifact(path, "checkpoints")
    else
      run:log_artifacts(path, "checkpoints/" .. name)
    end
    run:set_tag("mlflow.latest_checkpoint_artifact", "checkpoints/" .. name)
  end)
end

-- --- The training

local function tags_of(self)
  local tags = {}
  if not self._autolog then
    for key, value in pairs(self.extra_tags or {}) do tags[key] = value end
  else
    tags["mlflow.autologging"] = "trainhost"
  end
  if self.style == "lightning" then tags.Mode = "training" end
  return tags
end

-- A loop with a state is no plain one.
local function leave_to(state, is_begun)
  local plain_loop = package.loaded["mlflow.plain_loop"]
  if plain_loop then plain_loop.leave(state, is_begun) end
end

-- The data that are trained on and validated with.
local function log_data(self, state)
  local dataset_of, run = require "mlflow.training_data", self._run
  for _, one in ipairs {{state.train, "train"}, {state.valid, "eval"}} do
    local dataset = one[1] ~= nil and dataset_of(one[1])
    if dataset then run:log_input(dataset, one[2]) end
  end
end

-- Runs that were there before this process -> the filter of what they held then: a training that was killed before its first
-- checkpoint comes once more from its beginning.
local held = setmetatable({}, {__mode = "k"})

function Callback:on_train_begin(state)
  leave_to(state, true)
  self.memory = {models = {}}
  for _, name in ipairs {"_logged_epoch", "_logged_step", "_modelled_epoch", "_sample", "_owed", "_again",
    "_away_until"} do self[name] = nil end
  if self._autolog then self._run = self._autolog:run_of(state) end
  local run = self._run
  if not run then return end
  if dry(state) then return require("host.overlay").tell("what is logged to run " .. run.info.run_name) end
  failures.follow(run, state)
  state.run = run
  if run._goes_on and not state.dry_run then
    held[run] = held[run] or require "mlflow.again"(run)
    self._again = held[run]
  end
  log_params(self, training_params.of(state, self.style, self._entries))
  for key, value in pairs(tags_of(self)) do try(self, run.set_tag, run, key, value) end
  try(self, require "mlflow.provenance", run)
  if self.log_datasets then try(self, log_data, self, state) end
  if self.log_model_summary and state.model then
    try(self, function() run:log_text(model_artifacts.summary(state.model), "model_summary.txt") end)
  end
end

-- Is it the run of the checkpoint? That may have the id that the run had before its server knew it.
local function is_resumed(run, id)
  return id and (run.info.run_id == id or run._handle and require("native.track").is_run(run._handle, id))
end

-- The training goes on in its run: what came after the checkpoint is there already, also what this process has logged.
function Callback:on_checkpoint_load(state)
  local run = self._run
  if run and is_resumed(run, state.resumed_run) then self._again = require "mlflow.again"(run) end
end

-- The values that EarlyStopping may restore, for the end of the training.
local function remember_best(self, state, values)
  local stopping = training_params.early_stopping(self._entries)
  if stopping and stopping.best_epoch == state.epoch then self.memory.best = {epoch = state.epoch, values = values} end
end

function Callback:on_epoch_end(state)
  if not self._run or dry(state) then return end
  local values = numbers_of(state)
  local is_last = state.stopping or state.epochs and state.epoch + 1 >= state.epochs
  local is_due = self._at_epochs and interval.due(self._at_epochs, state, "epoch_end", self.memory, "epochs")
  remember_best(self, state, values)
  -- Before the metrics of its step, which become the model's too.
  if logs_models(self, state) and (is_due or self._owed or self.every and is_last) then
    log_model(self, state, ("epoch_%d"):format(state.epoch + 1), values)
  end
  if self.log_every_epoch and ((state.epoch + 1) % self.log_every_n_epoch == 0 or is_last)
    or not self.log_every_epoch and self.every and (is_due or is_last) then
    log_epoch(self, state, values)
  elseif self._steps then
    log_validation(self, state, values)
  end
  if self.checkpoint and state.model and self.checkpoint_save_freq == "epoch" then
    state:after("epoch_end", function() log_checkpoint(self, state, values) end)  -- what all have made of the epoch is in it
  end
end

-- The hook of those who log within an epoch; no batch of the others pays for it.
local function at_batch_end(self, state)
  if not self._run or dry(state) then return end
  if self._steps and state.steps_done ~= self._logged_step and state.steps_done % self._steps == 0 then
    log_step(self, state)
  end
  if self._at_batches and interval.due(self._at_batches, state, "batch_end", self.memory, "batches") then
    local values = numbers_of(state)
    if logs_models(self, state) then log_model(self, state, ("global_step_%d"):format(state.steps_done), values) end
    if not self.log_every_epoch and not self._steps then log_step(self, state) end
  end
  local freq = self.checkpoint and state.model and self.checkpoint_save_freq
  if freq and freq ~= "epoch" and state.batches_done % freq == 0 then
    state:after("batch_end", function() log_checkpoint(self, state, numbers_of(state)) end)
  end
end

-- Keras's table: where it stopped, what was restored, and that epoch's metrics again one step later.
local function log_early_stop(self, state)
  local stopping = training_params.early_stopping(self._entries)
  if not stopping or not stopping.stopped_epoch then return end
  local metrics = {stopped_epoch = stopping.stopped_epoch}
  if state.restored_epoch then metrics.restored_epoch = state.restored_epoch end
  if self.style == "lightning" then metrics.wait_count, metrics.best_score = stopping.wait, stopping.best end
  log_metrics(self, metrics, 0)
  local best = self.memory.best
  if self.style == "keras" and best and best.epoch == state.restored_epoch then
    log_metrics(self, best.values, stopping.stopped_epoch + self.step_base + 1)
  end
end

-- What no epoch or step has logged: the end of a loop by hand without epochs, the last steps.
local function log_rest(self, state)
  local values = numbers_of(state)
  if next(values) == nil then return end
  if self._steps and state.steps_done > 0 and self._logged_step ~= state.steps_done then log_step(self, state) end
  local has_begun = state.epoch_batches > 0 and state.epochs_done <= state.epoch
  if not self._steps and has_begun and self._logged_epoch ~= state.epoch then log_epoch(self, state, values) end
end

local function finish(self, state)
  if logs_models(self, state) then
    local values = numbers_of(state)
    if self.every and self._modelled_epoch ~= state.epoch then
      log_model(self, state, ("epoch_%d"):format(state.epoch + 1), values)
    end
    log_model(self, state, "model", values)
  end
  if self._autolog then self._autolog:finish(self._run, state) end
end

function Callback:on_train_end(state)
  leave_to(state, false)
  if not self._run or dry(state) then return end
  local run = self._run
  log_rest(self, state)
  log_params(self, (require("host").params()))  -- those that were read since
  if state.stop_reason then try(self, run.set_tag, run, "stop_reason", state.stop_reason) end
  log_early_stop(self, state)
  state:after("train_end", function() finish(self, state) end)
end

function Callback:on_exception(state)
  leave_to(state, false)
  if self._autolog and self._run then self._autolog:finish(self._run, state) end
end

-- A train.evaluate of its own: Keras's callback has validation_<metric>, Lightning's test has test_<metric>.
function Callback:on_evaluate_end(state)
  if state.arguments then return end  -- of a train.fit
  self._run = self._run or self.run or active_run()
  if not self._run or dry(state) then return end
  local lightning, metrics = self.style == "lightning", {}
  for key, value in pairs(numbers_of(state)) do metrics[(lightning and "test_" or "validation_") .. key] = value end
  log_metrics(self, metrics, (self._logged_epoch or 0) + self.step_base)
  if lightning then try(self, self._run.set_tag, self._run, "Mode", "testing") end
end

---The callback of options that have been read.
---@param o table of logging_options.read
---@param autolog? table who begins and ends its runs
---@return table callback
return function(o, autolog)
  local self = setmetatable(o, Callback)
  self._autolog, self.memory = autolog, {models = {}}
  if self._steps or self._at_batches or self.checkpoint and self.checkpoint_save_freq ~= "epoch" then
    self.on_batch_end = at_batch_end
  end
  return self
end
