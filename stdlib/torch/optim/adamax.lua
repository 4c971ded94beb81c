-- torch.optim.Adamax: Adam with the infinity norm (Kingma and Ba, 2014).
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"

---@class Adamax : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.Adamax({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item() < 1  --> true
---@source torch.optim.Adamax
local Adamax = native.over("Adamax", "adamax", "lr=0.002, betas={0.9, 0.999}, eps=1e-8, weight_decay=0, foreach=nil, *, "
  .. "maximize=false, differentiable=false, capturable=false",
  {checks.lr, checks.eps, checks.betas, checks.weight_decay})

return Adamax
