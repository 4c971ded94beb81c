-- torch.optim.lr_scheduler.CosineAnnealingWarmRestarts: half cosines, each T_mult times as long as the one before.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"
local text = require "torch.python_text"
local vm = require "native.vm"

---@class CosineAnnealingWarmRestarts : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2)
--- for _ = 1, 2 do optimizer:step() scheduler:step() end
--- scheduler:get_last_lr()  --> {1.0}
---@source torch.optim.lr_scheduler.CosineAnnealingWarmRestarts
local CosineAnnealingWarmRestarts = LRScheduler.class("CosineAnnealingWarmRestarts",
  "optimizer, T_0, T_mult=1, eta_min=0.0, last_epoch=-1")

local function shown(value) return math.type(value) and text.value(value) or vm.describe(value) end

---@private
function CosineAnnealingWarmRestarts:__init(optimizer, t_0, t_mult, eta_min, last_epoch)
  if math.type(t_0) ~= "integer" or t_0 <= 0 then self:_fail("Expected positive integer T_0, but got " .. shown(t_0)) end
  if math.type(t_mult) ~= "integer" or t_mult < 1 then
    self:_fail("Expected integer T_mult >= 1, but got " .. shown(t_mult))
  end
  if not math.type(eta_min) then
    self:_fail(("Expected float or int eta_min, but got %s of type %s"):format(tostring(eta_min), type(eta_min)))
  end
  self.T_0, self.T_i, self.T_mult, self.eta_min, self.T_cur = t_0, t_0, t_mult, eta_min, last_epoch
  LRScheduler.__init(self, optimizer, last_epoch)
end

---@private
function CosineAnnealingWarmRestarts:get_lr()
  self:_warn_outside_step()
  local least = self.eta_min
  return self:_each(function(_, base)
    return least + (base - least) * (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
  end)
end

-- A whole number as an integer.
local function whole(x) return math.tointeger(x) or x end

local function place(self, epoch)
  if epoch < self.T_0 then
    self.T_i, self.T_cur = self.T_0, epoch
  elseif self.T_mult == 1 then
    self.T_cur = epoch % self.T_0
  else
    local cycles = math.floor(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1) / math.log(self.T_mult))
    local length = whole(self.T_mult ^ cycles)
    self.T_cur = epoch - self.T_0 * (length - 1) / (self.T_mult - 1)
    self.T_i = self.T_0 * length
  end
end

--- One step of the schedule. `epoch` sets the place in it instead; it may be a fraction: epoch + batch / batches.
---@param epoch? number
function CosineAnnealingWarmRestarts:step(epoch)
  if epoch == nil and self.last_epoch < 0 then epoch = 0 end
  if epoch == nil then
    epoch = self.last_epoch + 1
    self.T_cur = self.T_cur + 1
    if self.T_cur >= self.T_i then
      self.T_cur = self.T_cur % self.T_i
      self.T_i = self.T_i * self.T_mult
    end
  else
    if epoch < 0 then self:_fail("Expected non-negative epoch, but got " .. text.value(epoch)) end
    place(self, epoch)
  end
  self.last_epoch = math.floor(epoch)
  self._get_lr_called_within_step = true
  local rates = self:get_lr()
  self._get_lr_called_within_step = false
  for i, group in ipairs(self.optimizer.param_groups) do self._set(group, "lr", rates[i]) end
  self._last_lr = self._values(self.optimizer, "lr")
end

return CosineAnnealingWarmRestarts
