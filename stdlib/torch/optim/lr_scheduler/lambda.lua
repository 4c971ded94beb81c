-- torch.optim.lr_scheduler.LambdaLR: the first learning rate times a function of the epoch.
local LRScheduler = require "torch.optim.lr_scheduler.scheduler"
local torch = require "torch"
local vm = require "native.vm"

---@class LambdaLR : LRScheduler
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0})
--- local scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, function(epoch) return 0.5 ^ epoch end)
--- optimizer:step()
--- scheduler:step()
--- scheduler:get_last_lr()  --> {0.5}
---@source torch.optim.lr_scheduler.LambdaLR
local LambdaLR = LRScheduler.class("LambdaLR", "optimizer, lr_lambda, last_epoch=-1")

local function is_callable(value)
  if type(value) == "function" then return true end
  local meta = type(value) == "table" and getmetatable(value)
  return type(meta) == "table" and meta.__call ~= nil
end

---@private
function LambdaLR:__init(optimizer, lr_lambda, last_epoch)
  self:_check_optimizer(optimizer)
  self.optimizer = optimizer
  local count = #optimizer.param_groups
  if type(lr_lambda) == "table" and not is_callable(lr_lambda) then
    if #lr_lambda ~= count then self:_fail(("Expected %d lr_lambdas, but got %d"):format(count, #lr_lambda)) end
    self.lr_lambdas = table.move(lr_lambda, 1, count, 1, {})
  else
    self.lr_lambdas = {}
    for i = 1, count do self.lr_lambdas[i] = lr_lambda end
  end
  for _, f in ipairs(self.lr_lambdas) do
    if not is_callable(f) then self:_fail("lr_lambda should be a function, but got " .. type(f)) end
  end
  LRScheduler.__init(self, optimizer, last_epoch)
end

--- The fields without the functions; of a callable table its own fields are kept.
---@return table
function LambdaLR:state_dict()
  local state = LRScheduler.state_dict(self)
  local kept = {}
  for i, f in ipairs(self.lr_lambdas) do
    kept[i] = torch.None
    if type(f) == "table" then
      kept[i] = {}
      for key, value in pairs(f) do kept[i][key] = value end
    end
  end
  state.lr_lambdas = kept
  return state
end

--- Takes what state_dict gave; functions stay those that the scheduler has.
---@param state table
function LambdaLR:load_state_dict(state)
  local functions = self.lr_lambdas
  LRScheduler.load_state_dict(self, state)
  self.lr_lambdas = functions
  for i, fields in ipairs(state.lr_lambdas or {}) do
    if type(fields) == "table" and type(functions[i]) == "table" then
      for key, value in pairs(fields) do functions[i][key] = value end
    end
  end
end

---@private
function LambdaLR:get_lr()
  self:_warn_outside_step()
  local rates = {}
  for i, f in ipairs(self.lr_lambdas) do
    local factor = f(self.last_epoch)
    if type(factor) ~= "number" then
      vm.raise("usage", "LambdaLR: 'lr_lambda' must return a number, got " .. vm.describe(factor))
    end
    rates[i] = self.base_lrs[i] * factor
  end
  return rates
end

return LambdaLR
