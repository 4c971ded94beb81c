-- tensorboard: what torch.utils.tensorboard has, under a short name.
return require "torch.utils.tensorboard"
