-- train: the training loop and its policies, each loaded at first use.
local modules = {}
for name, file in pairs {
  Accumulator = "accumulator",
  Attach = "callbacks.attach",
  callback_list = "callback_list",
  CSVLogger = "callbacks.csv_logger",
  EarlyStopping = "callbacks.early_stopping",
  evaluate = "evaluate",
  fit = "fit",
  History = "callbacks.history",
  LambdaCallback = "callbacks.lambda_callback",
  LearningRateScheduler = "callbacks.learning_rate_scheduler",
  metrics = "metrics",
  ModelCheckpoint = "callbacks.model_checkpoint",
  on = "on",
  plot = "plot",
  predict = "predict",
  Progress = "callbacks.progress",
  ReduceLROnPlateau = "callbacks.reduce_lr_on_plateau",
  reload = "callbacks.reload",
  replay = "callbacks.replay",
  state = "loop",
  TerminateOnNaN = "callbacks.terminate_on_nan",
} do
  modules[name] = "train." .. file
end

return require("host.namespace")("train", {modules = modules})
