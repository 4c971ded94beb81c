-- What train.fit does with its `scheduler`: steps it each epoch or each optimizer step.
local gradients = require "train.gradients"
local nearest = require "train.nearest"

local Scheduler = {__name = "Scheduler", group = "policy"}
Scheduler.__index = Scheduler

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

function Scheduler:on_after_step()
  if self._interval == "step" then self._scheduler:step() end
end

function Scheduler:on_epoch_end(state)
  if self._interval ~= "epoch" then return end
  if not self._monitor then return self._scheduler:step() end
  local value = state.logs[self._monitor]
  if value == nil then
    if self._known then return end  -- an epoch without validation
    usage(("scheduler: unknown monitor '%s'"):format(self._monitor))
  end
  self._known = true
  self._scheduler:step(value)
end

-- Is it certain that a scheduler steps an optimizer that has nothing to do with this one?
local function is_of_another(scheduler, optimizer)
  local ok, stepped = pcall(function() return scheduler.optimizer end)
  if not ok or stepped == nil or optimizer == nil or rawequal(stepped, optimizer) then return false end
  local ours = {}
  for _, parameter in ipairs(gradients.parameters {optimizer = optimizer}) do ours[parameter] = true end
  local theirs = gradients.parameters {optimizer = stepped}
  for _, parameter in ipairs(theirs) do
    if ours[parameter] then return false end
  end
  return #theirs > 0
end

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function Scheduler:check(state)
  if is_of_another(self._scheduler, state.optimizer) then
    require("host").log.warn("train.fit: the scheduler is that of an optimizer of other parameters, whose learning rates it sets")
  end
  if not (self._monitor and state.log_names) then return end
  self._known = true
  nearest.check("monitor", self._monitor, state.log_names)
end

--- What a checkpoint keeps of the scheduler.
---@private
---@return table?
function Scheduler:state_dict() return self._scheduler.state_dict and self._scheduler:state_dict() or {} end

--- Goes on from what a checkpoint kept.
---@private
---@param state table
function Scheduler:load_state_dict(state)
  if self._scheduler.load_state_dict then self._scheduler:load_state_dict(state) end
end

---@param argument any a scheduler with step(), or {scheduler, interval = "epoch"|"step", monitor = "val_loss"}
return function(argument)
  local scheduler, interval, monitor = argument, "epoch", nil
  if type(argument) == "table" and argument[1] ~= nil then
    scheduler, interval, monitor = argument[1], argument.interval or "epoch", argument.monitor
    for key in pairs(argument) do
      if key ~= 1 and key ~= "interval" and key ~= "monitor" then
        usage(("train.fit: scheduler has no option '%s'; valid: interval, monitor"):format(tostring(key)))
      end
    end
  end
  if interval ~= "epoch" and interval ~= "step" then
    usage(("train.fit: scheduler interval must be \"epoch\" or \"step\", got %s"):format(require("native.vm").describe(interval)))
  end
  if monitor ~= nil and type(monitor) ~= "string" then
    usage(("train.fit: scheduler monitor must be a string, got %s"):format(require("native.vm").describe(monitor)))
  end
  local ok, step = pcall(function() return scheduler.step end)
  if type(scheduler) == "table" and rawget(scheduler, "__name") then
    usage(("train.fit: scheduler is the class %s, expected a scheduler"):format(scheduler.__name),
      ("call the class: torch.optim.lr_scheduler.%s(optimizer)"):format(scheduler.__name))
  end
  if not ok or not step then
    usage("train.fit: scheduler must have a method step, got " .. require("native.vm").describe(scheduler),
      "torch.optim.lr_scheduler.StepLR(optimizer, {step_size = 10})")
  end
  return setmetatable({_scheduler = scheduler, _interval = interval, _monitor = monitor}, Scheduler)
end
