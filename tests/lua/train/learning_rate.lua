-- train.ReduceLROnPlateau and train.LearningRateScheduler on hand-made loss lists.
local test = require "test"
local train = require "train"

-- Drives one callback by hand; returns the learning rate after each epoch and the one logged in it.
local function drive(callback, values, lr)
  local state = {epoch = 0, log_names = {"loss", "learning_rate"}, optimizer = {param_groups = {{lr = lr}, {lr = lr * 2}}}}
  local list = train.callback_list {callback}
  list:check(state)
  list:emit("train_begin", state)
  local after, logged, second = {}, {}, {}
  for i, value in ipairs(values) do
    state.epoch, state.logs = i - 1, {loss = value}
    list:emit("epoch_begin", state)
    list:emit("epoch_end", state)
    after[i], logged[i] = state.optimizer.param_groups[1].lr, state.logs.learning_rate
    second[i] = state.optimizer.param_groups[2].lr
  end
  return after, logged, second
end

local function constant(n)
  local values = {}
  for i = 1, n do values[i] = 1 end
  return values
end

test.case("reduces on a plateau with cooldown and a least rate (golden trace, Keras 3.15.1)", function()
  local after, logged, second = drive(train.ReduceLROnPlateau {monitor = "loss", factor = .5, patience = 2, cooldown = 2,
    min_lr = .02}, constant(10), .1)
  test.near(after, {.1, .1, .05, .05, .05, .025, .025, .025, .02, .02}, 1e-12)
  test.near(logged, {.1, .1, .1, .05, .05, .05, .025, .025, .025, .02}, 1e-12, "logged before it is reduced")
  test.near(second, {.2, .2, .1, .1, .1, .05, .05, .05, .025, .025}, 1e-12, "every group by the same factor")
end)

test.case("patience 0 reduces at every epoch without improvement (golden trace, Keras 3.15.1)", function()
  test.near(drive(train.ReduceLROnPlateau {monitor = "loss", factor = .5, patience = 0}, constant(4), .1),
    {.1, .05, .025, .0125}, 1e-12)
end)

test.case("an improvement by less than min_delta is none", function()
  local after = drive(train.ReduceLROnPlateau {monitor = "loss", factor = .1, patience = 1, min_delta = .01},
    {1, .995, .9}, 1)
  test.near(after, {1, .1, .1}, 1e-12)
end)

test.case("NaN counts as no improvement", function()
  local after = drive(train.ReduceLROnPlateau {monitor = "loss", factor = .1, patience = 2}, {0 / 0, 1, .9, 0 / 0, 0 / 0}, 1)
  test.near(after, {1, 1, 1, 1, .1}, 1e-12)
end)

test.case("a factor of 1 is an error", function()
  test.raises("factor must be less than 1", train.ReduceLROnPlateau, {factor = 1.0})
end)

test.case("the schedule gets the epoch from 0 and the rate, and may return an integer", function()
  local epochs = {}
  local after, logged = drive(train.LearningRateScheduler(function(epoch, lr)
    epochs[#epochs + 1] = epoch
    return epoch == 2 and 1 or lr * 0.5
  end), constant(4), .8)
  test.equal(epochs, {0, 1, 2, 3})
  test.near(after, {.4, .2, 1, .5}, 1e-12)
  test.near(logged, after, 1e-12)
end)

test.case("an error in the schedule is not hidden", function()
  test.raises("callback LearningRateScheduler, on_epoch_begin: .*boom", drive,
    train.LearningRateScheduler {schedule = function() error("boom") end}, {1}, 1)
  for got, value in pairs {["nil"] = false, ["number %-1"] = -1, ["number nan"] = 0 / 0, ["number inf"] = math.huge,
    ['string "x"'] = "x"} do
    local callback = train.LearningRateScheduler(function(epoch, lr)
      if epoch == 0 then return lr * 0 end
      return value or nil
    end)
    test.raises("schedule must return a learning rate of 0 or more, got " .. got .. " at epoch 2 %(epoch = 1 of", drive, callback,
      {1, 1}, 1)
  end
end)

test.case("a policy without an optimizer is an error before training", function()
  local list = train.callback_list {train.ReduceLROnPlateau {monitor = "loss"}}
  test.raises("needs an optimizer", function() list:check {log_names = {"loss"}} end)
end)
