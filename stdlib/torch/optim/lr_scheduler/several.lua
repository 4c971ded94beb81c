-- What schedulers over other schedulers share: checks, and state dicts that hold the others'.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"

local several = {}

--- Raises unless all are schedulers of this optimizer that need nothing but step().
function several.check(self, optimizer, schedulers, what)
  if type(schedulers) ~= "table" or #schedulers < 1 then
    self:_fail(("%s expects at least one scheduler%s, but got no scheduler."):format(self.__name, what))
  end
  optimizer = optimizer or type(schedulers[1]) == "table" and schedulers[1].optimizer
  for i, scheduler in ipairs(schedulers) do
    if type(scheduler) ~= "table" or not scheduler.optimizer then
      self:_fail(("%s at index %d should have `optimizer` as its attribute."):format(self.__name, i - 1))
    end
    if scheduler.__name == "ReduceLROnPlateau" then
      self:_fail(("%s does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs to be specified when "
        .. "calling `step`, but got one at index %d in the given schedulers sequence."):format(self.__name, i - 1))
    end
    if scheduler.optimizer ~= optimizer then
      self:_fail(("%s expects all schedulers to belong to the same optimizer, but got scheduler %s at index %d has %s, "
        .. "which is different from %s."):format(self.__name, scheduler.__name, i - 1, tostring(scheduler.optimizer),
        tostring(optimizer.__name)))
    end
  end
  return optimizer
end

--- The fields, and the state dicts of the schedulers.
function several.state_dict(self)
  local state = LRScheduler.state_dict(self)
  local inner = {}
  for i, scheduler in ipairs(self._schedulers) do inner[i] = scheduler:state_dict() end
  state._schedulers = inner
  return state
end

--- Takes what state_dict gave.
function several.load_state_dict(self, state)
  LRScheduler.load_state_dict(self, state)
  for i, inner in ipairs(state._schedulers) do self._schedulers[i]:load_state_dict(inner) end
end

return several
