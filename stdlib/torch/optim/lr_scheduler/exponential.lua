-- torch.optim.lr_scheduler.ExponentialLR: the learning rate times gamma in each epoch.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"

---@class ExponentialLR : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
--- for _ = 1, 3 do optimizer:step() scheduler:step() end
--- scheduler:get_last_lr()  --> {0.125}
---@source torch.optim.lr_scheduler.ExponentialLR
local ExponentialLR = LRScheduler.class("ExponentialLR", "optimizer, gamma, last_epoch=-1")

---@private
function ExponentialLR:__init(optimizer, gamma, last_epoch)
  self.gamma = gamma
  LRScheduler.__init(self, optimizer, last_epoch)
end

---@private
function ExponentialLR:get_lr()
  self:_warn_outside_step()
  if self._is_initial then return self._values(self.optimizer, "lr") end
  return self:_each(function(group) return group.lr * self.gamma end)
end

---@private
function ExponentialLR:_get_closed_form_lr()
  return self:_each(function(_, base) return base * self.gamma ^ self.last_epoch end)
end

return ExponentialLR
