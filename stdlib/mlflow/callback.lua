-- mlflow.callback: a training's parameters, the metrics of each epoch and its checkpoints, in an MLflow run.
--
-- Keys are those of Keras's autolog: epochs, batch_size, opt_*, loss, <metric>, val_<metric>; steps are epochs from 0.
local interval = require "train.interval"
local keywords = require "host.keywords"
local options = require "train.options"

local Callback = {__name = "mlflow", group = "logging", state_fields = {"memory"}}
Callback.__index = Callback

local function usage(message, hint) require("native.vm").raise("usage", "mlflow.callback: " .. message, hint) end

-- A dry run of train.fit alone; where all of the script is one the run itself keeps nothing.
local function dry(state) return state.dry_run and not require("host").dry_run() end

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function Callback:check(state)
  self._run = self.run or require("mlflow").active_run()
  if not self._run then usage("there is no active run", 'local run <close> = mlflow.start_run{run_name = "..."}') end
  if self.every and not state.model then usage("every needs a model") end
end

-- PyTorch's names of hyperparameters as Keras has them.
local function optimizer_params(optimizer, params)
  params.opt_name = optimizer.__name or "optimizer"
  for key, value in pairs(optimizer.defaults or {}) do
    if key == "lr" then
      params.opt_learning_rate = value
    elseif key == "eps" then
      params.opt_epsilon = value
    elseif key == "betas" and type(value) == "table" then
      params.opt_beta_1, params.opt_beta_2 = value[1], value[2]
    elseif type(value) ~= "userdata" and type(value) ~= "function" then
      params["opt_" .. key] = value
    end
  end
end

local FIT <const> = {"epochs", "max_steps", "max_time", "accumulate", "clip_grad_norm", "clip_grad_value", "seed",
  "limit_train_batches", "limit_valid_batches"}
local STOPPING <const> = {"monitor", "min_delta", "patience", "baseline", "restore_best_weights"}

-- The defaults that say nothing are left out.
local function fit_params(state)
  local params, a = {}, state.arguments or {}
  for _, key in ipairs(FIT) do
    if a[key] ~= nil and not (key == "accumulate" and a[key] == 1) then params[key] = a[key] end
  end
  local ok, batch_size = pcall(function() return state.train.batch_size end)
  if ok and batch_size then params.batch_size = batch_size end
  if state.optimizer then optimizer_params(state.optimizer, params) end
  for _, entry in ipairs(state.callback_list and state.callback_list.entries or {}) do
    if entry.base_name == "EarlyStopping" then
      for _, key in ipairs(STOPPING) do params[key] = entry.callback[key] end
    end
  end
  return params
end

function Callback:on_train_begin(state)
  self.memory, self._again = {}, nil
  if dry(state) then return require("host.overlay").tell("what is logged to run " .. self._run.info.run_name) end
  local host = require "host"
  local params = fit_params(state)
  for key, value in pairs((host.params())) do params[key] = value end  -- a name of the script's own stands
  self._run:log_params(params)
  if self.log_model_summary and state.model then self._run:log_text(tostring(state.model), "model_summary.txt") end
end

local function numbers_of(logs)
  local values = {}
  for key, value in pairs(logs) do
    if type(value) == "number" then values[key] = value end
  end
  return values
end

-- Logs the weights of now as <folder>/checkpoint.safetensors with the metrics of now beside it.
local function log_weights(self, state, folder)
  local host = require "host"
  local name = os.tmpname()
  os.remove(name)
  host.file.mkdir(name)
  local path = name .. "/checkpoint.safetensors"
  local ok, err = pcall(function()
    require("train.snapshot").save_weights(path, state)
    self._run:log_artifact(path, folder)
    self._run:log_dict({epoch = state.epoch, global_step = state.steps_done, metrics = numbers_of(state.logs)},
      folder .. "/checkpoint_metrics.json")
  end)
  host.file.remove(name)
  if not ok then error(err, 0) end
  self._run:set_tag("mlflow.latest_checkpoint_artifact", folder .. "/checkpoint.safetensors")
end

function Callback:on_epoch_end(state)
  if dry(state) then return end
  local values, step = numbers_of(state.logs), state.epoch + self.step_base
  self._run:log_metrics(self._again and self._again(values, step) or values, {step = step})
  if self._at_epochs and interval.due(self._at_epochs, state, "epoch_end", self.memory, "epochs") then
    log_weights(self, state, ("checkpoints/epoch_%d"):format(state.epoch + 1))
  end
end

function Callback:on_checkpoint_load(state)
  local run = self._run
  if state.resumed_run and run.info and run.info.run_id == state.resumed_run then self._again = require "mlflow.again"(run) end
end

-- The hook of those whose weights are logged within an epoch.
local function at_batch_end(self, state)
  if interval.due(self._at_batches, state, "batch_end", self.memory, "batches") then
    log_weights(self, state, ("checkpoints/global_step_%d"):format(state.steps_done))
  end
end

-- ModelCheckpoint has saved: the folder or file becomes an artifact under checkpoints/.
function Callback:on_checkpoint_save(state)
  if not self.log_checkpoints then return end
  local path = state.checkpoint.path
  local name = path:match("([^/]+)/*$")
  if state.checkpoint.weights_only then
    self._run:log_artifact(path, "checkpoints")
  else
    self._run:log_artifacts(path, "checkpoints/" .. name)
  end
  self._run:set_tag("mlflow.latest_checkpoint_artifact", "checkpoints/" .. name)
end

function Callback:on_train_end(state)
  if not state.stop_reason or dry(state) then return end
  self._run:set_tag("stop_reason", state.stop_reason)
  for _, entry in ipairs(state.callback_list and state.callback_list.entries or {}) do
    if entry.base_name == "EarlyStopping" and entry.callback.stopped_epoch then
      self._run:log_metric("stopped_epoch", entry.callback.stopped_epoch, {step = 0})
    end
  end
  if state.restored_epoch then self._run:log_metric("restored_epoch", state.restored_epoch, {step = 0}) end
end

---Logs a training into an MLflow run: its parameters and every host.param, a metric of each log and epoch, the checkpoints
---that train.ModelCheckpoint saves, the reason of an early stop. A training that goes on from a checkpoint goes on in the run
---that the script starts: with start_run{run_id = ...} or MLFLOW_RUN_ID in that of before, where nothing is logged twice.
---@param arguments? table every = how often to log the weights as an artifact too (epochs, "5ep", "500ba", "30min", or a
---list of these of which any counts; what is no count of epochs is looked at when a batch ends), run = the active one,
---log_checkpoints = true, log_model_summary = true, step_base = 0 (the step of the first epoch's metrics), errors = "disable", budget
---@return table callback for train.fit
return function(arguments)
  local self = setmetatable(options.of_callback("mlflow.callback", arguments, {
    every = keywords.none, run = keywords.none, log_checkpoints = true, log_model_summary = true, log_models = false,
    step_base = 0, name = "mlflow",
  }, {step_base = "count", log_checkpoints = "flag", log_model_summary = "flag", log_models = "flag"}), Callback)
  if self.run ~= nil and (type(self.run) ~= "table" or not self.run.log_metrics) then
    usage("run must be a run, got " .. require("native.vm").describe(self.run), "mlflow.start_run() returns one")
  end
  if self.log_models then usage("log_models = true is not available yet", 'every = "5ep" logs the weights') end
  self.log_models = nil
  if self.every then
    local every = interval.parse(self.every, "mlflow.callback: every")
    for _, one in ipairs(interval.each(every)) do
      if one.unit == "event" then one.unit = "ep" end  -- a number is one of epochs
    end
    self._at_epochs, self._at_batches = interval.split(every)
    if self._at_batches then self.on_batch_end = at_batch_end end  -- else no batch pays for it
  end
  self.memory = {}
  return self
end
