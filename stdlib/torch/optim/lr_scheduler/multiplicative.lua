-- torch.optim.lr_scheduler.MultiplicativeLR: the learning rate times a function of the epoch, again and again.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"
local LambdaLR = require("torch.optim.lr_scheduler").LambdaLR

---@class MultiplicativeLR : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = torch.optim.lr_scheduler.MultiplicativeLR(optimizer, function(epoch) return 0.5 end)
--- optimizer:step()
--- scheduler:step()
--- scheduler:get_last_lr()  --> {0.5}
---@source torch.optim.lr_scheduler.MultiplicativeLR
local MultiplicativeLR = LRScheduler.class("MultiplicativeLR", "optimizer, lr_lambda, last_epoch=-1", LambdaLR)

---@private
function MultiplicativeLR:get_lr()
  self:_warn_outside_step()
  if self._is_initial then return self._values(self.optimizer, "lr") end
  local rates = {}
  for i, f in ipairs(self.lr_lambdas) do rates[i] = self.optimizer.param_groups[i].lr * f(self.last_epoch) end
  return rates
end

return MultiplicativeLR
