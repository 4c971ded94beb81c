-- torch.optim.NAdam: Adam with Nesterov's momentum (Dozat, 2016).
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"

---@class NAdam : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.NAdam({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item() < 1  --> true
---@source torch.optim.NAdam
local NAdam = native.over("NAdam", "nadam", "lr=0.002, betas={0.9, 0.999}, eps=1e-8, weight_decay=0, momentum_decay=0.004, "
  .. "decoupled_weight_decay=false, *, foreach=nil, maximize=false, capturable=false, differentiable=false", {
    checks.lr, checks.eps, checks.betas, checks.weight_decay,
    checks.at_least_0("momentum_decay", "Invalid momentum_decay value"),
  })

return NAdam
