-- torch.optim.SparseAdam: Adam for sparse gradients; only what a gradient touches moves.
local checks = require "torch.optim.checks"
local native = require "torch.optim.native"
local vm = require "native.vm"

local function positive(v) return v > 0 end

---@class SparseAdam : Optimizer
---@example local table_of_words = torch.nn.Parameter(torch.ones(3, 2))
--- local optimizer = torch.optim.SparseAdam({table_of_words}, {lr = 0.5})
--- torch.nn.functional.embedding(torch.tensor{1}, table_of_words, {sparse = true}):sum():backward()
--- optimizer:step()
--- table_of_words:detach()[1]  --> tensor([0.5000, 0.5000])
---@source torch.optim.SparseAdam
local SparseAdam = native.over("SparseAdam", "sparse_adam", "lr=0.001, betas={0.9, 0.999}, eps=1e-8, maximize=false", {
  checks.lr_that("Invalid learning rate", positive), checks.that("eps", "Invalid epsilon value", positive),
  checks.betas,
})

--- Takes dense, real parameters alone.
---@private
function SparseAdam:_finish_class()
  local function refuse(message, is_wrong)
    local places = {}
    for i, group in ipairs(self.param_groups) do
      for k, param in ipairs(group.params) do
        if is_wrong(param) then places[#places + 1] = ("[%d, %d]"):format(i - 1, k - 1) end
      end
    end
    if #places > 0 then vm.raise("usage", "SparseAdam: " .. message:format("[" .. table.concat(places, ", ") .. "]")) end
  end
  refuse("Sparse params at indices %s: SparseAdam requires dense parameter tensors",
    function(param) return param.is_sparse end)
  refuse("Complex params at indices %s: SparseAdam does not support complex parameters",
    function(param) return param:is_complex() end)
end

return SparseAdam
