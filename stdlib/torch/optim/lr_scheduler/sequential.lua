-- torch.optim.lr_scheduler.SequentialLR: one scheduler after another, each from its milestone on.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"
local several = require "torch.optim.lr_scheduler.several"

---@class SequentialLR : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local s = torch.optim.lr_scheduler
--- local warm_up = s.ConstantLR(optimizer, {factor = 0.1, total_iters = 2})
--- local scheduler = s.SequentialLR(optimizer, {warm_up, s.ExponentialLR(optimizer, 0.5)}, {2})
--- for _ = 1, 3 do optimizer:step() scheduler:step() end
--- scheduler:get_last_lr()  --> {0.5}
---@source torch.optim.lr_scheduler.SequentialLR
local SequentialLR = LRScheduler.class("SequentialLR", "optimizer, schedulers, milestones, last_epoch=-1")

-- How many milestones are at most `epoch`.
local function passed(milestones, epoch)
  local count = 0
  while count < #milestones and milestones[count + 1] <= epoch do count = count + 1 end
  return count
end

---@private
function SequentialLR:__init(optimizer, schedulers, milestones, last_epoch)
  several.check(self, optimizer, schedulers, "")
  if #milestones ~= #schedulers - 1 then
    self:_fail(("Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone "
      .. "points, but got number of schedulers %d and the number of milestones to be equal to %d"):format(#schedulers,
      #milestones))
  end
  self._schedulers, self._milestones = schedulers, milestones
  self.last_epoch = last_epoch + 1
  self.optimizer = optimizer
  for _, group in ipairs(optimizer.param_groups) do self._set(group, "lr", group.initial_lr) end
  self:recursive_undo()
  local first = schedulers[passed(milestones, 0) + 1]
  first:_initial_step()
  self._last_lr = first:get_last_lr()
end

--- Takes the first step of the schedulers below back.
---@param scheduler? table itself
function SequentialLR:recursive_undo(scheduler)
  scheduler = scheduler or self
  if scheduler._schedulers then
    for _, inner in ipairs(scheduler._schedulers) do self:recursive_undo(inner) end
  elseif scheduler.last_epoch then
    scheduler.last_epoch = scheduler.last_epoch - 1
  end
end

--- One step of the scheduler whose turn it is.
function SequentialLR:step()
  self.last_epoch = self.last_epoch + 1
  local count = passed(self._milestones, self.last_epoch)
  local scheduler = self._schedulers[count + 1]
  if count > 0 and self._milestones[count] == self.last_epoch then scheduler:_update_lr(0)
  else scheduler:step() end
  self._last_lr = scheduler:get_last_lr()
end

SequentialLR.state_dict, SequentialLR.load_state_dict = several.state_dict, several.load_state_dict

return SequentialLR
