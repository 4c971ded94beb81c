-- torch.optim.lr_scheduler.MultiStepLR: the learning rate times gamma at each milestone.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"
local ordered = require "host.ordered"

---@class MultiStepLR : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, {1, 2}, 0.5)
--- for _ = 1, 2 do optimizer:step() scheduler:step() end
--- scheduler:get_last_lr()  --> {0.25}
---@source torch.optim.lr_scheduler.MultiStepLR
local MultiStepLR = LRScheduler.class("MultiStepLR", "optimizer, milestones, gamma=0.1, last_epoch=-1")

---@private
function MultiStepLR:__init(optimizer, milestones, gamma, last_epoch)
  if type(milestones) ~= "table" then self:_fail "milestones must be a list of epochs" end
  self.milestones = ordered.new(nil, nil, "Counter")
  for _, epoch in ipairs(milestones) do
    epoch = math.tointeger(epoch) or epoch
    self.milestones[epoch] = (self.milestones[epoch] or 0) + 1
  end
  self.gamma = gamma
  LRScheduler.__init(self, optimizer, last_epoch)
end

--- Takes what state_dict gave.
---@param state table
function MultiStepLR:load_state_dict(state)
  LRScheduler.load_state_dict(self, state)
  local counts = ordered.new(nil, nil, "Counter")
  for epoch, count in pairs(self.milestones) do counts[math.tointeger(tonumber(epoch)) or epoch] = count end  -- JSON: text
  self.milestones = counts
end

---@private
function MultiStepLR:get_lr()
  self:_warn_outside_step()
  local count = self.milestones[self.last_epoch]
  if not count then return self._values(self.optimizer, "lr") end
  return self:_each(function(group) return group.lr * self.gamma ^ count end)
end

---@private
function MultiStepLR:_get_closed_form_lr()
  local passed = 0
  for epoch, count in pairs(self.milestones) do
    if epoch <= self.last_epoch then passed = passed + count end
  end
  return self:_each(function(_, base) return base * self.gamma ^ passed end)
end

return MultiStepLR
