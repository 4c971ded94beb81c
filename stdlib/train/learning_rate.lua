-- Reading and setting the learning rate of every parameter group of an optimizer.
local learning_rate = {}

---The learning rate of the first group.
---@return number
function learning_rate.get(optimizer) return optimizer.param_groups[1].lr + 0.0 end

---Gives every group the same learning rate.
function learning_rate.set(optimizer, lr)
  for _, group in ipairs(optimizer.param_groups) do group.lr = lr end
end

---Maps the learning rate of every group through `f`.
function learning_rate.map(optimizer, f)
  for _, group in ipairs(optimizer.param_groups) do group.lr = f(group.lr) end
end

---A usage error without an optimizer that has param_groups.
function learning_rate.check(state)
  if not (state.optimizer and state.optimizer.param_groups) then
    require("native.vm").raise("usage", "needs an optimizer with param_groups")
  end
end

return learning_rate
