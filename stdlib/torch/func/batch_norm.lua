-- torch.func.replace_all_batch_norm_modules_: batch norms that keep no statistics, as vmap needs them.
local is_module = require("native.model").is_module
local named = require "torch.named"
local vm = require "native.vm"

local transforms = {}

--- Takes the running statistics of all batch norms in a module away, in place: they normalize by the batch from now on.
---@param root Module
---@return Module root
---@example local norm = torch.func.replace_all_batch_norm_modules_(nn.BatchNorm1d(2))
--- norm.running_mean  --> nil
transforms.replace_all_batch_norm_modules_ = named("torch.func.replace_all_batch_norm_modules_", "root", function(root)
  if not is_module(root) then
    vm.raise("usage", "replace_all_batch_norm_modules_: argument 'root' must be a Module, got " .. vm.describe(root))
  end
  for _, module in ipairs(root:modules()) do
    local is_norm, keeps = pcall(function() return module.track_running_stats end)
    if is_norm and keeps then
      module.running_mean, module.running_var, module.num_batches_tracked = nil, nil, nil
      module.track_running_stats = false
    end
  end
  return root
end)

return transforms
