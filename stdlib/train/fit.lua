-- train.fit: the training loop, one function over one state table.
local Aggregate = require "train.aggregate"
local Window = require "train.window"
local arguments = require "train.arguments"
local batches = require "train.batches"
local gradients = require "train.gradients"
local host = require "host"
local logs = require "train.logs"
local pass = require "train.pass"
local torch = require "torch"

local clip <const> = torch.nn.utils
local is_tensor <const>, stop_wished <const> = torch.is_tensor, host.stop_wished

-- Ends an accumulation window: the gradients become those of the mean over all its samples, then the optimizer steps.
local function step_optimizer(state, a, window)
  if window.count > 1 then window:average(gradients.parameters(state)) end
  state:emit("before_step")
  if a.clip_grad_value then clip.clip_grad_value_(gradients.parameters(state), a.clip_grad_value) end
  if a.clip_grad_norm then
    state.grad_norm = clip.clip_grad_norm_(gradients.parameters(state), a.clip_grad_norm)
  end
  window.count = 0
  if state.skip_step then  -- it counts towards max_steps: a training of skipped steps ends too
    state.skip_step, state.steps_done = nil, state.steps_done + 1
    return
  end
  state.optimizer:step()
  state:emit("after_step")
end

-- Backward of one batch, weighted against the first batch of its window; the true sample count divides at its end.
local function accumulate(state, a, loss, window)
  if not is_tensor(loss) then
    require("native.vm").raise("usage", ("train.fit: the loss must be a tensor, got %s"):format(type(loss)))
  end
  if window.count == 0 then state.optimizer:zero_grad() end
  local factor = window:factor(state.samples)
  state:emit("before_backward")
  loss = state.loss
  if factor ~= 1 then loss = loss * factor end
  loss:backward()
  window:add(state.samples)
  state:emit("after_backward")
  local last = state.batch_count and state.batch + 1 == state.batch_count
  if window.count == a.accumulate or last or state.stopping then step_optimizer(state, a, window) end
end

local function check_bounds(state)
  if stop_wished() and not state.interrupted then
    state.interrupted = true
    state:stop("interrupted")
  elseif state.max_steps and state.steps_done >= state.max_steps then
    state:stop(("max_steps = %d reached"):format(state.max_steps))
  elseif state.max_time and state:elapsed() >= state.max_time then
    state:stop(("max_time = %gs reached"):format(state.max_time))
  end
end

local function train_epoch(state, a, aggregate)
  local window = Window.new()
  state.phase, state.batch_count = "train", batches.count(a.train, a.limit_train_batches)
  state._train_count = state.batch_count
  aggregate:begin(state.logs)
  for _, batch in batches.each(a.train, a.limit_train_batches, state.epoch) do
    if a.device then batch = batches.to(batch, a.device) end
    state.inputs, state.samples, state.output, state.target = batch, nil, nil, nil
    state:emit("batch_begin")
    local loss, parts = a.step(state, batch)
    if loss == nil then require("native.vm").raise("usage", "train.fit: step must return the loss, got nil") end
    state.loss = loss
    state.samples = state.samples or batches.samples(batch)
    if state.optimizer then accumulate(state, a, loss, window) else state.steps_done = state.steps_done + 1 end
    aggregate:update(loss, parts, state.samples, state.output, state.target)
    state:emit("batch_end")
    check_bounds(state)
    if state.stopping then break end
  end
  if window.count > 0 then step_optimizer(state, a, window) end  -- data of unknown length, or a stop within a window
  if state.epoch_batches == 0 then require("native.vm").raise("usage", "train.fit: train has no batches") end
end

-- Until it is closed the first Ctrl-C asks for a stop in good order; an error on its way out is told to the callbacks.
local function guard(state)
  host.graceful(true)
  return setmetatable({}, {__close = function(_, err)
    host.graceful(false)
    if err == nil then return end
    state.error = err
    local ok, second = pcall(state.emit, state, "exception")
    if not ok then host.log.warn(("in an exception hook: %s"):format(tostring(second))) end
  end})
end

local function begin(state, a)
  if a.seed then
    torch.manual_seed(a.seed)
    math.randomseed(a.seed)
  end
  if a.device then state.model:to(a.device) end
  if state.model then state.model:train() end
  state:emit("train_begin")
end

---Trains a model.
---@param given table model, optimizer, loss = f(pred, target), train, valid; epochs | max_steps | max_time (seconds or
---"30min"); metrics = {accuracy = train.metrics.Accuracy()}; callbacks; scheduler = s | {s, interval = "step"|"epoch",
---monitor = name}; accumulate = 1 (batches a step); clip_grad_norm; clip_grad_value; device; step = function(state, batch)
---return loss, logs end; limit_train_batches; limit_valid_batches; seed; quiet; verbose = 0|1|2; user = a table for state.user
---@return table history the logs of every epoch, `history.loss[i]`, and `history.stop_reason`
return function(given)
  local a, state = arguments.prepare(given)
  local training, validation = Aggregate.new(a.metrics, "", true), Aggregate.new(a.metrics, "val_")
  local _ <close> = guard(state)
  begin(state, a)
  while not state.stopping and not (state.epochs and state.epochs_done >= state.epochs) do
    state:emit("epoch_begin")
    train_epoch(state, a, training)
    logs.freeze(state.logs)
    if a.valid then
      pass(state, a.valid, "valid", validation, {step = a.step, limit = a.limit_valid_batches, device = a.device})
      logs.freeze(state.logs)
    end
    state:emit("epoch_end")
  end
  state:emit("train_end")
  if state.interrupted then
    require("native.vm").interrupt(("interrupted: stopped in good order after step %d"):format(state.steps_done))
  end
  return state.history
end
