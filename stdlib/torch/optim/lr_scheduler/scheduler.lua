-- torch.optim.lr_scheduler.LRScheduler: what all schedulers share; the base of those that are written in Lua.
--
-- A scheduler is a table with the fields of Python's object: its state dict is these fields.
local Optimizer = require "torch.optim.optimizer"
local ordered = require "host.ordered"
local python_type = require "torch.nn.python_type"
local signature = require "torch.signature"
local text = require "torch.python_text"
local torch = require "torch"
local vm = require "native.vm"
local warn = require "torch.warn"

local LRScheduler = {__name = "LRScheduler"}
LRScheduler.__index = LRScheduler

local EPOCH_WARNING <const> = "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where "
  .. "possible. Please use `scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from "
  .. "None, the closed form is used instead of the new chainable form, where available. Please open an issue if you are "
  .. "unable to replicate your use case: https://github.com/pytorch/pytorch/issues/new/choose."
local MORE <const> = "See more details at https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"

local function fail(self, message, hint) vm.raise("usage", ("%s: %s"):format(self.__name, message), hint) end

--- Raises a usage error in the scheduler's name.
---@private
function LRScheduler:_fail(message, hint) fail(self, message, hint) end

--- Warns that an epoch was given to step.
---@private
function LRScheduler._warn_epoch() warn(EPOCH_WARNING) end

local function is_optimizer(value)
  local class = type(value) == "table" and getmetatable(value)
  while type(class) == "table" do
    if class == Optimizer then return true end
    local meta = getmetatable(class)
    class = type(meta) == "table" and meta.__index
  end
  return false
end

--- Raises unless the value is an optimizer.
---@private
function LRScheduler:_check_optimizer(value)
  if not is_optimizer(value) then fail(self, python_type.name(value) .. " is not an Optimizer") end
end

local function copy(value) return torch.is_tensor(value) and value:clone() or value end

--- The values of the groups under `key`; tensors are copied.
---@private
function LRScheduler._values(optimizer, key)
  local values = {}
  for i, group in ipairs(optimizer.param_groups) do values[i] = copy(group[key]) end
  return values
end

--- Sets group[key]; a tensor stays the tensor that it is.
---@private
function LRScheduler._set(group, key, value)
  local now = group[key]
  if torch.is_tensor(now) then
    if torch.is_tensor(value) and value:dim() ~= 0 then value = value:squeeze() end
    local _ <close> = torch.no_grad()
    now:fill_(value)
  else
    group[key] = value
  end
end

--- One value for each group: a list as it is, anything else as often as there are groups.
---@private
function LRScheduler:_per_group(name, optimizer, value)
  local count, values = #optimizer.param_groups, {}
  if type(value) ~= "table" then
    for i = 1, count do values[i] = copy(value) end
    return values
  end
  if #value ~= count then
    fail(self, ("%s must have the same length as optimizer.param_groups. %s has %d values, param_groups has %d."):format(
      name, name, #value, count))
  end
  for i = 1, count do values[i] = copy(value[i]) end
  return values
end

--- What a class's __init calls last: notes the learning rates and sets the first ones.
---@param optimizer Optimizer
---@param last_epoch? integer -1
---@private
function LRScheduler:__init(optimizer, last_epoch)
  self:_check_optimizer(optimizer)
  self.optimizer = optimizer
  last_epoch = last_epoch or -1
  for i, group in ipairs(optimizer.param_groups) do
    if last_epoch == -1 then
      if group.initial_lr == nil then group.initial_lr = copy(group.lr) end
    elseif group.initial_lr == nil then
      fail(self, ("param 'initial_lr' is not specified in param_groups[%d] when resuming scheduler with last_epoch >= 0.\n"
        .. "This typically happens when:\n1. You're trying to resume training from a checkpoint but haven't properly "
        .. "loaded the optimizer state\n2. You're using last_epoch >= 0 for a fresh training run (not recommended)")
        :format(i - 1))
    end
  end
  self.base_lrs = self._values(optimizer, "initial_lr")
  self.last_epoch = last_epoch
  if not optimizer._step_of_schedulers then  -- from now on its steps are noticed
    optimizer._step_of_schedulers, optimizer._opt_called = optimizer.step, nil
  end
  self:_initial_step()
end

---@private
function LRScheduler:_initial_step()
  self._step_count = 0
  self._is_initial = true
  local _ <close> = setmetatable({}, {__close = function() self._is_initial = false end})
  self:step()
end

--- The scheduler's fields, under Python's names.
---@return table
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
--- scheduler:state_dict().last_epoch  --> 0
function LRScheduler:state_dict()
  local keys = {}
  for key, value in pairs(self) do
    if key ~= "optimizer" and key ~= "_schedulers" and type(value) ~= "function" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  local state = ordered.new(nil, nil, "dict")
  for _, key in ipairs(keys) do state[key] = self[key] end
  for _, key in ipairs(self._nullable or {}) do
    if self[key] == nil then ordered.set_none(state, key) end
  end
  return state
end

--- Takes what state_dict gave, here or in Python.
---@param state table
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
--- local state = scheduler:state_dict()
--- state.last_epoch = 5
--- scheduler:load_state_dict(state)
--- scheduler.last_epoch  --> 5
function LRScheduler:load_state_dict(state)
  if type(state) ~= "table" then fail(self, "load_state_dict: expected a table, got " .. vm.describe(state)) end
  for _, key in ipairs(self._nullable or {}) do self[key] = nil end
  for key, value in pairs(state) do
    if value == torch.None then value = nil end
    if key ~= "_schedulers" then self[key] = value end
  end
end

--- The learning rates that the last step set, one for each group.
---@return number[]
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5):get_last_lr()  --> {1.0}
function LRScheduler:get_last_lr() return self._last_lr end

--- The learning rates of this epoch: what a class of schedulers defines; called by step.
---@return number[]
---@example local Halves = torch.optim.lr_scheduler.class("Halves", "optimizer, last_epoch=-1")
--- function Halves:get_lr()
---   local rates = {}
---   for i, lr in ipairs(self.base_lrs) do rates[i] = lr / 2 ^ self.last_epoch end
---   return rates
--- end
--- local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = Halves(optimizer)
--- optimizer:step()
--- scheduler:step()
--- scheduler:get_last_lr()  --> {0.5}
function LRScheduler:get_lr() fail(self, "get_lr is not implemented", "function MyScheduler:get_lr() ... end") end

--- Warns where get_lr is called by others than step.
---@private
function LRScheduler:_warn_outside_step()
  if not self._get_lr_called_within_step then
    warn "To get the last learning rate computed by the scheduler, please use `get_last_lr()`."
  end
end

--- One step of the schedule, after the optimizer's. `epoch` sets the epoch instead, by the closed form if there is one.
---@param epoch? integer
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
--- optimizer:step()
--- scheduler:step()
--- optimizer.param_groups[1].lr  --> 0.5
function LRScheduler:step(epoch)
  if self._step_count == 1 then
    local optimizer = self.optimizer
    if optimizer.step ~= optimizer._step_of_schedulers then
      warn("Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. Please, make "
        .. "sure to call `optimizer.step()` before `lr_scheduler.step()`. " .. MORE)
    elseif not optimizer._opt_called then
      warn("Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you should call "
        .. "them in the opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to do this will result in "
        .. "PyTorch skipping the first value of the learning rate schedule. " .. MORE)
    end
  end
  self._step_count = self._step_count + 1
  if epoch ~= nil then warn(EPOCH_WARNING) end
  self:_update_lr(epoch)
end

---@private
function LRScheduler:_update_lr(epoch)
  local values
  do
    self._get_lr_called_within_step = true
    local _ <close> = setmetatable({}, {__close = function() self._get_lr_called_within_step = false end})
    self.last_epoch = epoch or self.last_epoch + 1
    values = epoch and self._get_closed_form_lr and self:_get_closed_form_lr() or self:get_lr()
  end
  for i, group in ipairs(self.optimizer.param_groups) do
    if values[i] == nil then fail(self, ("get_lr gave %d values for %d groups"):format(#values, #self.optimizer.param_groups)) end
    self._set(group, "lr", values[i])
  end
  self._last_lr = self._values(self.optimizer, "lr")
end

--- A value for each group: f(group, base_lr).
---@private
function LRScheduler:_each(f)
  local values = {}
  for i, group in ipairs(self.optimizer.param_groups) do values[i] = f(group, self.base_lrs[i]) end
  return values
end

--- A new class of schedulers. It defines get_lr(self), and __init(self, ...) if it has options: that one ends with
--- torch.optim.lr_scheduler.LRScheduler.__init(self, optimizer, last_epoch).
---@param name string
---@param spec string its arguments: "optimizer, gamma=0.5, last_epoch=-1"
---@param base? table another class, torch.optim.lr_scheduler.LRScheduler
---@return table class
---@example local Fixed = torch.optim.lr_scheduler.class("Fixed", "optimizer, last_epoch=-1")
--- function Fixed:get_lr() return self.base_lrs end
--- local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 0.1})
--- Fixed(optimizer):get_last_lr()  --> {0.1}
function LRScheduler.class(name, spec, base)
  if type(name) ~= "string" or type(spec) ~= "string" then
    vm.raise("usage", "torch.optim.lr_scheduler.class: expected a name and its arguments, got "
      .. vm.describe(name) .. " and " .. vm.describe(spec), '"optimizer, gamma=0.5, last_epoch=-1"')
  end
  local class = {__name = name, __tostring = LRScheduler.__tostring}
  class.__index = class
  local parse = signature("torch.optim.lr_scheduler." .. name, spec)
  return setmetatable(class, {
    __index = base or LRScheduler, __name = "class",
    __tostring = function() return "class " .. name end,
    __call = function(_, ...)
      local self = setmetatable({}, class)
      self:__init(parse(...))
      return self
    end,
  })
end

function LRScheduler:__tostring() return ("<%s at epoch %s>"):format(self.__name, text.value(self.last_epoch)) end

return LRScheduler
