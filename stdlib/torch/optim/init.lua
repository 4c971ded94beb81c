-- torch.optim: optimizers and learning rate schedulers, each in a file of its own and loaded when first used.
local lazy = require "torch.lazy"
local Optimizer = require "torch.optim.optimizer"

return lazy("torch.optim", {Optimizer = Optimizer, class = Optimizer.class}, {
  NAdam = "nadam", RAdam = "radam", RMSprop = "rmsprop",
})
