-- train: the training loop and its policies, each loaded at first use.
local modules = {}
for name, file in pairs {
  Accumulator = "accumulator",
  Attach = "callbacks.attach",
  callback_list = "callback_list",
  CSVLogger = "callbacks.csv_logger",
  Diagnose = "callbacks.diagnose",
  EarlyStopping = "callbacks.early_stopping",
  evaluate = "evaluate",
  fit = "fit",
  GradientMonitor = "callbacks.gradient_monitor",
  History = "callbacks.history",
  LambdaCallback = "callbacks.lambda_callback",
  LearningRateScheduler = "callbacks.learning_rate_scheduler",
  metrics = "metrics",
  ModelCheckpoint = "callbacks.model_checkpoint",
  NanGuard = "callbacks.nan_guard",
  on = "on",
  plot = "plot",
  predict = "predict",
  Progress = "callbacks.progress",
  ReduceLROnPlateau = "callbacks.reduce_lr_on_plateau",
  reload = "callbacks.reload",
  replay = "callbacks.replay",
  state = "loop",
  TensorBoard = "callbacks.tensorboard",
  TerminateOnNaN = "callbacks.terminate_on_nan",
} do
  modules[name] = "train." .. file
end

return require("host.namespace")("train", {modules = modules})
