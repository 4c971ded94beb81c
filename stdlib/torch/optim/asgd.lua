-- torch.optim.ASGD (Polyak and Juditsky, 1992): averaged stochastic gradient descent.
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"

---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.ASGD({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item() < 1  --> true
local ASGD = native.over("ASGD", "asgd", "lr=0.01, lambd=0.0001, alpha=0.75, t0=1000000.0, weight_decay=0, foreach=nil, "
  .. "maximize=false, differentiable=false, capturable=false", {checks.lr, checks.weight_decay})

return ASGD
