-- torch.optim.lr_scheduler: learning rate schedulers, each in a file of its own and loaded when first used.
local lazy = require "torch.lazy"
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"

return lazy("torch.optim.lr_scheduler", {LRScheduler = LRScheduler, class = LRScheduler.class}, {
  LambdaLR = "lambda", MultiplicativeLR = "multiplicative", StepLR = "step", MultiStepLR = "multi_step",
  ConstantLR = "constant", LinearLR = "linear", ExponentialLR = "exponential", SequentialLR = "sequential",
  PolynomialLR = "polynomial", CosineAnnealingLR = "cosine_annealing", ChainedScheduler = "chained",
  ReduceLROnPlateau = "reduce_on_plateau", CyclicLR = "cyclic", OneCycleLR = "one_cycle",
})
