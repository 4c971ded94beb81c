-- Arguments of train.fit, evaluate and predict that ask for more than there is, or do nothing: one warning each, and the
-- training goes on.
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn = torch.nn

local X, Y = torch.randn(8, 2), torch.randn(8, 1)
local LOADER = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), {batch_size = 4})

-- The warnings of a training, and how many batches each epoch had.
local function warnings(given)
  local batches = {}
  local all = {model = nn.Linear(2, 1), optimizer = "sgd", loss = "mse", train = {X, Y}, batch_size = 4, epochs = 1, quiet = true,
    callbacks = {train.on("epoch_end", function(state) batches[#batches + 1] = state.epoch_batches end)}}
  for key, value in pairs(given) do all[key] = value or nil end
  return test.warnings(function() train.fit(all) end), batches
end

test.case("steps_per_epoch beyond the data is told once, with both numbers", function()
  local said, batches = warnings {steps_per_epoch = 5, epochs = 3}
  test.equal(said, {"train.fit: steps_per_epoch = 5, but train ran out of data after 2 batches: it begins anew within the epoch"})
  test.equal(batches, {5, 5, 5})
  test.equal(warnings {steps_per_epoch = 2, epochs = 3}, {})
  test.equal(warnings {steps_per_epoch = 1, epochs = 3}, {})
  local function endless() return function() return {X, Y} end end
  test.equal(warnings {train = endless, batch_size = false, steps_per_epoch = 7, epochs = 2}, {})
end)

test.case("under compat = 'keras' the epoch ends where the data do, as in Keras", function()
  local said, batches = warnings {steps_per_epoch = 5, epochs = 3, compat = "keras"}
  test.equal(said, {"train.fit: steps_per_epoch = 5, but train ran out of data after 2 batches: the epoch ends there"})
  test.equal(batches, {2, 2, 2})
  said, batches = warnings {steps_per_epoch = 2, epochs = 5, batch_size = 3, compat = "keras"}
  test.equal(batches, {2, 1, 2, 1, 2})
  test.equal(#said, 1)
  said, batches = warnings {steps_per_epoch = 2, epochs = 3, compat = "keras"}
  test.equal({said, batches}, {{}, {2, 2, 2}})
end)

test.case("Keras's steps of a validation, an evaluation or a prediction beyond the data", function()
  test.equal(warnings {validation_data = {X, Y}, validation_steps = 9},
    {"train.fit: validation_steps = 9, but validation_data has 2 batches: all are taken"})
  test.equal(warnings {valid = {X, Y}, validation_steps = 2}, {})
  test.equal(warnings {valid = {X, Y}, limit_valid_batches = 9}, {})
  local model = nn.Linear(2, 1)
  test.equal(test.warnings(function() train.evaluate {model = model, loss = "mse", x = X, y = Y, steps = 3} end),
    {"train.evaluate: steps = 3, but x has 1 batch: all are taken"})
  test.equal(test.warnings(function() train.predict {model = model, data = LOADER, steps = 3} end),
    {"train.predict: steps = 3, but data has 2 batches: all are taken"})
  test.equal(test.warnings(function() train.predict {model = model, data = LOADER, limit_batches = 3} end), {})
end)

test.case("a training of no epoch is told of", function()
  local said, batches = warnings {initial_epoch = 3, epochs = 2}
  test.equal(said, {"train.fit: initial_epoch = 3 is not below epochs = 2: nothing is trained"})
  test.equal(batches, {})
  test.equal(#warnings {initial_epoch = 2, epochs = 2}, 1)
  test.equal(warnings {initial_epoch = 1, epochs = 2}, {})
end)

test.case("what is about a validation that there is none of", function()
  test.equal(warnings {validation_steps = 2, validation_freq = 3, validation_batch_size = 2}, {
    "train.fit: validation_batch_size does nothing without validation data",
    "train.fit: validation_freq does nothing without validation data",
    "train.fit: validation_steps does nothing without validation data"})
  test.equal(warnings {validation_freq = 3, epochs = 2, valid = {X, Y}},
    {"train.fit: validation_freq = 3 is more than epochs = 2: nothing is validated"})
  test.equal(warnings {validation_freq = {1}, validation_split = 0.5}, {})
end)

test.case("a validation whose iterator is used up", function()
  local left = 1
  local said = warnings {epochs = 3, valid = function()
    left = left - 1
    local done = left < 0
    return function()
      if done then return nil end
      done = true
      return {X, Y}
    end
  end}
  test.equal(said, {"train.fit: valid has no batches at epoch 2"})
end)

test.case("the scheduler of another optimizer", function()
  local model = nn.Linear(2, 1)
  local optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1})
  local function scheduler(of) return torch.optim.lr_scheduler.StepLR(of, {step_size = 5}) end
  local stray = torch.optim.SGD(nn.Linear(2, 1):parameters(), {lr = 0.1})
  test.equal(warnings({model = model, optimizer = optimizer, scheduler = scheduler(stray)})[1],
    "train.fit: the scheduler is that of an optimizer of other parameters, whose learning rates it sets")
  test.equal(warnings {model = model, optimizer = optimizer, scheduler = scheduler(optimizer)}, {})
  test.equal(warnings {model = model, optimizer = optimizer, scheduler = scheduler(torch.optim.SGD(model:parameters(), {lr = 1}))}[1],
    nil, "of the same parameters")
end)

test.case("an average that begins after the last epoch", function()
  test.equal(warnings {callbacks = {train.SWA {swa_start = 2}}, epochs = 2},
    {"train.SWA: swa_start = 2 is beyond the last of 2 epochs: nothing is averaged"})
  test.equal(warnings {callbacks = {train.SWA {swa_start = 1}}, epochs = 2}, {})
  test.equal(warnings {callbacks = {train.SWA {swa_start = 1}}, epochs = 2, dry_run = true}, {})
  test.raises("SWA, check: swa_lr has 2 values, the optimizer 1 parameter groups", warnings,
    {callbacks = {train.SWA {swa_lr = {0.1, 0.2}}}})
end)
