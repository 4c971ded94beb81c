-- torch.optim.RAdam (Liu et al., 2019): Adam with a rectified variance.
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"

---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.RAdam({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item() < 1  --> true
local RAdam = native.over("RAdam", "radam", "lr=0.001, betas={0.9, 0.999}, eps=1e-8, weight_decay=0, "
  .. "decoupled_weight_decay=false, *, foreach=nil, maximize=false, capturable=false, differentiable=false",
  {checks.lr, checks.eps, checks.betas, checks.weight_decay})

return RAdam
