-- torch.optim.RAdam: Adam with a rectified variance (Liu et al., 2019).
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"

---@class RAdam : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.RAdam({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item() < 1  --> true
---@source torch.optim.RAdam
local RAdam = native.over("RAdam", "radam", "lr=0.001, betas={0.9, 0.999}, eps=1e-8, weight_decay=0, "
  .. "decoupled_weight_decay=false, *, foreach=nil, maximize=false, capturable=false, differentiable=false",
  {checks.lr, checks.eps, checks.betas, checks.weight_decay})

return RAdam
