-- train.fit: the training loop, one function over one state table.
local Aggregate = require "train.aggregate"
local Window = require "train.window"
local arguments = require "train.arguments"
local batches = require "train.batches"
local closure = require "train.closure"
local gradients = require "train.gradients"
local host = require "host"
local logs = require "train.logs"
local pass = require "train.pass"
local torch = require "torch"

local clip <const> = torch.nn.utils
local is_tensor <const>, stop_wished <const> = torch.is_tensor, host.stop_wished

-- With a flag of a device that the gradients are not finite: the kernel looks at it, the host does not wait.
local function step_if_finite(optimizer, found_inf, evaluate)
  if not optimizer._native then
    if found_inf:item() == 0 then optimizer:step(evaluate) end
    return
  end
  optimizer.found_inf = found_inf
  local ok, err = pcall(optimizer.step, optimizer)
  optimizer.found_inf = nil
  if not ok then error(err, 0) end
end

-- Ends an accumulation window: the gradients become those of the mean over all its samples, then the optimizer steps.
local function step_optimizer(state, a, window)
  local scaler = a.scaler
  if not state._is_checked then
    state._is_checked = true
    gradients.check(state, "train.fit")
  end
  if scaler and (window.count > 1 or a.clip_grad_value or a.clip_grad_norm or state.callback_list:hears("before_step")) then
    scaler:unscale_(state.optimizer)
  end
  if window.count > 1 then window:average(gradients.parameters(state)) end
  if state.callback_list.handlers.before_step then state:emit("before_step") end
  if a.clip_grad_value then clip.clip_grad_value_(gradients.parameters(state), a.clip_grad_value) end
  if a.clip_grad_norm then
    state.grad_norm = clip.clip_grad_norm_(gradients.parameters(state), a.clip_grad_norm)
  end
  window.count = 0
  if state.skip_step then  -- it counts towards max_steps: a training of skipped steps ends too
    state.skip_step, state.steps_done = nil, state.steps_done + 1
    if scaler then scaler:update() end
    return
  end
  local evaluate = a.needs_closure and closure.new(state, a) or nil
  if scaler then
    scaler:step(state.optimizer)
    scaler:update()
  elseif state.found_inf then
    step_if_finite(state.optimizer, state.found_inf, evaluate)
  else
    state.optimizer:step(evaluate)
  end
  state:emit("after_step")
end

-- Backward of one batch, weighted against the first batch of its window; the true count divides at its end.
local function accumulate(state, a, window)
  if not is_tensor(state.loss) then
    require("native.vm").raise("usage", ("train.fit: the loss must be a tensor, got %s"):format(require("native.vm").describe(state.loss)))
  end
  if window.count == 0 then state.optimizer:zero_grad() end
  local alone = a.accumulate == 1 and window.count == 0  -- a window of one batch has nothing to weigh
  local factor = alone and 1 or window:factor(state.count)
  local handlers = state.callback_list.handlers  -- what nobody hears costs a look
  if handlers.before_backward then state:emit("before_backward") end
  local loss = state.loss
  if not state._is_checked and not loss.requires_grad then
    require("native.vm").raise("usage", "train.fit: the loss requires no gradient: element 0 of tensors does not require grad and " ..
      "does not have a grad_fn", "all parameters are frozen, or the loss is not made of what the model returns")
  end
  if factor ~= 1 then loss = loss * factor end
  if a.scaler then loss = a.scaler:scale(loss) end
  loss:backward()
  if not alone then window:add(state.count) end
  if handlers.after_backward then state:emit("after_backward") end
  if alone or window.count == a.accumulate or state.stopping or state.batch + 1 == state.batch_count then
    step_optimizer(state, a, window)
  end
end

-- As in Python, where 0 is false.
local function is_wished(value) return value and value ~= 0 end

-- Keras's way to stop: a hook sets model.stop_training.
local function heed_stop_training(state)
  local model = state.model
  if not (model and is_wished(model.stop_training) or is_wished(state.stop_training)) then return end
  if model then model.stop_training = nil end
  state.stop_training = nil
  state:stop("stop_training was set")
end

local function check_bounds(state)
  heed_stop_training(state)
  if state.interrupted then
    if not state._told then state:stop("interrupted", true) end
    state._told = true
  elseif state.max_steps and state.steps_done >= state.max_steps then
    state:stop(("max_steps = %d reached"):format(state.max_steps), true)
  elseif state.max_time and state:elapsed() >= state.max_time then
    state:stop(("max_time = %gs reached"):format(state.max_time), true)
  end
end

-- The batches of this epoch that are not done.
local function each_batch(state, a)
  if state.epoch_batches > 0 or batches.is_made_anew(a.train) then
    return require("train.resume").each(state, a.train, a.limit_train_batches)
  end
  return batches.each(a.train, a.limit_train_batches, state.epoch)
end

-- A batch whose step NanGuard leaves out for its loss counts in no average either, unless the epoch has no
-- other; on a device nobody waits for that.
local function is_left_out(loss)
  if is_tensor(loss) then
    if loss.device.type ~= "cpu" then return false end
    loss = loss:item()
  end
  return loss - loss ~= 0
end

local function train_epoch(state, a, aggregate)
  local window, rule = state._window, a.denominator
  state.phase, state.batch_count = "train", batches.count(a.train, a.limit_train_batches)
  state._train_count = state.batch_count
  local is_over = false
  if state.epoch_batches == 0 then
    aggregate:begin(state.logs, state)
  else  -- of a checkpoint that was taken at the end of a batch
    check_bounds(state)
    is_over = state.stopping
  end
  for _, batch in each_batch(state, a) do
    if is_over then break end
    if a.device then batch = batches.to(batch, a.device) end
    state.inputs, state.samples, state.count, state.output, state.target = batch, nil, nil, nil, nil
    state.sample_weight = a.weights and a.weights(batch)
    state:emit("batch_begin")
    local loss, parts = a.step(state, batch)
    local mean, count, means = rule:measure(state, batch, loss, parts)
    if state.optimizer then accumulate(state, a, window) else state.steps_done = state.steps_done + 1 end
    if not (state.leaves_out_not_finite and is_left_out(mean))
        or not aggregate.shown and (state.stopping or state.epoch_batches + 1 == state.batch_count) then
      aggregate:update(mean, means, count, state.output, state.target, state.sample_weight)
    end
    if stop_wished() then state.interrupted = true end
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
    state:fail(err)
  end})
end

local function begin(state, a)
  if a.seed then
    torch.manual_seed(a.seed)
    math.randomseed(a.seed)
  end
  if a.device then state.model:to(a.device) end
  if state.model then
    state.model:train()
    state.model.stop_training = nil
  end
  state:emit("train_begin")
end

-- The validation of one epoch, and the loss of the training data at the weights that it ended with.
local function evaluate_epoch(state, a, validation, again)
  if a.valid and a.validates(state.epoch) then
    local done = pass(state, a.valid, "valid", validation, {step = a.step, limit = a.limit_valid_batches, device = a.device,
      denominator = a.denominator, weighted = a.weighted_valid})
    if done == 0 and not state._told_empty then  -- made by a function: its iterator is used up, say
      state._told_empty = true
      host.log.warn(("train.fit: valid has no batches at epoch %d"):format(state.epoch + 1))
    end
    logs.freeze(state.logs)
  end
  if again and (state.epoch + 1) % a.evaluate_train == 0 then
    pass(state, a.train, "evaluate", again, {step = a.step, limit = a.limit_train_batches, device = a.device,
      denominator = a.denominator, weights = a.weights})
    logs.freeze(state.logs)
  end
end

---Trains a model.
---
---The loss of an epoch, of its parts and of the validation is the mean over all that counts: samples; targets that are not
---ignore_index and the weights of their classes under CrossEntropyLoss and NLLLoss; the weights of samples; what `count`
---says. The gradients of a step are those of that mean too, however many batches it takes. A loss may be one number, one
---for each example, or `total, {reconstruction = l1, kl = l2}`.
---@param given table model, optimizer, loss = f(pred, target), train, valid; epochs | max_steps | max_time (seconds or
---"30min"); metrics = {accuracy = train.metrics.Accuracy()}; callbacks; scheduler = s | {s, interval = "step"|"epoch",
---monitor = name}; accumulate = 1 (batches a step); clip_grad_norm; clip_grad_value; device; step = function(state, batch)
---return loss, logs end; limit_train_batches; limit_valid_batches; seed; quiet; verbose = 0|1|2; user = a table for state.user
---
---Loss, optimizer and metrics also by name: loss = "cross_entropy", optimizer = "adam" (with PyTorch's defaults),
---metrics = {"accuracy"} (by name a metric takes scores for logits, and targets of their shape for one-hot or labels, as the
---loss does). train and valid also as tensors {x, y} or datasets, with Keras's x, y, batch_size = 32, shuffle = true,
---sample_weight, class_weight = {[0] = 1.0, [1] = 5.0}, weighted_metrics (metrics that these weights reach), validation_data,
---validation_split (the data win over it), validation_freq = 1 (or a list of epochs from 1), validation_batch_size,
---validation_steps, steps_per_epoch (an epoch goes on in the data where the last one ended, and from their begin when they
---end; with compat = "keras" it ends with them), initial_epoch = 0. `state.model.stop_training = true` in a hook stops as in
---Keras.
---
---The first Ctrl-C or SIGTERM, or the end of the program that reads standard output (`| head`), ends the training in good
---order after its step: what was logged is stored, MLflow runs end KILLED, and the program ends with 130, 143 or 141.
---
---optimizer = torch.optim.LBFGS(...) or "lbfgs": each step evaluates its batch several times, hooks of before_backward and
---after_backward hear every one; what is logged is the loss before the step. Without accumulate, clip_grad_* and scaler.
---An optimizer of your own is given such a closure where it has needs_closure = true.
---
---reduction = "mean"|"sum" of the loss (default: what a loss of torch.nn says, else "mean"; the gradients of a sum are
---those of the sum); count = function(batch, state) returning what a batch counts; evaluate_train = k (every k epochs also
---train_loss and train_<metric> of the training data in evaluation mode); autocast = true | dtype; scaler = true | a
---torch.GradScaler; detect_anomaly = false; overfit_batches = n (the same first n batches again and again, for training and
---validation); dry_run = false (one batch of each phase; nothing is written); attach = true (`trainhost attach`
---may look in); compat = "keras" (Keras's behaviour where ours differs)
---
---resume = "auto" (goes on, at the very step, from the newest checkpoint that the callbacks of this fit have written) | the
---folder of a checkpoint, or of several; a damaged one is told of and the newest that is whole is taken. false: also
---train.BackupAndRestore begins anew. saved = more that has a state_dict and belongs into checkpoints, by name, and generators
---of the data's own. A checkpoint of another script or of another training of this one is taken where resume names its folder
---alone; the optimizer's class must be the same, its hyperparameters are those of the checkpoint
---@return table history the logs of every epoch, `history.loss[i]`, and `history.stop_reason`
return function(given)
  local a, state = arguments.prepare(given)
  local weighted = a.weighted_names
  local training, validation = Aggregate.new(a.metrics, "", weighted, true), Aggregate.new(a.metrics, "val_", weighted)
  local again = a.evaluate_train and Aggregate.new(a.metrics, "train_", weighted)
  state._running, state._window = training, Window.new(a.denominator.sums)
  local _ <close> = guard(state)
  local _ <close> = a.detect_anomaly and torch.autograd.set_detect_anomaly(true) or nil
  begin(state, a)
  while state._within or not state.stopping and not (state.epochs and state.epochs_done >= state.epochs) do
    state:emit("epoch_begin")
    train_epoch(state, a, training)
    logs.freeze(state.logs)
    evaluate_epoch(state, a, validation, again)
    state:emit("epoch_end")
    heed_stop_training(state)
  end
  state:emit("train_end")
  if state.interrupted then
    require("native.vm").interrupt(("interrupted: stopped in good order after step %d"):format(state.steps_done))
  end
  return state.history
end
