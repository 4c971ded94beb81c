-- What Adam and AdamW demand of their hyperparameters; PyTorch's order and messages.
local checks = require "torch.optim.checks"
local torch = require "torch"

local function tensors(self, group, fail)
  local foreach = group.foreach and not group.capturable
  if torch.is_tensor(group.lr) and foreach then
    fail(self, "lr as a Tensor is not supported for capturable=False and foreach=True")
  end
  if type(group.betas) ~= "table" then return end
  local of_tensors = torch.is_tensor(group.betas[1])
  if of_tensors ~= torch.is_tensor(group.betas[2]) then
    fail(self, "betas must be either both floats or both Tensors")
  end
  for i = 1, of_tensors and 2 or 0 do
    if foreach then
      fail(self, ("betas[%d] as a Tensor is not supported for capturable=False and foreach=True"):format(i - 1))
    end
    if group.betas[i]:numel() ~= 1 then fail(self, ("Tensor betas[%d] must be 1-element"):format(i - 1)) end
  end
end

return {checks.lr, checks.eps, checks.betas, checks.weight_decay, tensors}
