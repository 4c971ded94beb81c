-- torch.optim.lr_scheduler.LinearLR: a factor of the learning rate that changes by the same amount in each epoch.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"

---@class LinearLR : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- torch.optim.lr_scheduler.LinearLR(optimizer, {start_factor = 0.5, total_iters = 4}):get_last_lr()  --> {0.5}
---@source torch.optim.lr_scheduler.LinearLR
local LinearLR = LRScheduler.class("LinearLR",
  "optimizer, start_factor=1.0/3, end_factor=1.0, total_iters=5, last_epoch=-1")

---@private
function LinearLR:__init(optimizer, start_factor, end_factor, total_iters, last_epoch)
  if start_factor > 1.0 or start_factor <= 0 then
    self:_fail "Starting multiplicative factor expected to be greater than 0 and less or equal to 1."
  end
  if end_factor > 1.0 or end_factor < 0 then
    self:_fail "Ending multiplicative factor expected to be between 0 and 1."
  end
  self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
  LRScheduler.__init(self, optimizer, last_epoch)
end

---@private
function LinearLR:get_lr()
  self:_warn_outside_step()
  local first, change = self.start_factor, self.end_factor - self.start_factor
  if self.last_epoch == 0 then return self:_each(function(group) return group.lr * first end) end
  if self._is_initial or self.last_epoch > self.total_iters then return self._values(self.optimizer, "lr") end
  local factor = 1.0 + change / (self.total_iters * first + (self.last_epoch - 1) * change)
  return self:_each(function(group) return group.lr * factor end)
end

---@private
function LinearLR:_get_closed_form_lr()
  local change = self.end_factor - self.start_factor
  local factor = self.start_factor + change * math.min(self.total_iters, self.last_epoch) / self.total_iters
  return self:_each(function(_, base) return base * factor end)
end

return LinearLR
