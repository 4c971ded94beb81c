-- torch.optim.lr_scheduler.OneCycleLR: up to a maximum and down to far below the start (Smith and Topin, 2017).
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"
local momentum = require "torch.optim.lr_scheduler.momentum"
local text = require "torch.python_text"
local vm = require "native.vm"

---@class OneCycleLR : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 0.1, momentum = 0.9})
--- local scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, {total_steps = 10})
--- for _ = 1, 2 do optimizer:step() scheduler:step() end
--- scheduler:get_last_lr()  --> {1.0}
---@source torch.optim.lr_scheduler.OneCycleLR
local OneCycleLR = LRScheduler.class("OneCycleLR", "optimizer, max_lr, total_steps=nil, epochs=nil, steps_per_epoch=nil, "
  .. "pct_start=0.3, anneal_strategy='cos', cycle_momentum=true, base_momentum=0.85, max_momentum=0.95, div_factor=25.0, "
  .. "final_div_factor=1e4, three_phase=false, last_epoch=-1")

local function shown(value) return math.type(value) and text.value(value) or vm.describe(value) end

local function count_of(self, total_steps, epochs, steps_per_epoch)
  local function positive(name, value)
    if math.type(value) ~= "integer" or value <= 0 then
      self:_fail(("Expected positive integer %s, but got %s"):format(name, shown(value)))
    end
    return value
  end
  if total_steps ~= nil then return positive("total_steps", total_steps) end
  if epochs == nil or steps_per_epoch == nil then
    self:_fail "You must define either total_steps OR (epochs AND steps_per_epoch)"
  end
  return positive("epochs", epochs) * positive("steps_per_epoch", steps_per_epoch)
end

local function phase(end_step, start_lr, end_lr, start_momentum, end_momentum)
  return {end_step = end_step, start_lr = start_lr, end_lr = end_lr, start_momentum = start_momentum .. "_momentum",
    end_momentum = end_momentum .. "_momentum"}
end

---@private
function OneCycleLR:__init(optimizer, max_lr, total_steps, epochs, steps_per_epoch, pct_start, anneal_strategy,
    cycle_momentum, base_momentum, max_momentum, div_factor, final_div_factor, three_phase, last_epoch)
  self:_check_optimizer(optimizer)
  self.optimizer = optimizer
  self.total_steps = count_of(self, total_steps, epochs, steps_per_epoch)
  if math.type(pct_start) ~= "float" or pct_start < 0 or pct_start > 1 then
    self:_fail("Expected float between 0 and 1 pct_start, but got " .. shown(pct_start))
  end
  local up = phase(pct_start * self.total_steps - 1, "initial_lr", "max_lr", "max", "base")
  if three_phase then
    self._schedule_phases = {
      up, phase(2 * pct_start * self.total_steps - 2, "max_lr", "initial_lr", "base", "max"),
      phase(self.total_steps - 1, "initial_lr", "min_lr", "max", "max"),
    }
  else
    self._schedule_phases = {up, phase(self.total_steps - 1, "max_lr", "min_lr", "base", "max")}
  end
  if anneal_strategy ~= "cos" and anneal_strategy ~= "linear" then
    self:_fail("anneal_strategy must be one of 'cos' or 'linear', instead got " .. tostring(anneal_strategy))
  end
  self._anneal_func_type = anneal_strategy
  local max_lrs = self:_per_group("max_lr", optimizer, max_lr)
  if last_epoch == -1 then
    for i, group in ipairs(optimizer.param_groups) do
      group.initial_lr = max_lrs[i] / div_factor
      group.max_lr = max_lrs[i]
      group.min_lr = group.initial_lr / final_div_factor
    end
  end
  self.cycle_momentum = cycle_momentum
  if cycle_momentum then
    self.use_beta1 = momentum.uses_beta1(self, optimizer)
    local most = self:_per_group("max_momentum", optimizer, max_momentum)
    local least = self:_per_group("base_momentum", optimizer, base_momentum)
    if last_epoch == -1 then momentum.begin(optimizer.param_groups, most, least, self.use_beta1) end
  end
  LRScheduler.__init(self, optimizer, last_epoch)
end

---@private
function OneCycleLR:_anneal_func(first, last, fraction)
  if self._anneal_func_type == "cos" then return last + (first - last) / 2.0 * (math.cos(math.pi * fraction) + 1) end
  return (last - first) * fraction + first
end

---@private
function OneCycleLR:get_lr()
  self:_warn_outside_step()
  local step, phases = self.last_epoch, self._schedule_phases
  if step > self.total_steps then
    self:_fail(("Tried to step %d times. The specified number of total steps is %d"):format(step, self.total_steps))
  end
  local number, start = 1, 0.0
  while number < #phases and step > phases[number].end_step do
    start = phases[number].end_step
    number = number + 1
  end
  local now = phases[number]
  local fraction = (step - start) / (now.end_step - start)
  return self:_each(function(group)
    if self.cycle_momentum then
      momentum.set(group, self:_anneal_func(group[now.start_momentum], group[now.end_momentum], fraction), self.use_beta1)
    end
    return self:_anneal_func(group[now.start_lr], group[now.end_lr], fraction)
  end)
end

return OneCycleLR
