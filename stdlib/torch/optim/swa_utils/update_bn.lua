-- torch.optim.swa_utils.update_bn: running statistics of batch normalization, computed anew for averaged weights.
local native = require "native.model"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"

local parse = signature("update_bn", "loader, model, device=nil")

local function is_batch_norm(module)
  local class = not native.is_foreign(module) and native.class_of(module)
  while class do
    if tostring(rawget(class, "__name")):find("BatchNorm", 1, true) then return true end
    class = rawget(class, "__base")
  end
  return false
end

-- What a loader, a list or an iterator gives.
local function each(loader)
  if type(loader) == "function" then return loader end
  if type(loader) == "table" and getmetatable(loader) == nil then
    local i = 0
    return function()
      i = i + 1
      return loader[i]
    end
  end
  local ok, iterate = pcall(function() return loader.iter end)
  if not ok or not iterate then
    vm.raise("usage", "update_bn: expected a loader or a list of batches, got " .. vm.describe(loader))
  end
  return loader:iter()
end

--- Runs the batches of `loader` through the model, so that its batch normalizations have the plain mean of their
--- statistics. Of a batch that is a list the first element is the input. Those that nn.freeze has frozen keep theirs.
---@param loader any a DataLoader, a list of batches, or an iterator
---@param model Module
---@param device? any where inputs go
---@example local model = torch.nn.Sequential(torch.nn.BatchNorm1d(2))
--- torch.optim.swa_utils.update_bn({torch.ones(3, 2), torch.ones(3, 2)}, model)
--- model[0].running_mean  --> tensor([1., 1.])
return function(...)
  local loader, model, device = parse(...)
  local _ <close> = torch.no_grad()
  local found, freezing = {}, package.loaded["torch.nn.freezing"]
  for _, module in ipairs(model:modules()) do
    if is_batch_norm(module) and not (freezing and freezing.is_frozen(module)) then
      module:reset_running_stats()
      found[#found + 1] = {module = module, momentum = module.momentum}
    end
  end
  if #found == 0 then return end
  local was_training = model.training
  model:train()
  for _, entry in ipairs(found) do entry.module.momentum = nil end
  for input in each(loader) do
    if type(input) == "table" then input = input[1] end
    if device ~= nil then input = input:to(device) end
    model(input)
  end
  for _, entry in ipairs(found) do entry.module.momentum = entry.momentum end
  model:train(was_training)
end
