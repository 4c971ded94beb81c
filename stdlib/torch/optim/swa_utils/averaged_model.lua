-- torch.optim.swa_utils.AveragedModel: a copy of a model whose parameters are the average of those that it was shown.
local averages = require "torch.optim.swa_utils.averages"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"

local AveragedModel = module.class("AveragedModel")
local parse = signature("AveragedModel", "model, device=nil, avg_fn=nil, multi_avg_fn=nil, use_buffers=false")

---@param model Module copied
---@param device? any where the copy lies
---@param avg_fn? fun(averaged: Tensor, current: Tensor, num_averaged: Tensor): Tensor the plain mean
---@param multi_avg_fn? fun(averaged: Tensor[], current: Tensor[], num_averaged: Tensor) the same for lists, in place
---@param use_buffers? boolean averages buffers too, false: they are copied
---@example local model = torch.nn.Linear(2, 1)
--- local averaged = torch.optim.swa_utils.AveragedModel(model)
--- averaged:update_parameters(model)
--- averaged.n_averaged:item()  --> 1
function AveragedModel:__init(...)
  local model, device, avg_fn, multi_avg_fn, use_buffers = parse(...)
  if type(device) == "table" and next(device) == nil then device = nil end  -- AveragedModel(model, {}): no options
  if avg_fn ~= nil and multi_avg_fn ~= nil then
    vm.raise("usage", "AveragedModel: Only one of avg_fn and multi_avg_fn should be provided")
  end
  if not native.is_module(model) then
    vm.raise("usage", "AveragedModel: argument 'model' must be a Module, got " .. vm.describe(model))
  end
  self.module = model:deepcopy()
  if device ~= nil then self.module:to(device) end
  self:register_buffer("n_averaged", torch.tensor(0, {dtype = torch.int64, device = device}))
  self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers
end

--- What the averaged model gives.
function AveragedModel:forward(...) return self.module(...) end

local function tensors_of(model, with_buffers)
  local list = model:parameters()
  return with_buffers and table.move(model:buffers(), 1, #model:buffers(), #list + 1, list) or list
end

-- Lists of one device and dtype.
local function alike(averaged, current)
  local groups, by_key = {}, {}
  for i, average in ipairs(averaged) do
    local key = tostring(average.device) .. tostring(average.dtype)
    local group = by_key[key]
    if not group then
      group = {averaged = {}, current = {}, device = average.device}
      by_key[key], groups[#groups + 1] = group, group
    end
    table.insert(group.averaged, average)
    table.insert(group.current, current[i])
  end
  return groups
end

--- Takes the model's parameters into the average; the first ones are copied.
---@param model Module
---@example local model = torch.nn.Linear(2, 1)
--- local averaged = torch.optim.swa_utils.AveragedModel(model, {
---   multi_avg_fn = torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)})
--- for _ = 1, 2 do averaged:update_parameters(model) end
--- averaged.n_averaged:item()  --> 2
function AveragedModel:update_parameters(model)
  local averaged, current = {}, {}
  local mine, theirs = tensors_of(self.module, self.use_buffers), tensors_of(model, self.use_buffers)
  for i = 1, math.min(#mine, #theirs) do
    averaged[i] = mine[i]:detach()
    current[i] = theirs[i]:detach():to(mine[i].device)
  end
  if self.n_averaged:item() == 0 then
    for i, average in ipairs(averaged) do average:copy_(current[i]) end
  elseif self.avg_fn then
    for i, average in ipairs(averaged) do
      average:copy_(self.avg_fn(average, current[i], self.n_averaged:to(average.device)))
    end
  else
    for _, group in ipairs(alike(averaged, current)) do
      local count = self.n_averaged:to(group.device)
      local on_gpu = tostring(group.device):find("^cuda") ~= nil
      if self.multi_avg_fn or on_gpu then
        (self.multi_avg_fn or averages.get_swa_multi_avg_fn())(group.averaged, group.current, count)
      else
        local mean = averages.get_swa_avg_fn()
        for i, average in ipairs(group.averaged) do average:copy_(mean(average, group.current[i], count)) end
      end
    end
  end
  if not self.use_buffers then
    local buffers = model:buffers()
    for i, buffer in ipairs(self.module:buffers()) do buffer:detach():copy_(buffers[i]:detach():to(buffer.device)) end
  end
  self.n_averaged:add_(1)
end

return AveragedModel
