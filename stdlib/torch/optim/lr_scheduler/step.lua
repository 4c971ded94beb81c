-- torch.optim.lr_scheduler.StepLR: the learning rate times gamma every step_size epochs.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"

---@class StepLR : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
--- for _ = 1, 2 do optimizer:step() scheduler:step() end
--- scheduler:get_last_lr()  --> {0.5}
---@source torch.optim.lr_scheduler.StepLR
local StepLR = LRScheduler.class("StepLR", "optimizer, step_size, gamma=0.1, last_epoch=-1")

---@private
function StepLR:__init(optimizer, step_size, gamma, last_epoch)
  self.step_size, self.gamma = step_size, gamma
  LRScheduler.__init(self, optimizer, last_epoch)
end

---@private
function StepLR:get_lr()
  self:_warn_outside_step()
  if self.last_epoch == 0 or self.last_epoch % self.step_size ~= 0 then return self._values(self.optimizer, "lr") end
  return self:_each(function(group) return group.lr * self.gamma end)
end

---@private
function StepLR:_get_closed_form_lr()
  return self:_each(function(_, base) return base * self.gamma ^ (self.last_epoch // self.step_size) end)
end

return StepLR
