-- torch.optim.lr_scheduler.PolynomialLR: the learning rate falls to 0 by a power of what is left.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"

---@class PolynomialLR : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = torch.optim.lr_scheduler.PolynomialLR(optimizer, {total_iters = 4})
--- optimizer:step()
--- scheduler:step()
--- scheduler:get_last_lr()  --> {0.75}
---@source torch.optim.lr_scheduler.PolynomialLR
local PolynomialLR = LRScheduler.class("PolynomialLR", "optimizer, total_iters=5, power=1.0, last_epoch=-1")

---@private
function PolynomialLR:__init(optimizer, total_iters, power, last_epoch)
  self.total_iters, self.power = total_iters, power
  LRScheduler.__init(self, optimizer, last_epoch)
end

---@private
function PolynomialLR:get_lr()
  self:_warn_outside_step()
  local epoch, total = self.last_epoch, self.total_iters
  if self._is_initial or epoch > total then return self._values(self.optimizer, "lr") end
  local factor = ((1.0 - epoch / total) / (1.0 - (epoch - 1) / total)) ^ self.power
  return self:_each(function(group) return group.lr * factor end)
end

---@private
function PolynomialLR:_get_closed_form_lr()
  local left = (1.0 - math.min(self.total_iters, self.last_epoch) / self.total_iters) ^ self.power
  return self:_each(function(_, base) return base * left end)
end

return PolynomialLR
