-- torch.optim.Adam (Kingma and Ba, 2014).
local Optimizer = require "torch.optim.optimizer"

return Optimizer.class("Adam", "adam", "lr=0.001, betas={0.9, 0.999}, eps=1e-8, weight_decay=0, amsgrad=false, "
  .. "foreach=nil, maximize=false, capturable=false, differentiable=false, fused=true, decoupled_weight_decay=false")
