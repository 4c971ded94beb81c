-- torch.optim.lr_scheduler.ChainedScheduler: several schedulers at once, one upon the other.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"
local several = require "torch.optim.lr_scheduler.several"

---@class ChainedScheduler : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local s = torch.optim.lr_scheduler
--- local scheduler = s.ChainedScheduler({s.ExponentialLR(optimizer, 0.5), s.StepLR(optimizer, 1, 0.5)})
--- optimizer:step()
--- scheduler:step()
--- scheduler:get_last_lr()  --> {0.25}
---@source torch.optim.lr_scheduler.ChainedScheduler
local ChainedScheduler = LRScheduler.class("ChainedScheduler", "schedulers, optimizer=nil")

---@private
function ChainedScheduler:__init(schedulers, optimizer)
  self.optimizer = several.check(self, optimizer, schedulers, " to be chained")
  self._schedulers = schedulers
  self._last_lr = self._values(self.optimizer, "lr")
end

--- One step of each.
function ChainedScheduler:step()
  for _, scheduler in ipairs(self._schedulers) do scheduler:step() end
  self._last_lr = self._values(self._schedulers[#self._schedulers].optimizer, "lr")
end

ChainedScheduler.state_dict, ChainedScheduler.load_state_dict = several.state_dict, several.load_state_dict

return ChainedScheduler
