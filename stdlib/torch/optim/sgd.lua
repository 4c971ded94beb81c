-- torch.optim.SGD: stochastic gradient descent, with momentum, dampening, weight decay and Nesterov's variant.
local Optimizer = require "torch.optim.optimizer"
local vm = require "native.vm"

---@class SGD : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.SGD({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item()  --> 0.5
---@source torch.optim.SGD
local SGD = Optimizer.class("SGD", "sgd", "lr=0.001, momentum=0, dampening=0, weight_decay=0, nesterov=false, "
  .. "maximize=false, foreach=nil, differentiable=false, fused=true")

--- Refuses Nesterov without what it needs; the message is PyTorch's.
---@private
function SGD.check(_, group)
  if group.nesterov and (group.momentum <= 0 or group.dampening ~= 0) then
    vm.raise("usage", "SGD: Nesterov momentum requires a momentum and zero dampening")
  end
end

return SGD
