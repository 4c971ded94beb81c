-- How torch.optim.swa_utils averages: functions of one parameter and of lists of them.
local torch = require "torch"
local vm = require "native.vm"
local text = require "torch.python_text"

local averages = {}

local function check_decay(decay)
  decay = decay == nil and 0.999 or type(decay) == "table" and (decay.decay or 0.999) or decay
  if not math.type(decay) or decay < 0 or decay > 1 then
    vm.raise("usage", ("Invalid decay value %s provided. Please provide a value in [0,1] range."):format(
      math.type(decay) and text.value(decay) or vm.describe(decay)))
  end
  return decay
end

local function takes_fractions(x) return x:is_floating_point() or x:is_complex() end

--- A function that moves averaged parameters towards current ones: average = decay * average + (1 - decay) * current.
---@param decay? number 0.999
---@return fun(averaged: Tensor[], current: Tensor[], num_averaged: Tensor)
---@example local update = torch.optim.swa_utils.get_ema_multi_avg_fn(0.5)
--- local average = torch.zeros(2)
--- update({average}, {torch.ones(2)})
--- average  --> tensor([0.5000, 0.5000])
function averages.get_ema_multi_avg_fn(decay)
  decay = check_decay(decay)
  return function(averaged, current)
    local _ <close> = torch.no_grad()
    if takes_fractions(averaged[1]) then
      torch.ops.aten._foreach_lerp_(averaged, current, 1 - decay)
    else
      for i, average in ipairs(averaged) do average:copy_(average * decay + current[i] * (1 - decay)) end
    end
  end
end

--- A function that takes current parameters into the mean of num_averaged earlier ones.
---@return fun(averaged: Tensor[], current: Tensor[], num_averaged: Tensor|integer)
---@example local update = torch.optim.swa_utils.get_swa_multi_avg_fn()
--- local average = torch.zeros(2)
--- update({average}, {torch.ones(2)}, 3)
--- average  --> tensor([0.2500, 0.2500])
function averages.get_swa_multi_avg_fn()
  return function(averaged, current, num_averaged)
    local _ <close> = torch.no_grad()
    if takes_fractions(averaged[1]) then
      local weight = 1 / (num_averaged + 1)
      torch.ops.aten._foreach_lerp_(averaged, current, torch.is_tensor(weight) and weight:item() or weight)
      return
    end
    local differences = torch.ops.aten._foreach_sub(current, averaged)
    if torch.is_tensor(num_averaged) then
      local counts = {}
      for i = 1, #averaged do counts[i] = num_averaged + 1 end
      torch.ops.aten._foreach_addcdiv_(averaged, differences, counts)
    else
      torch.ops.aten._foreach_add_(averaged, differences, {alpha = 1.0 / (num_averaged + 1)})
    end
  end
end

--- As get_ema_multi_avg_fn, for one parameter; returns the average.
---@param decay? number 0.999
---@return fun(averaged: Tensor, current: Tensor, num_averaged: Tensor): Tensor
---@example torch.optim.swa_utils.get_ema_avg_fn(0.5)(torch.zeros(2), torch.ones(2))  --> tensor([0.5000, 0.5000])
function averages.get_ema_avg_fn(decay)
  decay = check_decay(decay)
  return function(averaged, current)
    local _ <close> = torch.no_grad()
    return decay * averaged + (1 - decay) * current
  end
end

--- As get_swa_multi_avg_fn, for one parameter; returns the average.
---@return fun(averaged: Tensor, current: Tensor, num_averaged: Tensor|integer): Tensor
---@example torch.optim.swa_utils.get_swa_avg_fn()(torch.zeros(2), torch.ones(2), 3)  --> tensor([0.2500, 0.2500])
function averages.get_swa_avg_fn()
  return function(averaged, current, num_averaged)
    local _ <close> = torch.no_grad()
    return averaged + (current - averaged) / (num_averaged + 1)
  end
end

return averages
