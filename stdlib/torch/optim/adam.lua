-- torch.optim.Adam: adaptive moments of the gradient (Kingma and Ba, 2014).
local Optimizer = require "torch.optim.optimizer"

---@class Adam : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.Adam({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:detach()  --> tensor([0.5000])
---@source torch.optim.Adam
local Adam = Optimizer.class("Adam", "adam", "lr=0.001, betas={0.9, 0.999}, eps=1e-8, weight_decay=0, amsgrad=false, "
  .. "foreach=nil, maximize=false, capturable=false, differentiable=false, fused=true, decoupled_weight_decay=false")

return Adam
