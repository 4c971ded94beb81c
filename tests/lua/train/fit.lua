-- train.fit: weighting, accumulation, bounds, stops, errors before the first step.
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

-- `n` samples of y = 2 x1 - x2 in batches of `size`, the last one ragged.
local function batches(n, size, seed)
  torch.manual_seed(seed or 1)
  local x = torch.randn(n, 2)
  local y = x:matmul(torch.tensor {{2.0}, {-1.0}})
  local list = {}
  for first = 0, n - 1, size do
    local count = math.min(size, n - first)
    list[#list + 1] = {x:narrow(0, first, count), y:narrow(0, first, count)}
  end
  return list, x, y
end

local function model(seed)
  torch.manual_seed(seed or 2)
  return nn.Linear(2, 1)
end

local function weight(net) return net.weight:detach():clone() end

local function fit(arguments)
  arguments.quiet = true
  arguments.train = arguments.train or batches(10, 4)
  arguments.model = arguments.model or model()
  arguments.optimizer = arguments.optimizer or torch.optim.SGD(arguments.model:parameters(), {lr = 0.05})
  if not arguments.step then arguments.loss = arguments.loss or F.mse_loss end
  if not arguments.max_steps and not arguments.max_time then arguments.epochs = arguments.epochs or 1 end
  return train.fit(arguments)
end

test.case("trains exactly as the loop by hand", function()
  local data = batches(10, 4)
  local net, raw = model(), model()
  local history = fit {model = net, train = data, epochs = 3}
  local opt, loss_of_epoch = torch.optim.SGD(raw:parameters(), {lr = 0.05}), {}
  for epoch = 1, 3 do
    local sum = 0
    for _, batch in ipairs(data) do
      local loss = F.mse_loss(raw(batch[1]), batch[2])
      opt:zero_grad()
      loss:backward()
      opt:step()
      sum = sum + loss:item() * batch[1]:size(0)
    end
    loss_of_epoch[epoch] = sum / 10
  end
  test.equal(weight(net), weight(raw), "bit for bit")
  test.near(history.loss, loss_of_epoch, 1e-12)
  test.equal(history.epoch, {0, 1, 2})
  test.equal(history.stop_reason, nil)
end)

test.case("the epoch loss is weighted by samples on a ragged last batch", function()
  -- 10 samples in batches of 4: 0.235688 (Keras 3.15.1), not the mean of the batch means 0.242274
  local losses = {0.225809, 0.225809, 0.275204}
  local history = train.fit {train = batches(10, 4), epochs = 1, quiet = true,
    step = function(state) return torch.tensor(losses[state.batch + 1]) end}
  test.near(history.loss[1], 0.235688, 1e-6)
end)

test.case("samples are counted on a batch's first tensor, not on another object", function()
  local weights = {}
  local list = {{torch.Generator(), torch.ones(3, 2)}, {torch.Generator(), torch.ones(1, 2)}}
  local history = train.fit {train = list, epochs = 1, quiet = true, step = function(state) return state.batch end,
    callbacks = {train.on("batch_end", function(state) weights[#weights + 1] = state.samples end)}}
  test.equal(weights, {3, 1})
  test.near(history.loss[1], 0.25, 1e-12)
end)

test.case("batch-end logs are the running mean", function()
  local seen = {}
  train.fit {train = batches(10, 4), epochs = 1, quiet = true,
    step = function(state) return torch.tensor(state.batch + 1.0) end,
    callbacks = {train.on("batch_end", function(state) seen[#seen + 1] = state.logs.loss end)}}
  test.near(seen, {1, 1.5, (4 + 8 + 6) / 10}, 1e-9)
end)

test.case("loss components are averaged by name", function()
  local history = fit {epochs = 2, valid = batches(3, 3), step = function(state, batch)
    local loss = F.mse_loss(state.model(batch[1]), batch[2])
    return loss, {twice = loss:detach() * 2, count = batch[1]:size(0)}
  end}
  test.near(history.twice, {history.loss[1] * 2, history.loss[2] * 2}, 1e-6)
  test.near(history.count, {(16 + 16 + 4) / 10, 3.6}, 1e-9)
  test.equal(history.val_count, {3.0, 3.0})
end)

test.case("metrics are measured in training and validation", function()
  local data = batches(6, 4)
  local history = fit {train = data, valid = data, metrics = {
    error = function(pred, target) return (pred - target):abs():mean() end,
  }, optimizer = nil}
  test.truthy(history.error[1] > 0 and history.val_error[1] > 0)
end)

test.case("accumulation equals one batch of all samples, the ragged last window included", function()
  local data, x, y = batches(10, 4)
  local net, whole = model(), model()
  fit {model = net, train = data, accumulate = 3, epochs = 2}
  fit {model = whole, train = {{x, y}}, epochs = 2}
  test.near(weight(net), weight(whole), 1e-6)
  net, whole = model(), model()
  local steps = 0
  fit {model = net, train = data, accumulate = 2, epochs = 1,
    callbacks = {train.on("after_step", function() steps = steps + 1 end)}}
  fit {model = whole, train = {{x:narrow(0, 0, 8), y:narrow(0, 0, 8)}, data[3]}, epochs = 1}
  test.equal(steps, 2)
  test.near(weight(net), weight(whole), 1e-6)
end)

test.case("accumulation over data of unknown length steps the last window too", function()
  local data = batches(10, 4)
  local net, whole = model(), model()
  fit {model = net, accumulate = 2, train = function()
    local i = 0
    return function()
      i = i + 1
      return data[i]
    end
  end}
  fit {model = whole, train = data, accumulate = 2}
  test.equal(weight(net), weight(whole))
end)

test.case("step hooks come with their batch, and count steps from 0", function()
  local trace = {}
  local spy = {}
  for _, event in ipairs {"batch_begin", "before_backward", "after_backward", "before_step", "after_step", "batch_end"} do
    spy["on_" .. event] = function(_, state) trace[#trace + 1] = ("%s %d/%d"):format(event, state.batch, state.step) end
  end
  fit {accumulate = 2, callbacks = {spy}}
  test.equal(table.concat(trace, " "):gsub("before_backward", "bb"):gsub("after_backward", "ab"),
    "batch_begin 0/0 bb 0/0 ab 0/0 batch_end 0/0 batch_begin 1/0 bb 1/0 ab 1/0 before_step 1/0 after_step 1/0 " ..
    "batch_end 1/0 batch_begin 2/1 bb 2/1 ab 2/1 before_step 2/1 after_step 2/1 batch_end 2/1")
end)

test.case("clipping is that of nn.utils, over all groups of the optimizer", function()
  local data, results = batches(8, 4), {}
  for i = 1, 2 do
    local net = model()
    local opt = torch.optim.SGD({{params = {net.weight}}, {params = {net.bias}, lr = 0.01}}, {lr = 0.05})
    if i == 1 then
      fit {model = net, optimizer = opt, train = data, clip_grad_norm = 0.3, clip_grad_value = 0.25}
    else
      for _, batch in ipairs(data) do
        opt:zero_grad()
        F.mse_loss(net(batch[1]), batch[2]):backward()
        nn.utils.clip_grad_value_(net:parameters(), 0.25)
        nn.utils.clip_grad_norm_(net:parameters(), 0.3)
        opt:step()
      end
    end
    results[i] = {weight(net), net.bias:detach():clone()}
  end
  test.equal(results[1], results[2])
end)

test.case("gradients are clipped by norm and by value before the step", function()
  local norms = {}
  local net = model()
  fit {model = net, clip_grad_norm = 0.01, callbacks = {train.on("after_step", function(state)
    local sum = 0
    for _, p in ipairs(net:parameters()) do sum = sum + p.grad:pow(2):sum():item() end
    norms[#norms + 1] = math.sqrt(sum)
    test.truthy(state.grad_norm:item() > 0.01)
  end)}}
  test.near(norms, {0.01, 0.01, 0.01}, 1e-5)
  fit {model = net, clip_grad_value = 0.001, callbacks = {train.on("after_step", function()
    for _, p in ipairs(net:parameters()) do test.truthy(p.grad:abs():max():item() <= 0.001 + 1e-9) end
  end)}}
end)

test.case("max_steps ends within an epoch; validation and the last hooks still run", function()
  local trace = {}
  local history = fit {max_steps = 4, valid = batches(4, 4), callbacks = {{
    on_epoch_end = function(_, state) trace[#trace + 1] = ("epoch_end %d after %d"):format(state.epoch, state.steps_done) end,
    on_valid_end = function() trace[#trace + 1] = "valid_end" end,
    on_train_end = function() trace[#trace + 1] = "train_end" end,
  }}}
  test.equal(trace, {"valid_end", "epoch_end 0 after 3", "valid_end", "epoch_end 1 after 4", "train_end"})
  test.equal(history.stop_reason, "max_steps = 4 reached")
end)

test.case("max_time ends at the next batch", function()
  local batches_seen, now = 0, 0
  local history = fit {max_time = "1min", callbacks = {
    train.on("train_begin", function(state) state.started, state.clock = 0, function() return now end end),
    train.on("batch_begin", function() now, batches_seen = now + 25, batches_seen + 1 end),
  }}
  test.equal(batches_seen, 3)
  test.equal(history.stop_reason, "max_time = 60s reached")
end)

test.case("every reason to stop is kept", function()
  local history = fit {epochs = 5, callbacks = {
    train.on("epoch_end", function(state) state:stop("first") end),
    train.on("epoch_end", function(state) state:stop("second") end),
  }}
  test.equal(history.stop_reason, "first; second")
  test.equal(#history.epoch, 1)
end)

test.case("a stop at a batch ends the epoch there", function()
  local seen = 0
  local history = fit {epochs = 5, callbacks = {
    train.on("batch_end", {once = 2}, function(state) state:stop("here") end),
    train.on("batch_end", function() seen = seen + 1 end),
  }}
  test.equal({seen, #history.epoch}, {2, 1})
  history = fit {epochs = 5, callbacks = {train.on("train_begin", function(state) state:stop("never mind") end)}}
  test.equal(#history.epoch, 0)
end)

test.case("TerminateOnNaN stops at the batch that is not finite", function()
  local history = fit {epochs = 3, callbacks = {train.TerminateOnNaN()}, step = function(state, batch)
    local loss = F.mse_loss(state.model(batch[1]), batch[2])
    return state.epoch == 1 and state.batch == 1 and loss * (0 / 0) or loss
  end}
  test.equal(history.stop_reason, "loss is nan at epoch 2, batch 2")
end)

test.case("the best weights come back, also at a natural end", function()
  local net, at = model(), {}
  local values = {3, 1, 2, 2}
  local stopping = train.EarlyStopping {patience = 9, restore_best_weights = true, mode = "min"}
  fit {model = net, epochs = 4, callbacks = {stopping,
    train.on("epoch_end", function(state)
      at[state.epoch] = weight(net)
      state.logs.val_loss = values[state.epoch + 1]
    end)}, step = function(state, batch) return F.mse_loss(state.model(batch[1]), batch[2]) end}
  test.equal(weight(net), at[1])
  test.falsy(torch.equal(at[1], at[3]))
  test.equal(stopping.best_epoch, 1)
end)

test.case("a scheduler steps each epoch or each step, with its monitor", function()
  local calls = {}
  local scheduler = {step = function(_, value) calls[#calls + 1] = value or "-" end}
  fit {epochs = 2, scheduler = scheduler}
  test.equal(calls, {"-", "-"})
  calls = {}
  fit {epochs = 2, scheduler = {scheduler, interval = "step"}}
  test.equal(#calls, 6)
  calls = {}
  local history = fit {epochs = 2, scheduler = {scheduler, monitor = "loss"}}
  test.equal(calls, history.loss)
  test.raises("unknown monitor 'los'", fit, {scheduler = {scheduler, monitor = "los"}})
  test.raises("scheduler must have a method step", fit, {scheduler = 3})
end)

test.case("limits cut the passes", function()
  local trained, validated = 0, 0
  fit {limit_train_batches = 2, limit_valid_batches = 1, valid = batches(8, 2), callbacks = {
    train.on("batch_end", function(state) trained = trained + 1 test.equal(state.batch_count, 2) end),
    train.on("valid_batch_end", function() validated = validated + 1 end),
  }}
  test.equal({trained, validated}, {2, 1})
end)

test.case("a seed makes the run repeatable", function()
  local function run()
    local net = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    return fit({model = net, seed = 7, loss = F.mse_loss, optimizer = torch.optim.SGD(net:parameters(), {lr = 0})}).loss[1]
  end
  torch.manual_seed(3)
  local first = run()
  torch.manual_seed(3)
  torch.randn(5)
  torch.manual_seed(3)
  test.equal(run(), first)
end)

test.case("validation runs without gradients and in evaluation mode, frozen parts stay frozen", function()
  local net = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 1))
  local frozen = net[1]
  frozen:eval()
  local seen = {}
  fit {model = net, valid = batches(4, 4), epochs = 1, callbacks = {
    train.on("train_begin", function() frozen:eval() end),
    train.on("valid_batch_end", function(state) seen = {net.training, state.output.requires_grad} end),
    train.on("epoch_end", function() seen[3], seen[4] = net.training, frozen.training end),
  }}
  test.equal(seen, {false, false, true, false})
end)

test.case("mistakes are found before the first step", function()
  local stepped = false
  local function refuse(pattern, arguments)
    arguments.callbacks = arguments.callbacks or {}
    if not arguments.callbacks.skip then
      arguments.callbacks[#arguments.callbacks + 1] = train.on("train_begin", function() stepped = true end)
    end
    test.raises(pattern, fit, arguments)
  end
  refuse("unknown monitor 'val_loss'.*train.fit was given no valid", {callbacks = {train.EarlyStopping()}})
  refuse("unknown monitor 'val_acc'; did you mean 'val_accuracy'", {valid = batches(4, 4),
    metrics = {accuracy = train.metrics.Accuracy()}, callbacks = {train.EarlyStopping {monitor = "val_acc"}}})
  refuse("the direction of monitor 'val_error' is unknown", {valid = batches(4, 4),
    metrics = {error = function() return 0 end}, callbacks = {train.EarlyStopping {monitor = "val_error"}}})
  refuse("unknown keyword .*epoch.*did you mean", {epoch = 3})
  refuse("resume must be", {resume = true})
  refuse("there is no checkpoint in 'x'", {resume = "x"})
  refuse("epochs must be a whole number of 1 or more, got number 0", {epochs = 0})
  refuse("accumulate must be a whole number of 1 or more, got number 1.5", {accumulate = 1.5})
  refuse("clip_grad_norm must be a number above 0, got number %-1", {clip_grad_norm = -1})
  refuse("metric 'accuracy' must have update, result and reset", {metrics = {accuracy = 3}})
  refuse("metrics must have names", {metrics = {function() return 1 end}})
  refuse('max_time must be a time such as "30min", got "5ep"', {max_time = "5ep"})
  refuse("train has no batches", {train = {}})
  refuse("train must be tensors {x, y}, a dataset, a DataLoader, .*got number 3", {train = 3})
  refuse("loss must be a function or a module, got number", {loss = 3})
  local sgd = torch.optim.SGD(model():parameters(), {lr = 1})
  refuse("model must be a module, got function.*trains what is no module", {model = function(x) return x end,
    optimizer = sgd})
  refuse("model must be a module, got .*call the class: Linear", {model = nn.Linear, optimizer = sgd})
  refuse("optimizer must be an optimizer, got number 5", {optimizer = 5})
  refuse("optimizer must be an optimizer, got Module", {optimizer = model()})
  refuse("optimizer must be an optimizer, got .*call the class: torch.optim.SGD", {optimizer = torch.optim.SGD})
  refuse("metric 'acc' is the class Accuracy.*call the class: train.metrics.Accuracy%(%)",
    {metrics = {acc = train.metrics.Accuracy}})
  test.raises("model must be a module, got boolean false", train.fit, {model = false, optimizer = sgd, step = print,
    train = batches(4, 4), epochs = 1})
  for _, optimizer in ipairs {false, model():parameters()} do
    test.raises("optimizer must be an optimizer", train.fit, {model = model(), optimizer = optimizer, loss = F.mse_loss,
      train = batches(4, 4), epochs = 1, callbacks = {train.on("train_begin", function() stepped = true end)}})
  end
  test.falsy(stepped)
  test.raises("the training has no bound", train.fit, {model = model(), optimizer = 1, loss = F.mse_loss, train = batches(4, 4)})
  test.raises("keyword 'optimizer' is required", train.fit, {model = model(), loss = F.mse_loss, train = batches(4, 4), epochs = 1})
  test.raises("keyword 'model' is required", train.fit, {loss = F.mse_loss, train = batches(4, 4), epochs = 1})
  test.raises("keyword 'loss' is required", train.fit, {model = model(), optimizer = 1, train = batches(4, 4), epochs = 1})
end)

test.case("a step that returns no loss is an error that says so", function()
  test.raises("step must return the loss, got nil", fit, {step = function() end})
  test.raises("the loss must be a tensor, got number", fit, {step = function() return 1 end})
  test.raises("a batch must be {input, target}", fit, {train = {{torch.ones(2, 2)}}})
end)

test.case("a loader's function gives the epoch, and a user table is in the state", function()
  local epochs = {}
  local data = batches(4, 4)
  fit {epochs = 2, user = {mine = 1}, train = function(epoch)
    epochs[#epochs + 1] = epoch
    local done = false
    return function()
      if done then return nil end
      done = true
      return data[1]
    end
  end, callbacks = {train.on("epoch_end", function(state) test.equal(state.user.mine, 1) end)}}
  test.equal(epochs, {0, 1})
end)
