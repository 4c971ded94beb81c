-- torch.optim.Muon: momentum whose matrices are made orthogonal (Jordan et al., 2024).
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"
local vm = require "native.vm"

---@class Muon : Optimizer
---@example local w = torch.eye(2):requires_grad_()
--- local optimizer = torch.optim.Muon({w}, {lr = 0.1})
--- w:sum():backward()
--- optimizer:step()
--- w[0][0]:item() < 1  --> true
---@source torch.optim.Muon
local Muon = native.over("Muon", "muon", "lr=0.001, weight_decay=0.1, momentum=0.95, nesterov=true, "
  .. "ns_coefficients={3.4445, -4.7750, 2.0315}, eps=1e-7, ns_steps=5, adjust_lr_fn=nil", {
    checks.learning_rate,
    checks.at_least_0("momentum", "momentum should be >= 0 but is"),
    checks.at_least_0("weight_decay", "weight decay should be >= 0 but is"),
    function(self, group, fail)
      local adjust = group.adjust_lr_fn
      if adjust ~= nil and adjust ~= "original" and adjust ~= "match_rms_adamw" then
        fail(self, ("Adjust learning rate function %s is not supported"):format(tostring(adjust)))
      end
    end,
  })

--- Takes matrices alone.
---@private
function Muon:_finish_class()
  for _, group in ipairs(self.param_groups) do
    for _, param in ipairs(group.params) do
      if param:dim() ~= 2 then
        vm.raise("usage", "Muon: Muon only supports 2D parameters whereas we found a parameter with size: "
          .. tostring(param.shape))
      end
    end
  end
end

return Muon
