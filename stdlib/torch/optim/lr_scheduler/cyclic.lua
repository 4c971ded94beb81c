-- torch.optim.lr_scheduler.CyclicLR: the learning rate goes up and down between two bounds (Smith, 2015).
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"
local momentum = require "torch.optim.lr_scheduler.momentum"
local ordered = require "host.ordered"
local torch = require "torch"

---@class CyclicLR : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0, momentum = 0.9})
--- local scheduler = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.0, 1.0, {step_size_up = 2})
--- for _ = 1, 2 do optimizer:step() scheduler:step() end
--- scheduler:get_last_lr()  --> {1.0}
---@source torch.optim.lr_scheduler.CyclicLR
local CyclicLR = LRScheduler.class("CyclicLR", "optimizer, base_lr, max_lr, step_size_up=2000, step_size_down=nil, "
  .. "mode='triangular', gamma=1.0, scale_fn=nil, scale_mode='cycle', cycle_momentum=true, base_momentum=0.8, "
  .. "max_momentum=0.9, last_epoch=-1")

local SCALES <const> = {triangular = "cycle", triangular2 = "cycle", exp_range = "iterations"}
CyclicLR._nullable = {"_scale_fn_custom"}

---@private
function CyclicLR:__init(optimizer, base_lr, max_lr, step_size_up, step_size_down, mode, gamma, scale_fn, scale_mode,
    cycle_momentum, base_momentum, max_momentum, last_epoch)
  self:_check_optimizer(optimizer)
  self.optimizer = optimizer
  local base_lrs = self:_per_group("base_lr", optimizer, base_lr)
  if last_epoch == -1 then
    for i, group in ipairs(optimizer.param_groups) do self._set(group, "lr", base_lrs[i]) end
  end
  self.max_lrs = self:_per_group("max_lr", optimizer, max_lr)
  step_size_up = step_size_up + 0.0
  step_size_down = step_size_down and step_size_down + 0.0 or step_size_up
  self.total_size = step_size_up + step_size_down
  self.step_ratio = step_size_up / self.total_size
  if not SCALES[mode] and scale_fn == nil then self:_fail "mode is invalid and scale_fn is None" end
  self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
  self.scale_mode = scale_fn == nil and SCALES[mode] or scale_mode
  self.cycle_momentum = cycle_momentum
  if cycle_momentum then
    self.use_beta1 = momentum.uses_beta1(self, optimizer)
    self.base_momentums = self:_per_group("base_momentum", optimizer, base_momentum)
    self.max_momentums = self:_per_group("max_momentum", optimizer, max_momentum)
    if last_epoch == -1 then
      momentum.begin(optimizer.param_groups, self.max_momentums, self.base_momentums, self.use_beta1)
    end
  end
  LRScheduler.__init(self, optimizer, last_epoch)
  self.base_lrs = base_lrs
end

--- How far the cycle goes: of cycle numbers from 1 on, or of iterations.
---@param x number
---@return number
function CyclicLR:scale_fn(x)
  if self._scale_fn_custom then return self._scale_fn_custom(x) end
  if self.mode == "triangular" then return 1.0 end
  if self.mode == "triangular2" then return 1 / 2.0 ^ (x - 1) end
  return self.gamma ^ x
end

---@private
function CyclicLR:get_lr()
  self:_warn_outside_step()
  local cycle = math.floor(1 + self.last_epoch / self.total_size)
  local x = 1.0 + self.last_epoch / self.total_size - cycle
  local height = x <= self.step_ratio and x / self.step_ratio or (x - 1) / (self.step_ratio - 1)
  local at = self.scale_mode == "cycle" and cycle or self.last_epoch
  local rates = {}
  for i, base in ipairs(self.base_lrs) do rates[i] = base + (self.max_lrs[i] - base) * height * self:scale_fn(at) end
  if self.cycle_momentum then
    for i, group in ipairs(self.optimizer.param_groups) do
      local most = self.max_momentums[i]
      momentum.set(group, most - (most - self.base_momentums[i]) * height * self:scale_fn(at), self.use_beta1)
    end
  end
  return rates
end

--- The fields without the function; of a callable table its own fields are kept.
---@return table
function CyclicLR:state_dict()
  local state = LRScheduler.state_dict(self)
  if type(self._scale_fn_custom) == "table" then
    local fields = {}
    for key, value in pairs(self._scale_fn_custom) do fields[key] = value end
    state._scale_fn_custom = fields
  else
    ordered.set_none(state, "_scale_fn_custom")
  end
  return state
end

--- Takes what state_dict gave; the function stays the one that the scheduler has.
---@param state table
function CyclicLR:load_state_dict(state)
  local custom, fields = self._scale_fn_custom, state._scale_fn_custom
  LRScheduler.load_state_dict(self, state)
  self._scale_fn_custom = custom
  if type(fields) == "table" and fields ~= torch.None and type(custom) == "table" then
    for key, value in pairs(fields) do custom[key] = value end
  end
  if custom == nil then self.scale_mode = SCALES[self.mode] end
end

return CyclicLR
