-- torch.optim.RMSprop: steps by the root of the mean of squared gradients, plain or centered, with momentum (Hinton, 2012).
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"

---@class RMSprop : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.RMSprop({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item() < 1  --> true
---@source torch.optim.RMSprop
local RMSprop = native.over("RMSprop", "rmsprop", "lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=false, "
  .. "capturable=false, foreach=nil, maximize=false, differentiable=false", {
    checks.lr, checks.eps, checks.momentum, checks.weight_decay, checks.at_least_0("alpha", "Invalid alpha value"),
  })

return RMSprop
