-- torch.optim.ASGD: averaged stochastic gradient descent (Polyak and Juditsky, 1992).
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"

---@class ASGD : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.ASGD({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item() < 1  --> true
---@source torch.optim.ASGD
local ASGD = native.over("ASGD", "asgd", "lr=0.01, lambd=0.0001, alpha=0.75, t0=1000000.0, weight_decay=0, foreach=nil, "
  .. "maximize=false, differentiable=false, capturable=false", {checks.lr, checks.weight_decay})

return ASGD
