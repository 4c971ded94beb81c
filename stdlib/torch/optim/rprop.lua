-- torch.optim.Rprop: resilient backpropagation, by the signs of gradients (Riedmiller and Braun, 1993).
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"
local text = require "torch.python_text"
local vm = require "native.vm"

---@class Rprop : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.Rprop({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item() < 1  --> true
---@source torch.optim.Rprop
local Rprop = native.over("Rprop", "rprop", "lr=0.01, etas={0.5, 1.2}, step_sizes={1e-6, 50}, *, capturable=false, "
  .. "foreach=nil, maximize=false, differentiable=false", {
    checks.lr,
    function(self, group, fail)
      local etas = group.etas
      if type(etas) ~= "table" or not math.type(etas[1]) or not math.type(etas[2]) then
        fail(self, "Invalid eta values: " .. vm.describe(etas))
      end
      if not (0 < etas[1] and etas[1] < 1 and 1 < etas[2]) then
        fail(self, ("Invalid eta values: %s, %s"):format(text.value(etas[1]), text.value(etas[2])))
      end
    end,
  })

return Rprop
