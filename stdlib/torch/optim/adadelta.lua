-- torch.optim.Adadelta: steps by the ratio of running means of updates and gradients (Zeiler, 2012).
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"

---@class Adadelta : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.Adadelta({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item() < 1  --> true
---@source torch.optim.Adadelta
local Adadelta = native.over("Adadelta", "adadelta", "lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, foreach=nil, *, "
  .. "capturable=false, maximize=false, differentiable=false", {
    checks.lr, checks.that("rho", "Invalid rho value", function(v) return v >= 0 and v <= 1 end), checks.eps,
    checks.weight_decay,
  })

return Adadelta
