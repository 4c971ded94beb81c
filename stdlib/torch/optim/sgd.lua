-- torch.optim.SGD: stochastic gradient descent, with momentum, dampening, weight decay and Nesterov's variant.
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"

---@class SGD : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.SGD({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item() < 1  --> true
---@source torch.optim.SGD
local SGD = native.over("SGD", "sgd", "lr=0.001, momentum=0, dampening=0, weight_decay=0, nesterov=false, *, "
  .. "maximize=false, foreach=nil, differentiable=false, fused=nil", {
    checks.lr, checks.momentum, checks.weight_decay,
    checks.that("dampening", "Invalid dampening value", function() return true end),
    function(self, group, fail)
      if group.nesterov and (group.momentum <= 0 or group.dampening ~= 0) then
        fail(self, "Nesterov momentum requires a momentum and zero dampening")
      end
    end,
  })

return SGD
