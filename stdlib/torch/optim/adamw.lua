-- torch.optim.AdamW: Adam with weight decay beside the gradient (Loshchilov and Hutter, 2017).
local native = require "torch.optim.native"

---@class AdamW : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.AdamW({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item() < 1  --> true
---@source torch.optim.AdamW
local AdamW = native.over("AdamW", "adam", "lr=0.001, betas={0.9, 0.999}, eps=1e-8, weight_decay=0.01, amsgrad=false, "
  .. "*, maximize=false, foreach=nil, capturable=false, differentiable=false, fused=nil",
  require "torch.optim.adam_checks")
AdamW._forced = {decoupled_weight_decay = true}

return AdamW
