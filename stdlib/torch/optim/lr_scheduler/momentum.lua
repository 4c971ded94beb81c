-- Momentum that goes with a cycle of the learning rate: the optimizer's momentum, or the first of its betas.
local momentum = {}

--- Raises if the optimizer has neither; else tells whether it has betas.
---@return boolean
function momentum.uses_beta1(self, optimizer)
  if optimizer.defaults.momentum == nil and optimizer.defaults.betas == nil then
    self:_fail "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
  end
  return optimizer.defaults.betas ~= nil
end

--- Sets it in a group.
function momentum.set(group, value, use_beta1)
  if use_beta1 then group.betas = {value, group.betas[2]} else group.momentum = value end
end

--- Notes the bounds in the groups, and sets the upper one.
function momentum.begin(groups, most, least, use_beta1)
  for i, group in ipairs(groups) do
    momentum.set(group, most[i], use_beta1)
    group.max_momentum, group.base_momentum = most[i], least[i]
  end
end

return momentum
