-- torch.optim.swa_utils: averages of a model's parameters over the steps of a training, and what goes with them.
local averages = require "torch.optim.swa_utils.averages"
local lazy = require "torch.lazy"

return lazy("torch.optim.swa_utils", {
  get_ema_multi_avg_fn = averages.get_ema_multi_avg_fn, get_swa_multi_avg_fn = averages.get_swa_multi_avg_fn,
  get_ema_avg_fn = averages.get_ema_avg_fn, get_swa_avg_fn = averages.get_swa_avg_fn,
  update_bn = require "torch.optim.swa_utils.update_bn",
}, {AveragedModel = "averaged_model", SWALR = "swalr"})
