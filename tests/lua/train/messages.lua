-- verbose = 1: the messages of Keras 3.15.1, line by line (tests/parity/test_keras.py compares them with Keras's own).
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn = torch.nn

-- What is said in a training with these values of val_loss.
local function said(values, callbacks, options)
  local lines, net = {}, nn.Linear(1, 1)
  local ear = {name = "Ear", on_train_begin = function() end, say = function(_, text) lines[#lines + 1] = text end}
  train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = options and options.lr or 0.1}), quiet = true,
    epochs = #values, train = {{1}, {1}}, valid = {{1}}, callbacks = {ear, table.unpack(callbacks)},
    step = function(state)
      if state.phase == "valid" then return torch.tensor(values[state.epoch + 1] + 0.0) end
      return (net.weight * 0):sum()
    end}
  return lines
end

test.case("EarlyStopping says where it stopped and what it restored", function()
  test.equal(said({1, 0.5, 2, 2, 2}, {train.EarlyStopping {patience = 2, restore_best_weights = true, verbose = 1}}),
    {"Epoch 4: early stopping", "Restoring model weights from the end of the best epoch: 2."})
  test.equal(said({1, 0.5}, {train.EarlyStopping {patience = 2, restore_best_weights = true, verbose = 1}}),
    {"Restoring model weights from the end of the best epoch: 2."})
  test.equal(said({1, 2, 3}, {train.EarlyStopping {patience = 1, verbose = 1}}), {"Epoch 2: early stopping"})
end)

test.case("ModelCheckpoint says what it saves and what did not improve", function()
  local folder = test.tmpdir()
  test.equal(said({0.5, 0.75, 0.25}, {train.ModelCheckpoint {filepath = folder .. "/best", save_best_only = true, verbose = 1}}), {
    "Epoch 1: val_loss improved from None to 0.50000, saving model to " .. folder .. "/best",
    "Epoch 1: finished saving model to " .. folder .. "/best",
    "Epoch 2: val_loss did not improve from 0.50000",
    "Epoch 3: val_loss improved from 0.50000 to 0.25000, saving model to " .. folder .. "/best",
    "Epoch 3: finished saving model to " .. folder .. "/best",
  })
  test.equal(said({1, 1}, {train.ModelCheckpoint {filepath = folder .. "/{epoch}", save_weights_only = true, verbose = 1,
    save_freq = 3}}), {
    "Epoch 2: saving model to " .. folder .. "/2.safetensors",
    "Epoch 2: finished saving model to " .. folder .. "/2.safetensors",
  })
end)

test.case("ReduceLROnPlateau and LearningRateScheduler say the rate", function()
  test.equal(said({1, 1, 1}, {train.ReduceLROnPlateau {factor = 0.5, patience = 1, verbose = 1}}, {lr = 0.5}),
    {"Epoch 2: ReduceLROnPlateau reducing learning rate to 0.25.", "Epoch 3: ReduceLROnPlateau reducing learning rate to 0.125."})
  test.equal(said({1, 1}, {train.LearningRateScheduler {schedule = function(epoch) return 0.5 / (epoch + 1) end, verbose = 1}}),
    {"Epoch 1: LearningRateScheduler setting learning rate to 0.5.",
      "Epoch 2: LearningRateScheduler setting learning rate to 0.25."})
end)

test.case("without verbose nothing is said", function()
  test.equal(said({1, 2, 3}, {train.EarlyStopping {patience = 1, verbose = 0}, train.ReduceLROnPlateau {patience = 1},
    train.ModelCheckpoint {filepath = test.tmpdir() .. "/x", verbose = false}}), {})
end)
