-- train: the training loop and its policies, each loaded at first use.
local modules = {}
for name, file in pairs {
  fit = "fit", evaluate = "evaluate", predict = "predict", on = "on", callback_list = "callback_list", plot = "plot",
  metrics = "metrics", Accumulator = "accumulator",
  EarlyStopping = "callbacks.early_stopping", ModelCheckpoint = "callbacks.model_checkpoint",
  ReduceLROnPlateau = "callbacks.reduce_lr_on_plateau", LearningRateScheduler = "callbacks.learning_rate_scheduler",
  CSVLogger = "callbacks.csv_logger", LambdaCallback = "callbacks.lambda_callback",
  TerminateOnNaN = "callbacks.terminate_on_nan", History = "callbacks.history", Progress = "callbacks.progress",
} do
  modules[name] = "train." .. file
end

return require("host.namespace")("train", {modules = modules})
