-- What a user of Keras or Lightning writes: it works, or an error says what to write.
local test = require "test"
local torch = require "torch"
local train = require "train"
local F, nn = torch.nn.functional, torch.nn

torch.manual_seed(4)
local X, Y = torch.randn(10, 4), torch.randn(10, 1)

local function fit(given)
  given.model = given.model or nn.Linear(4, 1)
  given.optimizer = given.optimizer or torch.optim.SGD(given.model:parameters(), {lr = 0.01})
  given.loss, given.epochs, given.quiet = given.loss or "mse", given.epochs or 1, true
  return train.fit(given), given.model
end

test.case("x and y are train = {x, y}; x alone is any data", function()
  local function losses(given)
    torch.manual_seed(1)
    return fit(given).loss
  end
  local expected = losses {train = {X, Y}, batch_size = 4, epochs = 2}
  test.equal(losses {x = X, y = Y, batch_size = 4, epochs = 2}, expected)
  test.equal(#losses {x = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), {batch_size = 4})}, 1)
  test.equal(#losses {x = {{X, Y}}}, 1)
  test.raises("y goes with x.-train = {x, y}", fit, {y = Y})
  test.raises("train and x are the same", fit, {x = X, y = Y, train = {X, Y}})
  test.raises("x must be a tensor where y is given, got table", fit, {x = {1, 2}, y = Y})
  test.raises("y must be a tensor", fit, {x = X, y = {1, 2}})
  test.raises("validation_steps must be a whole number of 1 or more, got string", fit, {x = X, y = Y, validation_steps = "x"})
  test.raises("validation_steps must be a whole number of 1 or more, got number 0", fit, {x = X, y = Y, validation_steps = 0})
end)

test.case("evaluate and predict take x, y, sample_weight, steps, batch_size and verbose", function()
  local model = nn.Linear(4, 1)
  local function score(given)
    given.model, given.loss = model, "mse"
    return train.evaluate(given).loss
  end
  test.near(score {x = X, y = Y}, F.mse_loss(model(X), Y):item(), 1e-6)
  local weight = torch.rand(10)
  test.near(score {x = X, y = Y, sample_weight = weight, batch_size = 3, return_dict = true}, score {data = {X, Y, weight}}, 1e-6)
  test.near(score {x = X, y = Y, batch_size = 4, steps = 2}, F.mse_loss(model(X["0:8"]), Y["0:8"]):item(), 1e-6)
  test.equal(train.predict{model = model, x = X, batch_size = 3, steps = 2, verbose = 0}.shape, {6, 1})
  test.raises("sample_weight goes with data = {x, y}", score, {data = {{X, Y}}, sample_weight = weight})
  test.raises("steps are the same", score, {x = X, y = Y, steps = 1, limit_batches = 1})
  test.raises("return_dict = false is not there", score, {x = X, y = Y, return_dict = false})
  test.raises("verbose must be 0", score, {x = X, y = Y, verbose = 3})
end)

test.case("verbose shows a line of evaluate and of predict", function()
  local lines = {}
  local progress = train.Progress {bar = false, write = function(text) lines[#lines + 1] = text end}
  train.evaluate {model = nn.Identity(), data = {Y, Y}, loss = "mse", batch_size = 5, callbacks = {progress}}
  test.truthy(lines[1]:find("^evaluate: loss 0  2 batches in [%d.]+s, %d+ms/batch\n$"), lines[1])
  train.predict {model = nn.Identity(), data = Y, batch_size = 5, callbacks = {progress}}
  test.truthy(lines[2]:find("^predict: 2 batches in "), lines[2])
  fit {train = {X, Y}, evaluate_train = 1, epochs = 1, callbacks = {progress}}
  test.equal(#lines, 3)
  test.truthy(lines[3]:find("^epoch 1/1: loss [%d.]+  train_loss"), lines[3])
end)

test.case("validation_data wins over validation_split, 0 is none", function()
  local seen = {}
  local function sizes(given)
    seen = {}
    given.x, given.y = X, Y
    given.callbacks = {train.on("batch_end", function(s) seen[#seen + 1] = s.samples end),
      train.on("valid_batch_end", function(s) seen[#seen + 1] = -s.samples end)}
    fit(given)
    return seen
  end
  test.equal(sizes {validation_split = 0.5, validation_data = {X["0:3"], Y["0:3"]}}, {10, -3})
  test.equal(sizes {validation_split = 0.5}, {5, -5})
  test.equal(sizes {validation_split = 0.0}, {10})
  test.raises("validation_split must be a number between 0 and 1", sizes, {validation_split = 1})
end)

test.case("model.stop_training ends the training after the batch or the epoch, and not the next one", function()
  local model = nn.Linear(4, 1)
  local batches = 0
  local history = fit {model = model, x = X, y = Y, batch_size = 4, epochs = 5, callbacks = {
    {name = "counts", on_train_batch_end = function() batches = batches + 1 end},
    {name = "stops", on_epoch_end = function(_, state) if state.epoch == 1 then state.model.stop_training = true end end}}}
  test.equal(#history.loss, 2)
  test.equal(history.stop_reason, "stop_training was set")
  history = fit {model = model, x = X, y = Y, batch_size = 4, epochs = 5, callbacks = {
    {name = "stops", on_batch_end = function(_, state) if state.batch == 1 then state.stop_training = true end end}}}
  test.equal(#history.loss, 1)
  test.equal(batches, 6)
  test.equal(#fit({model = model, x = X, y = Y, epochs = 3}).loss, 3)
end)

test.case("a hook with Keras's parameters is an error that says what to write", function()
  local says = "gets %(self, state%), it has 3 parameters.-state.epoch, state.batch and state.logs"
  test.raises(says, train.callback_list, {{name = "k", on_epoch_end = function(_self, _epoch, _logs) end}})
  test.raises("on_epoch_end gets %(state%), it has 2 parameters", train.LambdaCallback, {on_epoch_end = function(_epoch, _logs) end})
end)

test.case("other libraries' words say what to write here", function()
  local expected = {max_epochs = "write epochs", workers = "DataLoader", learning_rate = "torch.optim", jit_compile = "leave it out",
    gradient_clip_val = "write clip_grad_norm", val_dataloaders = "write valid", fast_dev_run = "dry_run = true",
    loss_weights = "weighs the parts"}
  for name, text in pairs(expected) do
    local ok, err = pcall(fit, {x = X, y = Y, [name] = 2})
    test.falsy(ok)
    test.truthy(err.message:find("unknown keyword '" .. name .. "'", 1, true) and err.hint:find(text, 1, true), tostring(err.hint))
  end
end)

test.case("wrong kinds of Keras's arguments are told", function()
  local function refuse(pattern, more)
    more.x, more.y = X, Y
    test.raises(pattern, fit, more)
  end
  refuse("shuffle must be true or false, got string", {shuffle = "yes"})
  refuse("verbose must be 0 %(quiet%)", {verbose = "loud"})
  refuse("validation_freq must be a list of epochs from 1, got string \"2\"", {valid = {X, Y}, validation_freq = {1, "2"}})
  refuse("batch_size must be a whole number of 1 or more", {batch_size = 0})
  refuse("epochs must be a whole number of 1 or more, got string \"3\"", {epochs = "3"})
  test.equal(#fit({x = X, y = Y, verbose = "auto"}).loss, 1)
  test.raises("shuffle goes with tensors and datasets", fit, {train = {{X, Y}}, shuffle = true})
  test.raises("validation_batch_size goes with tensors and datasets", fit, {x = X, y = Y, valid = {{X, Y}}, validation_batch_size = 2,
    step = function(state, batch) return F.mse_loss(state.model(batch[1]), batch[2]) end})
end)

test.case("stop_training is true in a hook as it is in Python: 1 is, 0 and false are not", function()
  for value, epochs in pairs {[1] = 1, [true] = 1, [0] = 3, [false] = 3} do
    local history = fit {x = X, y = Y, epochs = 3, callbacks = {
      train.on("epoch_end", function(state) state.model.stop_training = value end)}}
    test.equal(#history.epoch, epochs, tostring(value))
  end
end)
