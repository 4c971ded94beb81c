-- torch.optim.Adafactor: second moments of matrices in factors (Shazeer and Stern, 2018). eps = {nil, 1e-3}: the first is
-- the dtype's own.
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"
local text = require "torch.python_text"

---@class Adafactor : Optimizer
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.Adafactor({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item() < 1  --> true
---@source torch.optim.Adafactor
local Adafactor = native.over("Adafactor", "adafactor", "lr=0.01, beta2_decay=-0.8, eps={nil, 0.001}, d=1.0, "
  .. "weight_decay=0.0, *, foreach=nil, maximize=false", {
    checks.learning_rate,
    checks.that("beta2_decay", "beta2_decay should be <= 0 but is", function(v) return v <= 0 end),
    function(self, group, fail)
      local first, second = group.eps[1], group.eps[2]
      if math.type(first) and first < 0 then fail(self, "epsilon1 should be >= 0 but is: " .. text.value(first)) end
      if not math.type(second) or second < 0 then
        fail(self, "epsilon2 should be >= 0 but is: " .. text.value(second))
      end
    end,
    checks.that("d", "Clipping threshold d should be >= 1 but is", function(v) return v >= 1 end),
    checks.at_least_0("weight_decay", "weight_decay should be >= 0 but is"),
  })
Adafactor._widths = {eps = 2}

return Adafactor
