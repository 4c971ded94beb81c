-- torch.optim.swa_utils.SWALR: anneals the learning rate to the one of stochastic weight averaging, and holds it.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"
local vm = require "native.vm"

---@class SWALR : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = torch.optim.swa_utils.SWALR(optimizer, 0.5, {anneal_epochs = 2, anneal_strategy = "linear"})
--- optimizer:step()
--- scheduler:step()
--- scheduler:get_last_lr()  --> {0.75}
---@source torch.optim.swa_utils.SWALR
local SWALR = LRScheduler.class("SWALR", "optimizer, swa_lr, anneal_epochs=10, anneal_strategy='cos', last_epoch=-1")

---@private
function SWALR:__init(optimizer, swa_lr, anneal_epochs, anneal_strategy, last_epoch)
  self:_check_optimizer(optimizer)
  for i, lr in ipairs(self:_per_group("swa_lr", optimizer, swa_lr)) do optimizer.param_groups[i].swa_lr = lr end
  if anneal_strategy ~= "cos" and anneal_strategy ~= "linear" then
    self:_fail("anneal_strategy must be one of 'cos' or 'linear', instead got " .. tostring(anneal_strategy))
  end
  self._anneal_strategy = anneal_strategy
  if math.type(anneal_epochs) ~= "integer" or anneal_epochs < 0 then
    self:_fail("anneal_epochs must be equal or greater than 0, got "
      .. (math.type(anneal_epochs) and tostring(anneal_epochs) or vm.describe(anneal_epochs)))
  end
  self.anneal_epochs = anneal_epochs
  LRScheduler.__init(self, optimizer, last_epoch)
end

---@private
function SWALR:_share(step)
  local t = math.max(0, math.min(1, step / math.max(1, self.anneal_epochs)))
  return self._anneal_strategy == "cos" and (1 - math.cos(math.pi * t)) / 2 or t
end

---@private
function SWALR:get_lr()
  self:_warn_outside_step()
  local step = self._step_count - 1
  if self.anneal_epochs == 0 then step = math.max(1, step) end
  local before, now = self:_share(step - 1), self:_share(step)
  return self:_each(function(group)
    local first = before == 1 and group.swa_lr or (group.lr - before * group.swa_lr) / (1 - before)
    return group.swa_lr * now + first * (1 - now)
  end)
end

return SWALR
