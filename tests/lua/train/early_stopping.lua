-- train.EarlyStopping on hand-made loss lists.
local test = require "test"
local torch = require "torch"
local train = require "train"

-- Runs the policy over values of val_loss; returns the callback, the epochs run and the waits after each.
local function run(values, arguments)
  arguments.monitor = arguments.monitor or "val_loss"
  local stopping = train.EarlyStopping(arguments)
  local waits = {}
  local history = train.fit {
    train = {{1}}, epochs = #values, quiet = true,
    step = function(state) return 1.0, {val_loss = values[state.epoch + 1]} end,
    callbacks = {stopping, train.on("epoch_end", {group = "logging"}, function() waits[#waits + 1] = stopping.wait end)},
  }
  return stopping, #history.epoch, waits, history
end

test.case("stops after patience epochs without improvement", function()
  local stopping, epochs, waits, history = run({1, 0.9, 0.95, 0.94, 0.93, 0.1}, {patience = 3})
  test.equal(epochs, 5)
  test.equal(waits, {0, 0, 1, 2, 3})
  test.equal(stopping.stopped_epoch, 4)
  test.equal(stopping.best_epoch, 1)
  test.equal(history.stop_reason, "val_loss has not improved for 3 epochs, best 0.9 at epoch 2")
end)

test.case("patience 0 never stops at the first epoch", function()
  local _, epochs = run({1, 1, 1}, {patience = 0})
  test.equal(epochs, 2)
end)

test.case("a baseline keeps the wait until it is beaten (golden trace, Keras 3.15.1)", function()
  local stopping, epochs, waits = run({2, 1.5, 1.25, 1, .5, .4}, {patience = 3, baseline = .5})
  test.equal(epochs, 6)
  test.equal(waits, {1, 2, 3, 4, 5, 0})
  test.equal(stopping.stopped_epoch, nil)
end)

test.case("NaN is never the best", function()
  local stopping, epochs = run({0 / 0, 1, .5}, {patience = 2})
  test.equal(epochs, 3)
  test.equal(stopping.best, .5)
  stopping, epochs = run({1, 0 / 0, 0 / 0, .5}, {patience = 2})
  test.equal(epochs, 3)
  test.equal(stopping.best, 1.0)
end)

test.case("an improvement of exactly min_delta does not count", function()
  local _, _, waits = run({1, 0.75, 0.5, 0.24}, {patience = 9, min_delta = 0.25})
  test.equal(waits, {0, 1, 0, 0})
  _, _, waits = run({1, 1.25, 1.75}, {patience = 9, min_delta = -0.25, mode = "max"})
  test.equal(waits, {0, 1, 0})
end)

test.case("threshold_mode rel takes min_delta as a fraction of the best", function()
  local _, _, waits = run({100, 95, 89}, {patience = 9, min_delta = 0.1, threshold_mode = "rel"})
  test.equal(waits, {0, 1, 0})
end)

test.case("mode max stops when the value no longer grows", function()
  local stopping, epochs = run({0.5, 0.6, 0.6, 0.59}, {patience = 2, mode = "max"})
  test.equal(epochs, 4)
  test.equal(stopping.best, 0.6)
end)

test.case("epochs before start_from_epoch are passed over", function()
  local stopping, epochs, waits = run({0.1, 1, 1, 1, 1}, {patience = 2, start_from_epoch = 2})
  test.equal(waits, {0, 0, 0, 1, 2})
  test.equal(epochs, 5)
  test.equal(stopping.best, 1.0)
end)

test.case("check_finite stops at NaN and names it", function()
  local _, epochs, _, history = run({1, 0 / 0, 1}, {patience = 9, check_finite = true})
  test.equal(epochs, 2)
  test.truthy(history.stop_reason:find("val_loss is nan"))
end)

test.case("stopping and divergence thresholds stop at once", function()
  local _, epochs, _, history = run({1, .5, .09, .08}, {patience = 9, stopping_threshold = 0.1})
  test.equal(epochs, 3)
  test.equal(history.stop_reason, "val_loss is 0.09, beyond the stopping threshold 0.1")
  _, epochs = run({1, 11, 1}, {patience = 9, divergence_threshold = 10})
  test.equal(epochs, 2)
end)

test.case("its state is what it needs to go on", function()
  local first = run({1, .5, .6}, {patience = 3})
  local state = train.callback_list({first}):state_dict()
  test.equal(state, {EarlyStopping = {wait = 1, best = .5, best_epoch = 1}})
  local second = train.EarlyStopping {patience = 3}
  train.callback_list({second}):load_state_dict(state)
  test.equal({second.wait, second.best, second.best_epoch}, {1, .5, 1})
end)

test.case("a second training begins afresh", function()
  local stopping = train.EarlyStopping {monitor = "loss", patience = 1}
  local values = {1, 2, 3}
  for _ = 1, 2 do
    local history = train.fit {train = {{1}}, epochs = 3, quiet = true, callbacks = {stopping},
      step = function(state) return values[state.epoch + 1] end}
    test.equal(#history.epoch, 2)
  end
end)

test.case("where no value was a number the reason names no best one", function()
  local stopping = train.EarlyStopping {monitor = "loss", patience = 2, verbose = false}
  local history
  test.warnings(function()
    history = train.fit {train = {{1}}, epochs = 5, quiet = true, callbacks = {stopping}, step = function() return 0 / 0 end}
  end)
  test.equal(history.stop_reason, "loss has not improved for 2 epochs, it was never a number")
end)

test.case("a missing monitor is an error that lists the names there are", function()
  test.raises("unknown monitor 'val_los'; did you mean 'val_loss'", run, {1, 2}, {monitor = "val_los", mode = "min"})
end)

test.case("what ends with loss is better where it is less, and train_ is left out as val_ is", function()
  local direction = require("train.monitor").direction
  local state = {metrics = {accuracy = train.metrics.Accuracy(), odd_loss = train.metrics.Accuracy()}}
  for name, expected in pairs {loss = "min", val_loss = "min", train_loss = "min", d_loss = "min", val_l1_loss = "min",
    accuracy = "max", val_accuracy = "max", train_accuracy = "max", odd_loss = "max", lossless = "none", f1 = "none"} do
    test.equal(direction(name, state) or "none", expected, name)
  end
  local model = torch.nn.Linear(1, 1)
  local x, stopping = torch.ones(4, 1), train.EarlyStopping {monitor = "train_loss", patience = 1, verbose = false}
  local history = train.fit {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.0}), loss = "mse",
    train = {x, x}, epochs = 5, quiet = true, evaluate_train = 1, callbacks = {stopping}}
  test.equal(#history.train_loss, 2)
end)

test.case("a direction that nothing tells is an error before training", function()
  test.raises("the direction of monitor 'f1' is unknown", run, {1}, {monitor = "f1"})
  test.raises('train.EarlyStopping: mode must be "auto", "min" or "max", got string "up"', run, {1}, {mode = "up"})
end)

test.case("an unknown keyword is an error that lists the valid ones", function()
  test.raises("unknown keyword .*patienc.*patience", train.EarlyStopping, {patienc = 3})
end)

-- Runs val_loss values from epoch `from` by the public pieces; stops where the policy says. Returns the last epoch, the
-- states after each epoch.
local function epochs_of(values, from, callbacks, load)
  local list = train.callback_list(callbacks)
  local state = train.state {callbacks = list, epoch = from, epochs = #values,
    optimizer = {param_groups = {{lr = 1.0}}}}
  local dicts = {}
  state:emit("train_begin")
  if load then list:load_state_dict(load) end
  for epoch = from, #values - 1 do
    state:emit("epoch_begin")
    state.logs.val_loss = values[epoch + 1]
    state:emit("epoch_end")
    dicts[epoch] = list:state_dict()
    if state.stopping then break end
  end
  return state.epoch, dicts, state
end

test.case("killed at any epoch and loaded again it stops where it would have", function()
  math.randomseed(11)
  for _ = 1, 50 do
    local values = {}
    for i = 1, 12 do values[i] = math.random(0, 8) / 8 end
    local options = {patience = math.random(0, 4), min_delta = math.random(0, 1) / 8,
      baseline = math.random(2) == 1 and math.random(8) / 8 or nil, start_from_epoch = math.random(0, 2)}
    local whole, dicts = epochs_of(values, 0, {train.EarlyStopping(options)})
    for kill = 0, whole - 1 do
      local _, _, state = epochs_of(values, kill + 1, {train.EarlyStopping(options)}, dicts[kill])
      test.equal(state.epoch, whole)
    end
  end
end)

test.case("the case of Keras's fault: killed at 4 it stops at 5, not at 9", function()
  local values = {1, 0.9, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95}
  local whole, dicts = epochs_of(values, 0, {train.EarlyStopping {patience = 4}})
  test.equal(whole, 5)
  test.equal(epochs_of(values, 5, {train.EarlyStopping {patience = 4}}, dicts[4]), 5)
  test.equal(epochs_of(values, 5, {train.EarlyStopping {patience = 4}}), 9, "without its state it begins anew, as in Keras")
end)

test.case("the other policies go on where they were too", function()
  local values = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
  local function rates(kill)
    local options = {factor = 0.5, patience = 2, cooldown = 2}
    local _, dicts, first = epochs_of(table.move(values, 1, kill, 1, {}), 0, {train.ReduceLROnPlateau(options)})
    local list = train.callback_list {train.ReduceLROnPlateau(options)}
    local state = train.state {callbacks = list, epoch = kill, optimizer = first.optimizer}
    state:emit("train_begin")
    list:load_state_dict(dicts[kill - 1])
    for _ = kill, #values - 1 do
      state:emit("epoch_begin")
      state.logs.val_loss = 1
      state:emit("epoch_end")
    end
    return state.optimizer.param_groups[1].lr
  end
  for kill = 1, 9 do test.equal(rates(kill), 0.125) end
end)

test.case("compat = keras: a NaN of the first epoch is the best, and lists of history are not filled up", function()
  local function epochs(compat)
    local values = {0 / 0, 1, .5, .25, .125}
    local history = train.fit {train = {{1}}, epochs = #values, quiet = true, compat = compat,
      step = function(state)
        return 1.0, {val_loss = values[state.epoch + 1], late = state.epoch > 0 and 1.0 or nil}
      end,
      callbacks = {train.EarlyStopping {patience = 2}}}
    return #history.epoch, #history.late
  end
  test.equal({epochs()}, {5, 5})
  test.equal({epochs "keras"}, {3, 2})
end)

test.case("the best weights go through a checkpoint and are restored by the training that goes on", function()
  local host = require "host"
  local folder = test.tmpdir() .. "/state"
  local values = {3, 1, 2, 2, 2, 2}
  local function go_on(from, to, load)
    local model = torch.nn.Linear(1, 1)
    local list = train.callback_list {train.EarlyStopping {patience = 9, restore_best_weights = true}}
    local state = train.state {model = model, callbacks = list, epoch = from}
    state:emit("train_begin")
    if load then list:load_state_dict(load) end
    for epoch = from, to do
      state:emit("epoch_begin")
      torch.nn.init.constant_(model.weight, epoch)
      state.logs.val_loss = values[epoch + 1]
      state:emit("epoch_end")
    end
    host.checkpoint.save(folder, {tensors = {callbacks = list:state_dict()}})
    state:emit("train_end")
    return model.weight:item()
  end
  go_on(0, 3)
  test.equal(go_on(4, 5, host.checkpoint.load(folder).tensors.callbacks), 1.0)
end)
