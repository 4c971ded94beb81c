-- torch.optim: optimizers and learning rate schedulers, each in a file of its own and loaded when first used.
local lazy = require "torch.lazy"

return lazy("torch.optim", {Optimizer = require "torch.optim.optimizer"})
