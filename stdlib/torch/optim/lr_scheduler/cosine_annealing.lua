-- torch.optim.lr_scheduler.CosineAnnealingLR: half a cosine from the learning rate to eta_min over T_max epochs.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"

local cos <const>, pi <const> = math.cos, math.pi

---@class CosineAnnealingLR : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
--- for _ = 1, 10 do optimizer:step() scheduler:step() end
--- scheduler:get_last_lr()[1] < 1e-12  --> true
---@source torch.optim.lr_scheduler.CosineAnnealingLR
local CosineAnnealingLR = LRScheduler.class("CosineAnnealingLR", "optimizer, T_max, eta_min=0.0, last_epoch=-1")

---@private
function CosineAnnealingLR:__init(optimizer, t_max, eta_min, last_epoch)
  self.T_max, self.eta_min = t_max, eta_min
  LRScheduler.__init(self, optimizer, last_epoch)
end

---@private
function CosineAnnealingLR:get_lr()
  self:_warn_outside_step()
  local epoch, most, least = self.last_epoch, self.T_max, self.eta_min
  if self._is_initial then return self._values(self.optimizer, "lr") end
  if self._step_count == 1 and epoch > 0 then
    return self:_each(function(_, base) return least + (base - least) * (1 + cos(epoch * pi / most)) / 2 end)
  end
  if (epoch - 1 - most) % (2 * most) == 0 then
    return self:_each(function(group, base) return group.lr + (base - least) * (1 - cos(pi / most)) / 2 end)
  end
  local factor = (1 + cos(pi * epoch / most)) / (1 + cos(pi * (epoch - 1) / most))
  return self:_each(function(group) return factor * (group.lr - least) + least end)
end

---@private
function CosineAnnealingLR:_get_closed_form_lr()
  local least = self.eta_min
  return self:_each(function(_, base)
    return least + (base - least) * (1 + cos(pi * self.last_epoch / self.T_max)) / 2
  end)
end

return CosineAnnealingLR
