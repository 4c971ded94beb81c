-- The events of a training and the hook names that listen to them.
--
-- fit: train_begin, epoch_begin, per batch batch_begin, before_backward, after_backward, before_step, after_step,
-- batch_end; valid_begin, valid_batch_begin, valid_batch_end, valid_end; epoch_end; train_end.
local hooks = {}

hooks.events = {
  "train_begin", "epoch_begin", "batch_begin", "before_backward", "after_backward", "before_step", "after_step",
  "batch_end", "valid_begin", "valid_batch_begin", "valid_batch_end", "valid_end", "epoch_end", "train_end",
  "exception", "checkpoint_save", "checkpoint_load",
  "evaluate_begin", "evaluate_batch_begin", "evaluate_batch_end", "evaluate_end",
  "predict_begin", "predict_batch_begin", "predict_batch_end", "predict_end",
}

-- Keras's names. on_test_* is heard in validation and in train.evaluate, as in Keras.
hooks.aliases = {
  on_train_batch_begin = {"batch_begin"}, on_train_batch_end = {"batch_end"},
  on_test_begin = {"valid_begin", "evaluate_begin"}, on_test_end = {"valid_end", "evaluate_end"},
  on_test_batch_begin = {"valid_batch_begin", "evaluate_batch_begin"},
  on_test_batch_end = {"valid_batch_end", "evaluate_batch_end"},
}

hooks.of_event = {}  -- "epoch_end" -> true
hooks.of_name = {}   -- "on_epoch_end" -> {"epoch_end"}
hooks.names = {}     -- every hook name, in order

for _, event in ipairs(hooks.events) do
  hooks.of_event[event] = true
  hooks.of_name["on_" .. event] = {event}
  hooks.names[#hooks.names + 1] = "on_" .. event
end
for _, name in ipairs(require("host.ordered").keys(hooks.aliases)) do
  hooks.of_name[name] = hooks.aliases[name]
  hooks.names[#hooks.names + 1] = name
end

return hooks
