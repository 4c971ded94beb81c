-- torch.optim.lr_scheduler.ConstantLR: the learning rate times a factor for the first epochs.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"

---@class ConstantLR : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- torch.optim.lr_scheduler.ConstantLR(optimizer, 0.5):get_last_lr()  --> {0.5}
---@source torch.optim.lr_scheduler.ConstantLR
local ConstantLR = LRScheduler.class("ConstantLR", "optimizer, factor=1.0/3, total_iters=5, last_epoch=-1")

---@private
function ConstantLR:__init(optimizer, factor, total_iters, last_epoch)
  if factor > 1.0 or factor < 0 then
    self:_fail "Constant multiplicative factor expected to be between 0 and 1."
  end
  self.factor, self.total_iters = factor, total_iters
  LRScheduler.__init(self, optimizer, last_epoch)
end

---@private
function ConstantLR:get_lr()
  self:_warn_outside_step()
  if self.last_epoch == 0 then return self:_each(function(group) return group.lr * self.factor end) end
  if self.last_epoch ~= self.total_iters then return self._values(self.optimizer, "lr") end
  return self:_each(function(group) return group.lr * (1.0 / self.factor) end)
end

---@private
function ConstantLR:_get_closed_form_lr()
  local ends = self.last_epoch >= self.total_iters and 1 or 0
  return self:_each(function(_, base) return base * (self.factor + ends * (1 - self.factor)) end)
end

return ConstantLR
