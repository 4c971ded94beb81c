-- torch.optim.Adagrad: steps by the sum of squared gradients so far (Duchi, Hazan and Singer, 2011).
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"

---@class Adagrad : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.Adagrad({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item() < 1  --> true
---@source torch.optim.Adagrad
local Adagrad = native.over("Adagrad", "adagrad", "lr=0.01, lr_decay=0, weight_decay=0, initial_accumulator_value=0, "
  .. "eps=1e-10, foreach=nil, *, maximize=false, differentiable=false, fused=nil", {
    checks.lr, checks.at_least_0("lr_decay", "Invalid lr_decay value"), checks.weight_decay,
    checks.at_least_0("initial_accumulator_value", "Invalid initial_accumulator_value value"), checks.eps,
  })

--- Its state is there before the first step.
---@private
function Adagrad:_finish_class()
  for i, group in ipairs(self.param_groups) do self._native:begin(i - 1, group) end
end

return Adagrad
