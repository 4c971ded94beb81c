-- mlflow.callback: logs a training into an MLflow run; what it does is training_log.lua.
local keywords = require "host.keywords"
local logging_options = require "mlflow.logging_options"

---Logs a training into an MLflow run, under the keys of Keras's autolog (or of Lightning's): the arguments of train.fit,
---the optimizer's values (opt_*), those of EarlyStopping and every host.param; the metrics of each log and epoch
---(validation_<metric> beside val_<metric>); model_summary.txt, the script, seed, threads and the version of trainhost; the
---checkpoints that train.ModelCheckpoint saves; stopped_epoch, restored_epoch and the reason of an early stop. What cannot
---be logged becomes a line on the console, the tag trainhost.last_error and a line in errors.jsonl: training goes on. A training
---that goes on from a checkpoint goes on in the run that the script starts: with start_run{run_id = ...} or MLFLOW_RUN_ID in
---that of before, where what the run has is not logged again, unless its server does not tell within two seconds.
---@param arguments? table run = the active one; every = how often to log the model too, as a LoggedModel epoch_<n> (epochs,
---"5ep", "500ba", "30min", or a list of these of which any counts), the last epoch always; log_models (default: where there
---is `every`; true: the final one as model too), keep_last_models = n (the others are deleted, but for versions with an
---alias or a stage), registered_model_name (each becomes its next version), log_model_signatures = true, log_input_examples
---= false; log_every_epoch = true, or false with log_every_n_steps = n or `every`; log_every_n_epoch = 1, log_every_n_step
---(Lightning's: beside the epochs); checkpoint = false, checkpoint_monitor = "val_loss", checkpoint_mode = "min",
---checkpoint_save_best_only = true, checkpoint_save_weights_only = false, checkpoint_save_freq = "epoch" | batches; style =
---"keras" | "lightning", extra_tags, silent = false, log_checkpoints = true, log_model_summary = true, step_base = 0 (the
---step of the first epoch's metrics), errors = "disable", budget
---@return table callback for train.fit and train.state
return function(arguments)
  local o = logging_options.read("mlflow.callback", arguments, {run = keywords.none})
  if o.run ~= nil and (type(o.run) ~= "table" or not o.run.log_metrics) then
    local vm = require "native.vm"
    vm.raise("usage", "mlflow.callback: run must be a run, got " .. vm.describe(o.run), "mlflow.start_run() returns one")
  end
  return require "mlflow.training_log"(o)
end
