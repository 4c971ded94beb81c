-- train.Accumulator: gradient accumulation in loops by hand.
local Window = require "train.window"
local gradients = require "train.gradients"
local keywords = require "host.keywords"
local torch = require "torch"
local vm = require "native.vm"

---@class Accumulator
local Accumulator = {__name = "Accumulator"}
Accumulator.__index = Accumulator

local OPTIONS <const> = {every = keywords.required, scaler = keywords.none, scheduler = keywords.none,
  clip_grad_norm = keywords.none, clip_grad_value = keywords.none}

local function fail(message, ...) vm.raise("usage", "train.Accumulator: " .. message:format(...)) end

---Runs the backward of a batch's loss, and after every `every` batches the step. The loss is the mean over the batch.
---@param loss Tensor
---@param samples? number in the batch, where batches differ in size: the step gets the mean over all samples
---@return boolean stepped
---@example local x = torch.ones(1, {requires_grad = true})
--- local steps = train.Accumulator(torch.optim.SGD({x}, {lr = 0.5}), {every = 2})
--- {steps:backward(x:sum() * 2), steps:backward(x:sum() * 4), x:item()}  --> {false, true, -0.5}
function Accumulator:backward(loss, samples)
  if not torch.is_tensor(loss) then fail("the loss must be a tensor, got %s", vm.describe(loss)) end
  if samples ~= nil and (type(samples) ~= "number" or samples <= 0) then
    fail("argument 'samples' must be a positive number, got %s", vm.describe(samples))
  end
  if self.window.count == 0 then self.optimizer:zero_grad() end
  local factor = self.window:factor(samples or 1)
  if factor ~= 1 then loss = loss * factor end
  if self.scaler then loss = self.scaler:scale(loss) end
  loss:backward()
  self.window:add(samples or 1)
  return self.window.count >= self.every and self:step()
end

---Steps with the batches since the last step, fewer than `every` too: after the last batch of an epoch. Nothing happens
---if there are none.
---@return boolean stepped
---@example local x = torch.ones(1, {requires_grad = true})
--- local steps = train.Accumulator(torch.optim.SGD({x}, {lr = 0.5}), {every = 4})
--- steps:backward(x:sum())
--- {steps:step(), steps:step(), x:item()}  --> {true, false, 0.5}
function Accumulator:step()
  if self.window.count == 0 then return false end
  local parameters, scaler = gradients.parameters(self), self.scaler
  if self.window.count > 1 then self.window:average(parameters) end
  self.window.count = 0
  local utils = torch.nn.utils
  if scaler and (self.clip_grad_value or self.clip_grad_norm) then scaler:unscale_(self.optimizer) end
  if self.clip_grad_value then utils.clip_grad_value_(parameters, self.clip_grad_value) end
  if self.clip_grad_norm then self.grad_norm = utils.clip_grad_norm_(parameters, self.clip_grad_norm) end
  if scaler then
    scaler:step(self.optimizer)
    scaler:update()
  else
    self.optimizer:step()
  end
  for _, scheduler in ipairs(self.schedulers) do scheduler:step() end
  self.steps = self.steps + 1
  return true
end

---What a checkpoint keeps: the steps, and of a window that is not full the gradients.
---@return table
---@example local x = torch.ones(1, {requires_grad = true})
--- local steps = train.Accumulator(torch.optim.SGD({x}, {lr = 0.5}), {every = 2})
--- steps:backward(x:sum())
--- steps:state_dict().count  --> 1
function Accumulator:state_dict()
  local window, held = self.window, {}
  for i, parameter in ipairs(window.count > 0 and gradients.parameters(self) or {}) do
    if parameter.grad ~= nil then held[tostring(i)] = parameter.grad end
  end
  return {steps = self.steps, count = window.count, samples = window.samples, first = window.first, gradients = held}
end

---Goes on where state_dict was taken.
---@param state table
---@example local x = torch.ones(1, {requires_grad = true})
--- local steps = train.Accumulator(torch.optim.SGD({x}, {lr = 0.5}), {every = 2})
--- steps:backward(x:sum())
--- local other = train.Accumulator(torch.optim.SGD({x}, {lr = 0.5}), {every = 2})
--- other:load_state_dict(steps:state_dict())
--- other:backward(x:sum())  --> true
function Accumulator:load_state_dict(state)
  local window = self.window
  self.steps, window.count, window.samples, window.first = state.steps, state.count, state.samples, state.first
  for i, parameter in ipairs(window.count > 0 and gradients.parameters(self) or {}) do
    local gradient = state.gradients[tostring(i)]
    parameter.grad = gradient ~= nil and gradient:to(parameter.device, {copy = true}) or nil
  end
end

---Accumulates the gradients of several batches for each step of an optimizer: clears them, weighs losses so that the step
---gets the mean over all samples, unscales, clips, steps, and steps a schedule of the learning rate. `train.fit` does the
---same by its `accumulate`.
---@param optimizer Optimizer
---@param options table every = batches a step; scaler = a torch.GradScaler; scheduler = one or a list, stepped once a step;
---clip_grad_norm; clip_grad_value
---@return Accumulator with `steps` so far and the last `grad_norm`
---@example local model = torch.nn.Linear(2, 1)
--- local steps = train.Accumulator(torch.optim.SGD(model:parameters(), {lr = 0.1}), {every = 4, clip_grad_norm = 1.0})
--- for _ = 1, 10 do steps:backward(model(torch.ones(3, 2)):mean()) end
--- steps:step()  -- the last two
--- steps.steps  --> 3
return function(optimizer, options)
  options = keywords.check("train.Accumulator", options, OPTIONS)
  if type(optimizer) ~= "table" and type(optimizer) ~= "userdata" or not optimizer.param_groups then
    fail("argument 'optimizer' must be an optimizer, got %s", vm.describe(optimizer))
  end
  local every = options.every
  if math.type(every) ~= "integer" or every < 1 then
    fail("argument 'every' must be a positive integer, got %s", vm.describe(every))
  end
  local schedulers = options.scheduler
  if schedulers == nil then schedulers = {}
  elseif schedulers.step then schedulers = {schedulers} end
  return setmetatable({optimizer = optimizer, every = every, scaler = options.scaler, schedulers = schedulers,
    clip_grad_norm = options.clip_grad_norm, clip_grad_value = options.clip_grad_value, window = Window.new(), steps = 0},
    Accumulator)
end
