-- What a user may give by mistake: the error names it and says what to write.
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local X, Y = torch.randn(8, 2), torch.randn(8, 1)

local function refuse(pattern, hint, given)
  given.model = given.model or nn.Linear(2, 1)
  for key, value in pairs {optimizer = "sgd", loss = not given.step and "mse" or nil, train = {X, Y}, epochs = 1, quiet = true} do
    if given[key] == nil then given[key] = value end
  end
  local ok, err = pcall(train.fit, given)
  test.falsy(ok, pattern)
  test.truthy(err.message:find(pattern), err.message)
  if hint then test.truthy((err.hint or ""):find(hint, 1, true), tostring(err.hint)) end
end

test.case("a class in place of what it makes", function()
  refuse("loss is the class MSELoss, expected a loss", "torch.nn.MSELoss()", {loss = nn.MSELoss})
  refuse("optimizer must be an optimizer, got the class SGD", "torch.optim.SGD(model:parameters()", {optimizer = torch.optim.SGD})
  refuse("model must be a module, got the class Linear", "call the class: Linear(...)", {model = nn.Linear})
  refuse("metric 'a' is the class AUC", "train.metrics.AUC()", {metrics = {a = train.metrics.AUC}})
  refuse("metrics must have names, got the key 1", "train.metrics.AUC()", {metrics = {train.metrics.AUC}})
  refuse("callbacks%[1%] must be a table with hooks, got the class EarlyStopping", "train.EarlyStopping{...}",
    {callbacks = {train.EarlyStopping}})
  refuse("scheduler is the class StepLR", "lr_scheduler.StepLR(optimizer)", {scheduler = torch.optim.lr_scheduler.StepLR})
end)

test.case("values of another kind are shown", function()
  refuse('epochs must be a whole number of 1 or more, got string "3"', nil, {epochs = "3"})
  refuse('got string "EarlyStopping"', "train.EarlyStopping{", {callbacks = {"EarlyStopping"}})
  refuse("loss must be a function or a module, got number 3", nil, {loss = 3})
  refuse("user must be a table, got number 3", nil, {user = 3})
  refuse('interval must be "epoch" or "step", got string "foo"', nil,
    {scheduler = {torch.optim.lr_scheduler.StepLR(torch.optim.SGD({torch.zeros(1)}, {lr = 1}), {step_size = 1}), interval = "foo"}})
  refuse('scheduler must have a method step, got string "cosine"', "torch.optim.lr_scheduler", {scheduler = "cosine"})
  refuse('the loss must be a tensor, got string "x"', nil, {step = function() return "x" end})
  local function step(parts)
    return function(state, batch) return F.mse_loss(state.model(batch[1]), batch[2]), parts end
  end
  refuse("the part 'kl' of the loss must be a number or a tensor, got string", nil, {step = step {kl = "x"}, train = {{X, Y}}})
  refuse("step must return the loss and a table of its parts, got number 3", nil, {step = step(3), train = {{X, Y}}})
  test.raises("expected a table of keywords, got Module.-train.fit{name = value}", train.fit, nn.Linear(1, 1))
end)

test.case("data of no kind are named as the user named them, whatever stands beside", function()
  local must = " must be tensors {x, y}, a dataset, a DataLoader, a list of batches or a function that returns an iterator, got "
  refuse("train.fit: train" .. must .. "number 3", "DataLoader(dataset", {train = 3})
  refuse("train.fit: train" .. must .. "number 3", nil, {train = 3, batch_size = 4})
  refuse("train.fit: train" .. must .. "number 3", nil, {train = 3, validation_split = 0.2})
  refuse("validation_split goes with train = {x, y}, got a dataset", "random_split",
    {train = torch.utils.data.TensorDataset(X, Y), validation_split = 0.2})
  local model = nn.Linear(2, 1)
  test.raises("train.fit: x" .. must .. 'string "a"', train.fit, {x = "a", model = model, optimizer = "sgd", loss = "mse", epochs = 1})
  refuse("train.fit: validation_data" .. must .. "number 3", nil, {validation_data = 3})
  refuse("train.fit: valid" .. must .. "number 3", nil, {valid = 3, batch_size = 4})
  refuse("train.fit: train" .. must .. "a table with the key 'x'", "{x, y} has no names", {train = {x = X, y = Y}})
  refuse("train.fit: validation_data has no batches", nil, {validation_data = {}})
  refuse("train.fit: train has no batches", nil, {train = {}, batch_size = 4})
  refuse("train.fit: train has no samples", nil, {train = {X["0:0"], Y["0:0"]}})
  refuse("train.fit: validation_data: the tensors must have as many samples each, got 8 and 4", nil, {validation_data = {X, Y["0:4"]}})
  refuse("train.fit: train has no batches", "drop_last leaves none", {train = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(X, Y), {batch_size = 16, drop_last = true})})
  refuse("a function as data must return an iterator, got nil", "and at the end nil", {train = function() end})
  refuse("a batch must be {input, target}, got no target", "give step", {train = X})
  refuse("a batch must be {input, target}, got Tensor%[8, 2%]", "give step", {train = {X, Y, Y, Y}})
  test.raises("train.evaluate: x" .. must .. "number 3", train.evaluate, {model = model, loss = "mse", x = 3})
  test.raises("train.evaluate: steps must be a whole number of 1 or more, got number 0", train.evaluate,
    {model = model, loss = "mse", x = X, y = Y, steps = 0})
  test.raises("train.predict: data" .. must .. 'string "a"', train.predict, {model = model, data = "a", batch_size = 2})
  test.raises("train.predict: batch_size must be a whole number of 1 or more, got string", train.predict,
    {model = model, data = X, batch_size = "2"})
end)

test.case("what evaluate and predict are given", function()
  local model, empty = nn.Linear(2, 1), function() return function() end end
  local function evaluate(pattern, more)
    more.model, more.loss, more.data = model, more.loss or "mse", more.data or {X, Y}
    test.raises("train.evaluate: " .. pattern, train.evaluate, more)
  end
  evaluate('step must be a function, got string "x"', {step = "x"})
  evaluate("count must be a function, got number 3", {count = 3})
  evaluate('reduction must be "mean" or "sum", got string "avg"', {reduction = "avg"})
  evaluate("data has no batches", {data = empty})
  evaluate("loss must return a tensor, got nil", {loss = function() end})
  evaluate("step must return the loss, got nil", {step = function() end})
  evaluate("weights of shape torch.Size%(%[8, 2%]%) for a loss of shape", {sample_weight = torch.ones(8, 2)})
  test.raises("callbacks must be a list of callbacks, got one callback", train.evaluate,
    {model = model, loss = "mse", data = {X, Y}, callbacks = train.EarlyStopping()})
  test.raises("train.predict: step must be a function, got number 3", train.predict, {model = model, data = X, step = 3})
  test.raises("train.predict: data has no batches", train.predict, {model = model, data = empty})
  local weights = torch.rand(8)
  test.equal(train.evaluate({model = model, loss = "mse", data = {X, Y}, sample_weight = weights:view(8, 1)}),
    train.evaluate({model = model, loss = "mse", data = {X, Y}, sample_weight = weights}))
end)

test.case("callbacks called with a colon, with what is no table of options, or hooked to no event", function()
  test.raises("train.EarlyStopping: expected a table of keywords, got train.-with a dot", train.EarlyStopping, train, {})
  local optimizer = torch.optim.SGD({torch.zeros(1)}, {lr = 1})
  test.raises("expected a table of keywords, got StepLR %(train.LearningRateScheduler{name = value}%)$", train.LearningRateScheduler,
    torch.optim.lr_scheduler.StepLR(optimizer, {step_size = 1}))
  test.raises('train.on: the event must be a string, got function.-train.on%("epoch_end", f%)', train.on, print, "epoch_end")
  test.raises('train.on: the last argument must be a function, got string "x"', train.on, "epoch_end", {}, "x")
  test.raises("train.reload: cannot open .-nothing.lua: No such file", train.reload, test.tmpdir() .. "/nothing.lua")
end)

test.case("a dataset needs no batch_size", function()
  local set, sizes = torch.utils.data.TensorDataset(torch.randn(40, 2), torch.randn(40, 1)), {}
  train.fit {model = nn.Linear(2, 1), optimizer = "sgd", loss = "mse", train = set, valid = set, epochs = 1, quiet = true,
    callbacks = {train.on("batch_end", function(state) sizes[#sizes + 1] = state.samples end)}}
  test.equal(sizes, {32, 8})
  test.equal(train.predict({model = nn.Linear(2, 1), data = set}).shape, {40, 1})
end)

test.case("tensors to validate with are samples, but beside a list of batches that are tensors", function()
  local function sizes(train_data, more)
    local seen = {}
    local given = {model = nn.Linear(2, 1), optimizer = "sgd", train = train_data, valid = {X, Y}, epochs = 1, quiet = true,
      step = function(state, batch)
        if state.phase == "valid" then seen[#seen + 1] = torch.is_tensor(batch) and "tensor" or #batch end
        return state.model(X):sum()
      end}
    for key, value in pairs(more or {}) do given[key] = value end
    train.fit(given)
    return seen
  end
  test.equal(sizes {{X, Y}}, {2})
  test.equal(sizes(torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y))), {2})
  test.equal(sizes({X, Y}, {batch_size = 8}), {2})
  test.equal(sizes {X, Y}, {"tensor", "tensor"})
end)

test.case("class_weight by name, below 0 or of no class", function()
  refuse('class_weight must have the classes as keys, whole numbers from 0, got the key string "cat"',
    "class_weight = {[0] = 1.0, [1] = 5.0}", {class_weight = {cat = 1.0, dog = 5.0}})
  refuse('got the key string "0"', "class_weight = {[0] = 1, [7] = 2}", {class_weight = {["0"] = 1, ["7"] = 2}})
  refuse("got the key number %-1", "class_weight = {[0] = 1.0", {class_weight = {[-1] = 2}})
  refuse("class_weight%[1%] must be a number of 0 or more, got number %-2", nil, {class_weight = {[0] = 1, [1] = -2}})
  refuse("class_weight%[1%] must be a number of 0 or more, got number nan", nil, {class_weight = {[0] = 1, [1] = 0 / 0}})
  refuse('class_weight must be a table by class, got string "balanced"', "class_weight = {[0]", {class_weight = "balanced"})
end)

test.case("other values that cannot be meant", function()
  refuse("sample_weight must be a tensor, got table", "torch.tensor(weights)", {sample_weight = {1, 2}})
  refuse("validation_freq is an empty list of epochs", nil, {validation_freq = {}, valid = {X, Y}})
  refuse('callbacks must be a list of callbacks, got string "EarlyStopping"', "callbacks = {train.EarlyStopping",
    {callbacks = "EarlyStopping"})
  refuse("callbacks must be a list of callbacks, got one callback", "in braces", {callbacks = train.EarlyStopping()})
  refuse("metric 'f' must return a number or a tensor, got string", nil, {metrics = {f = function() return "x" end}})
  refuse("epochs must be a whole number of 1 or more, got number nan", nil, {epochs = 0 / 0})
end)

test.case("of many names an error lists some, and says which may be meant", function()
  refuse('unknown keyword string "epoch", expected one of accumulate, .-, ... %(%d+ in all%)$', "did you mean 'epochs'?", {epoch = 3})
  refuse("unknown loss 'mean_square_error'; did you mean 'mean_squared_error'%? valid: .-, ... %(%d+ in all%)$", nil,
    {loss = "mean_square_error"})
  refuse("unknown optimizer 'adamm'; did you mean 'adam'%? valid: .-sparseadam$", nil, {optimizer = "adamm"})
end)
