-- torch.optim.lr_scheduler.ReduceLROnPlateau: a lower learning rate when a metric has stopped improving.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"
local torch = require "torch"
local vm = require "native.vm"

---@class ReduceLROnPlateau : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, {patience = 1, factor = 0.5})
--- for _ = 1, 3 do scheduler:step(0.7) end
--- scheduler:get_last_lr()  --> {0.5}
---@source torch.optim.lr_scheduler.ReduceLROnPlateau
local ReduceLROnPlateau = LRScheduler.class("ReduceLROnPlateau", "optimizer, mode='min', factor=0.1, patience=10, "
  .. "threshold=1e-4, threshold_mode='rel', cooldown=0, min_lr=0, eps=1e-8")
ReduceLROnPlateau._nullable = {"default_min_lr"}

--- in_cooldown, the attribute: are bad epochs ignored for now?
---@private
function ReduceLROnPlateau.__index(self, key)
  if key == "in_cooldown" then return self.cooldown_counter > 0 end
  return ReduceLROnPlateau[key]
end

---@private
function ReduceLROnPlateau:__init(optimizer, mode, factor, patience, threshold, threshold_mode, cooldown, min_lr, eps)
  if factor >= 1.0 then self:_fail "Factor should be < 1.0." end
  self.factor = factor
  self:_check_optimizer(optimizer)
  self.optimizer = optimizer
  local count = #optimizer.param_groups
  if type(min_lr) == "table" then
    if #min_lr ~= count then self:_fail(("expected %d min_lrs, got %d"):format(count, #min_lr)) end
    self.min_lrs = table.move(min_lr, 1, count, 1, {})
  else
    self.default_min_lr = min_lr
    self.min_lrs = {}
    for i = 1, count do self.min_lrs[i] = min_lr end
  end
  self.patience, self.cooldown, self.eps = patience, cooldown, eps
  self.last_epoch = 0
  self._last_lr = self._values(optimizer, "lr")
  self:_init_is_better(mode, threshold, threshold_mode)
  self:_reset()
end

---@private
function ReduceLROnPlateau:_reset()
  self.best, self.cooldown_counter, self.num_bad_epochs = self.mode_worse, 0, 0
end

---@private
function ReduceLROnPlateau:_init_is_better(mode, threshold, threshold_mode)
  if mode ~= "min" and mode ~= "max" then self:_fail(("mode %s is unknown!"):format(tostring(mode))) end
  if threshold_mode ~= "rel" and threshold_mode ~= "abs" then
    self:_fail(("threshold mode %s is unknown!"):format(tostring(threshold_mode)))
  end
  self.mode_worse = mode == "min" and math.huge or -math.huge
  self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
end

---@private
function ReduceLROnPlateau:_is_better(value, best)
  local relative = self.threshold_mode == "rel"
  if self.mode == "min" then
    return value < (relative and best * (1.0 - self.threshold) or best - self.threshold)
  end
  return value > (relative and best * (self.threshold + 1.0) or best + self.threshold)
end

---@private
function ReduceLROnPlateau:_reduce_lr()
  local groups = self.optimizer.param_groups
  if #groups ~= #self.min_lrs then
    if self.default_min_lr == nil then
      self:_fail(("The number of param groups in the `optimizer` (%d) differs from when `ReduceLROnPlateau` was initialized "
        .. "(%d), usually due to a new param group being added to the optimizer. Please modify the `min_lrs` field to match "
        .. "the length of the `optimizer` param groups."):format(#groups, #self.min_lrs))
    end
    self.min_lrs = {}
    for i = 1, #groups do self.min_lrs[i] = self.default_min_lr end
  end
  for i, group in ipairs(groups) do
    local old = torch.is_tensor(group.lr) and group.lr:item() or group.lr
    local new = math.max(old * self.factor, self.min_lrs[i])
    if old - new > self.eps then self._set(group, "lr", new) end
  end
end

--- Looks at the metric of an epoch.
---@param metrics number|Tensor
---@param epoch? integer
function ReduceLROnPlateau:step(metrics, epoch)
  local current = torch.is_tensor(metrics) and metrics:item() or metrics
  if not math.type(current) then
    self:_fail("step() needs the metric, a number, got " .. vm.describe(metrics), "scheduler:step(val_loss)")
  end
  if epoch == nil then epoch = self.last_epoch + 1 else self._warn_epoch() end
  self.last_epoch = epoch
  if self:_is_better(current, self.best) then
    self.best = current + 0.0
    self.num_bad_epochs = 0
  else
    self.num_bad_epochs = self.num_bad_epochs + 1
  end
  if self.cooldown_counter > 0 then
    self.cooldown_counter = self.cooldown_counter - 1
    self.num_bad_epochs = 0
  end
  if self.num_bad_epochs > self.patience then
    self:_reduce_lr()
    self.cooldown_counter = self.cooldown
    self.num_bad_epochs = 0
  end
  self._last_lr = self._values(self.optimizer, "lr")
end

--- Takes what state_dict gave.
---@param state table
function ReduceLROnPlateau:load_state_dict(state)
  LRScheduler.load_state_dict(self, state)
  self:_init_is_better(self.mode, self.threshold, self.threshold_mode)
end

return ReduceLROnPlateau
