-- Keras's arguments of train.fit: tensors, names, validation, epochs.
local test = require "test"
local torch = require "torch"
local train = require "train"
local F, nn = torch.nn.functional, torch.nn

torch.manual_seed(2)
local X, Y = torch.randn(10, 4), torch.tensor {0, 2, 1, 1, 0, 2, 2, 1, 0, 1}

local function fit(given)
  local model = given.model or nn.Linear(4, 3)
  given.model, given.quiet, given.epochs = model, true, given.epochs or 1
  given.optimizer = given.optimizer or torch.optim.SGD(model:parameters(), {lr = 0.0})
  given.loss = given.loss or (not given.step and F.cross_entropy or nil)
  return train.fit(given), model
end

-- The sizes of all batches of training, or those of validation.
local function sizes(given, event)
  local seen = {}
  given.callbacks = {train.on(event or "batch_end", function(state) seen[#seen + 1] = state.samples end)}
  fit(given)
  return table.concat(seen, " ")
end

test.case("tensors are batches of 32, or of batch_size", function()
  test.equal(sizes {train = {X, Y}}, "10")
  test.equal(sizes {train = {X, Y}, batch_size = 4}, "4 4 2")
  test.equal(sizes {train = torch.utils.data.TensorDataset(X, Y), batch_size = 5}, "5 5")
  test.equal(sizes({train = {X, Y}, batch_size = 4, valid = {X, Y}}, "valid_batch_end"), "4 4 2")
  test.equal(sizes({train = {X, Y}, batch_size = 4, validation_data = {X, Y}, validation_batch_size = 8},
    "valid_batch_end"), "8 2")
  test.equal(sizes {train = X, batch_size = 4, step = function(state, batch) return state.model(batch[1]):mean() end}, "4 4 2")
end)

test.case("training shuffles, unless shuffle = false; validation does not", function()
  local function order(given, event)
    local seen = {}
    given.train, given.batch_size = {torch.arange(10.0):view(10, 1), torch.zeros(10, {dtype = torch.int64})}, 4
    given.model = nn.Linear(1, 3)
    given.callbacks = {train.on(event, function(state)
      for value in state.inputs[1]:iter() do seen[#seen + 1] = math.tointeger(value:item()) end
    end)}
    torch.manual_seed(1)
    fit(given)
    return table.concat(seen, " ")
  end
  test.equal(order({shuffle = false}, "batch_end"), "0 1 2 3 4 5 6 7 8 9")
  test.truthy(order({}, "batch_end") ~= "0 1 2 3 4 5 6 7 8 9")
  test.equal(order({valid = {torch.arange(3.0):view(3, 1), torch.zeros(3, {dtype = torch.int64})}}, "valid_batch_end"), "0 1 2")
  test.equal(order({validation_split = 0.2, shuffle = false}, "valid_batch_end"), "8 9")
  test.equal(order({validation_split = 0.2, shuffle = false}, "batch_end"), "0 1 2 3 4 5 6 7")
end)

test.case("steps_per_epoch goes on where the last epoch ended, and begins anew", function()
  test.equal(sizes {train = {X, Y}, batch_size = 4, steps_per_epoch = 2, epochs = 4}, "4 4 2 4 4 2 4 4")
  local history = fit {train = {X, Y}, batch_size = 4, steps_per_epoch = 7, epochs = 1, shuffle = false}
  test.equal(#history.epoch, 1)
end)

test.case("validation_steps and validation_freq", function()
  test.equal(sizes({train = {X, Y}, valid = {X, Y}, validation_batch_size = 2, validation_steps = 3}, "valid_batch_end"), "2 2 2")
  local function epochs(given)
    local seen = {}
    given.train, given.valid, given.epochs = {X, Y}, {X, Y}, 6
    given.callbacks = {train.on("valid_end", function(state) seen[#seen + 1] = state.epoch + 1 end)}
    fit(given)
    return table.concat(seen, " ")
  end
  test.equal(epochs {}, "1 2 3 4 5 6")
  test.equal(epochs {validation_freq = 2}, "2 4 6")
  test.equal(epochs {validation_freq = {1, 5}}, "1 5")
end)

test.case("policies pass over epochs without validation", function()
  local folder = test.tmpdir()
  local model = nn.Linear(4, 3)
  local optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1})
  local stopping = train.EarlyStopping{patience = 1, min_delta = 100}
  local history = fit {model = model, optimizer = optimizer, train = {X, Y}, valid = {X, Y}, validation_freq = 2, epochs = 9,
    scheduler = {torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer), monitor = "val_loss"},
    callbacks = {stopping, train.ReduceLROnPlateau{patience = 5}, train.ModelCheckpoint{filepath = folder .. "/{epoch}",
      save_best_only = true}, train.ModelCheckpoint{filepath = folder .. "/all-{epoch}-{val_loss:.2f}", name = "all"}}}
  test.equal(#history.epoch, 4)  -- validated after the 2nd and the 4th
  test.equal(stopping.stopped_epoch, 3)
  local file = require("host").file
  test.equal({file.exists(folder .. "/1"), file.exists(folder .. "/2"), file.exists(folder .. "/all-1-nan")}, {false, true, true})
end)

test.case("initial_epoch: epochs is the last one, as in Keras", function()
  local seen = {}
  local history = fit {train = {X, Y}, initial_epoch = 3, epochs = 5,
    callbacks = {train.on("epoch_end", function(state) seen[#seen + 1] = state.epoch end)}}
  test.equal(seen, {3, 4})
  test.equal(history.epoch, {3, 4})
end)

test.case("loss, optimizer and metrics by name", function()
  torch.manual_seed(3)
  local history, model = fit {train = {X, Y}, valid = {X, Y}, optimizer = "adam", loss = "cross_entropy", metrics = {"accuracy"},
    epochs = 2}
  test.truthy(history.accuracy[2] and history.val_accuracy[2])
  local by_hand = F.cross_entropy(model(X), Y):item()
  test.near(train.evaluate{model = model, data = {X, Y}, loss = "CrossEntropyLoss"}.loss, by_hand, 1e-6)
  local state
  fit {train = {X, Y}, optimizer = "AdamW", loss = "cross_entropy", compat = "keras",
    callbacks = {train.on("train_begin", function(s) state = s end)}}
  test.equal(state.optimizer.param_groups[1].eps, 1e-7)
  test.raises("unknown loss 'crossentropy'; did you mean", fit, {train = {X, Y}, loss = "crossentropy"})
  test.raises("unknown optimizer 'adamm'; did you mean 'adam'", fit, {train = {X, Y}, optimizer = "adamm"})
  test.raises("unknown metric 'acuracy'; did you mean 'accuracy'", fit, {train = {X, Y}, metrics = {"acuracy"}})
end)

test.case("Keras's crossentropies take probabilities", function()
  local p = F.softmax(torch.randn(4, 3), 1)
  local target = torch.tensor {0, 2, 1, 1}
  local function loss(name, output, t)
    return train.evaluate{model = nn.Identity(), data = {output, t}, loss = name}.loss
  end
  local expected = F.nll_loss(p:log(), target):item()
  test.near(loss("sparse_categorical_crossentropy", p, target), expected, 1e-6)
  test.near(loss("categorical_crossentropy", p, F.one_hot(target, 3):to(torch.float32)), expected, 1e-6)
  test.raises("categorical_crossentropy: the target must be one%-hot, of the output's shape .-sparse_categorical_crossentropy", loss,
    "categorical_crossentropy", p, target)
  local scores = train.evaluate{model = nn.Identity(), data = {p, F.one_hot(target, 3):to(torch.float32)},
    loss = "categorical_crossentropy", metrics = {"accuracy", "f1", iou = "iou"}}
  test.equal(scores.accuracy, p:argmax(1):eq(target):float():mean():item())
  local yes = torch.tensor {1.0, 0.0, 0.0, 1.0}
  test.near(loss("binary_crossentropy", p["...,0"], yes), F.binary_cross_entropy(p["...,0"], yes):item(), 1e-6)
end)

test.case("evaluate_train gives the loss of the training data at the weights of the epoch's end", function()
  torch.manual_seed(4)
  local model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))
  local history = fit {model = model, optimizer = "adam", train = {X, Y}, batch_size = 3, epochs = 4, evaluate_train = 2,
    metrics = {"accuracy"}}
  model:eval()
  test.near(history.train_loss[4], F.cross_entropy(model(X), Y):item(), 1e-6)
  test.truthy(history.train_loss[1] ~= history.train_loss[1] and history.train_accuracy[2])
  test.truthy(math.abs(history.loss[4] - history.train_loss[4]) > 1e-4)
end)

test.case("a dry run is one batch of each phase, and validates", function()
  local events = {}
  local history = fit {train = {X, Y}, valid = {X, Y}, batch_size = 2, epochs = 50, validation_freq = 7, dry_run = true,
    callbacks = {train.on("batch_end", function() events[#events + 1] = "b" end),
      train.on("valid_batch_end", function() events[#events + 1] = "v" end),
      train.on("epoch_end", function() events[#events + 1] = "e" end)}}
  test.equal(table.concat(events), "bve")
  test.equal(#history.epoch, 1)
end)

test.case("overfit_batches repeats the same first batches", function()
  local seen = {}
  fit {train = {X, Y}, valid = {X, Y}, batch_size = 2, epochs = 3, overfit_batches = 2,
    callbacks = {train.on("batch_end", function(s) seen[#seen + 1] = s.inputs[1][0][0]:item() end)}}
  test.equal(#seen, 6)
  test.equal({seen[3], seen[4]}, {seen[1], seen[2]})
end)

test.case("autocast and the scaler", function()
  local dtypes = {}
  local model = nn.Linear(4, 3)
  local history = fit {model = model, train = {X, Y}, batch_size = 5, autocast = true, epochs = 1,
    loss = function(output, target) dtypes[#dtypes + 1] = tostring(output.dtype) return F.cross_entropy(output:float(), target) end}
  test.equal(dtypes, {"torch.bfloat16", "torch.bfloat16"})
  test.equal(history.stop_reason, nil)
  -- with a scaler the weights are those without: the scale is a power of two
  local function weights(given)
    torch.manual_seed(6)
    given.model = nn.Linear(4, 3)
    given.optimizer = torch.optim.SGD(given.model:parameters(), {lr = 0.1})
    given.train, given.batch_size, given.shuffle, given.epochs = {X, Y}, 4, false, 3
    fit(given)
    return given.model.weight:detach()
  end
  for _, more in ipairs {{}, {accumulate = 2}, {clip_grad_norm = 0.5}} do
    local plain, scaled = {}, {scaler = torch.GradScaler("cpu")}
    for key, value in pairs(more) do plain[key], scaled[key] = value, value end
    test.truthy(torch.allclose(weights(plain), weights(scaled), {rtol = 1e-6}))
  end
  test.raises("autocast must be true or a dtype", fit, {train = {X, Y}, autocast = "half16"})
end)

test.case("a flag of the device leaves a step out", function()
  for _, name in ipairs {"adam", "lbfgs"} do
    local model = nn.Linear(4, 3)
    local before = model.weight:clone()
    local ok, err = pcall(fit, {model = model, train = {X, Y}, epochs = 2, batch_size = 5, loss = "cross_entropy",
      optimizer = torch.optim.Adam(model:parameters(), {lr = 0.1, foreach = name == "lbfgs" or nil}),
      callbacks = {train.on("before_step", function(s) s.found_inf = torch.ones(1) end)}})
    test.truthy(ok, err)
    test.equal(model.weight:equal(before), true)
  end
end)

test.case("what does not go together is an error", function()
  local function refuse(pattern, given)
    if given.train == nil then given.train = {X, Y} end
    test.raises(pattern, fit, given)
  end
  local list = {{X, Y}}
  refuse("batch_size goes with tensors and datasets", {train = list, batch_size = 2})
  refuse("valid and validation_data are the same", {valid = list, validation_data = list})
  refuse("validation_split must be a number between 0 and 1", {validation_split = 2})
  refuse("leaves no samples", {validation_split = 0.95})
  refuse("validation_split goes with", {train = list, validation_split = 0.5})
  refuse("as many samples", {train = {X, Y["0:4"]}})
  refuse("sample_weight goes with train", {train = list, sample_weight = X})
  refuse("not with a step", {step = function() end, class_weight = {[0] = 1}})
  refuse("validation_freq must be", {validation_freq = 0})
  refuse("initial_epoch must be", {initial_epoch = -1})
  refuse("compat must be", {compat = "lightning"})
  refuse("reduction must be", {reduction = "avg"})
  refuse("count must be a function", {count = 3})
  refuse("scaler must be", {scaler = 3})
end)

test.case("predict takes tensors and datasets", function()
  local model = nn.Linear(4, 3)
  for _, data in ipairs {X, torch.utils.data.TensorDataset(X)} do
    test.truthy(torch.allclose(train.predict{model = model, data = data, batch_size = 4}, model(X)))
  end
end)
