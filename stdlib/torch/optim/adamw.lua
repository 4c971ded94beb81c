-- torch.optim.AdamW: Adam with weight decay beside the gradient (Loshchilov and Hutter, 2017).
local Optimizer = require "torch.optim.optimizer"

---@class AdamW : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.AdamW({x}, {lr = 0.5, weight_decay = 0.0})
--- x:sum():backward()
--- optimizer:step()
--- x:detach()  --> tensor([0.5000])
---@source torch.optim.AdamW
local AdamW = Optimizer.class("AdamW", "adamw", "lr=0.001, betas={0.9, 0.999}, eps=1e-8, weight_decay=0.01, amsgrad=false, "
  .. "maximize=false, foreach=nil, capturable=false, differentiable=false, fused=true, decoupled_weight_decay=true")

return AdamW
