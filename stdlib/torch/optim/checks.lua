-- What optimizers demand of their hyperparameters, with PyTorch's messages.
local text = require "torch.python_text"
local torch = require "torch"
local vm = require "native.vm"

local checks = {}

local function shown(value)
  if math.type(value) or torch.is_tensor(value) then return text.format(value) end
  return vm.describe(value)
end

local function number(value)
  if math.type(value) then return value end
  if torch.is_tensor(value) and value:numel() == 1 then return value:item() end
  return nil
end

--- group[key] is a number for which is_valid holds; else "<message>: <value>".
function checks.that(key, message, is_valid)
  return function(self, group, fail)
    local value = number(group[key])
    if not value or value ~= value or not is_valid(value) then fail(self, message .. ": " .. shown(group[key])) end
  end
end

local function at_least_0(value) return value >= 0 end

--- group[key] is a number of at least 0.
function checks.at_least_0(key, message) return checks.that(key, message, at_least_0) end

--- group.lr is a number for which is_valid holds, or a tensor of one such; else "<message>: <value>".
function checks.lr_that(message, is_valid)
  local check = checks.that("lr", message, is_valid)
  return function(self, group, fail)
    if torch.is_tensor(group.lr) and group.lr:numel() ~= 1 then fail(self, "Tensor lr must be 1-element") end
    check(self, group, fail)
  end
end

checks.lr = checks.lr_that("Invalid learning rate", at_least_0)
--- The same in other words.
checks.learning_rate = checks.lr_that("Learning rate should be >= 0 but is", at_least_0)
checks.eps = checks.at_least_0("eps", "Invalid epsilon value")
checks.momentum = checks.at_least_0("momentum", "Invalid momentum value")
checks.weight_decay = checks.at_least_0("weight_decay", "Invalid weight_decay value")
--- group.betas are two numbers in [0, 1).
checks.betas = function(self, group, fail)
  for i = 1, 2 do
    local beta = type(group.betas) == "table" and group.betas[i]
    local value = number(beta)
    if not value or not (value >= 0 and value < 1) then
      fail(self, ("Invalid beta parameter at index %d: %s"):format(i - 1, shown(beta)))
    end
  end
end

return checks
