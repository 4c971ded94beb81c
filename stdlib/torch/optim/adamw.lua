-- torch.optim.AdamW (Loshchilov and Hutter, 2017): Adam with weight decay beside the gradient.
local Optimizer = require "torch.optim.optimizer"

return Optimizer.class("AdamW", "adamw", "lr=0.001, betas={0.9, 0.999}, eps=1e-8, weight_decay=0.01, amsgrad=false, "
  .. "maximize=false, foreach=nil, capturable=false, differentiable=false, fused=true, decoupled_weight_decay=true")
