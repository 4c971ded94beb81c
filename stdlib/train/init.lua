-- train: the training loop and its policies, each loaded at first use.
local FILES <const> = {
  fit = "fit", evaluate = "evaluate", predict = "predict", on = "on", callback_list = "callback_list", plot = "plot",
  metrics = "metrics",
  EarlyStopping = "callbacks.early_stopping", ModelCheckpoint = "callbacks.model_checkpoint",
  ReduceLROnPlateau = "callbacks.reduce_lr_on_plateau", LearningRateScheduler = "callbacks.learning_rate_scheduler",
  CSVLogger = "callbacks.csv_logger", LambdaCallback = "callbacks.lambda_callback",
  TerminateOnNaN = "callbacks.terminate_on_nan", History = "callbacks.history", Progress = "callbacks.progress",
}

local ordered = require "host.ordered"

return setmetatable({}, {
  __index = function(self, name)
    local file = FILES[name]
    if not file then
      require("native.vm").raise("usage", ("train has no '%s'%s"):format(tostring(name),
        require("train.nearest").suggest(tostring(name), ordered.keys(FILES))))
    end
    local value = require("train." .. file)
    rawset(self, name, value)
    return value
  end,
  __names = function() return ordered.keys(FILES) end,  -- for completion and help
})
