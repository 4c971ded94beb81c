-- What losses are averaged over: every average and every gradient equals that of the whole data set.
local test = require "test"
local torch = require "torch"
local train = require "train"
local F, nn = torch.nn.functional, torch.nn

torch.manual_seed(5)
local X, Y = torch.randn(10, 4), torch.randn(10, 3)
local CLASSES = torch.tensor {0, 2, 1, 1, 0, 2, 2, 1, 0, 1}
local WEIGHTS = torch.tensor {1.0, 0.5, 2.0, 0.0, 1.5, 3.0, 1.0, 0.25, 1.0, 0.75}

local function batches(target, sizes, weights)
  local list, first = {}, 0
  for i, size in ipairs(sizes or {4, 4, 2}) do
    list[i] = {X:narrow(0, first, size), target:narrow(0, first, size), weights and weights:narrow(0, first, size) or nil}
    first = first + size
  end
  return list
end

local function linear()
  torch.manual_seed(1)
  return nn.Linear(4, 3)
end

-- The loss of an epoch whose weights do not move, by fit and by evaluate.
local function scores(loss, target, options)
  local model = linear()
  local given = {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.0}), loss = loss,
    train = batches(target, options.sizes), epochs = 1, quiet = true}
  for key, value in pairs(options) do
    if key ~= "sizes" then given[key] = value end
  end
  local history = train.fit(given)
  local asked = {model = model, loss = loss, data = given.train, count = options.count, reduction = options.reduction}
  if options.sample_weight then asked.data = {given.train[1], given.train[2], options.sample_weight} end
  return history.loss[1], train.evaluate(asked).loss, model
end

local function same(expected, loss, target, options)
  local fitted, evaluated = scores(loss, target, options or {})
  test.near(fitted, expected, 1e-6)
  test.near(evaluated, expected, 1e-6)
end

test.case("a loss for each example is averaged exactly", function()
  local function each(output, target) return (output - target):pow(2):mean(1) end
  local function every(output, target) return (output - target):pow(2) end
  local whole = F.mse_loss(linear()(X), Y):item()
  same(whole, each, Y)
  same(whole, every, Y)
  same(whole, nn.MSELoss{reduction = "none"}, Y)
end)

test.case("a sum is averaged over the samples, and says so by its module or by reduction", function()
  local whole = F.mse_loss(linear()(X), Y, {reduction = "sum"}):item() / 10
  same(whole, nn.MSELoss{reduction = "sum"}, Y)
  same(whole, function(output, target) return F.mse_loss(output, target, {reduction = "sum"}) end, Y, {reduction = "sum"})
end)

test.case("weights of classes and ignored targets count as in the whole", function()
  local weight = torch.tensor {1.0, 5.0, 0.5}
  for _, loss in ipairs {nn.CrossEntropyLoss{weight = weight}, nn.CrossEntropyLoss{ignore_index = 1},
    nn.CrossEntropyLoss{weight = weight, ignore_index = 2, label_smoothing = 0.1}, F.cross_entropy} do
    same(loss(linear()(X), CLASSES):item(), loss, CLASSES)
    local target = CLASSES:clone()
    target["3:6"] = -100
    if loss == F.cross_entropy then
      same(loss(linear()(X), target):item(), loss, target)
      same(loss(linear()(X), target):item(), loss, torch.stack({target, target}, 1):select(1, 0))  -- not dense
    end
  end
  local log_probabilities = function(model) return F.log_softmax(model(X), 1) end
  local model = linear()
  local nll = nn.NLLLoss{weight = weight}
  local net = nn.Sequential(model, nn.LogSoftmax(1))
  local history = train.fit{model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.0}), loss = nll,
    train = batches(CLASSES), epochs = 1, quiet = true}
  test.near(history.loss[1], nll(log_probabilities(model), CLASSES):item(), 1e-6)
end)

test.case("a batch whose targets are all ignored counts nothing", function()
  local target = CLASSES:clone()
  target["4:8"] = -100
  local whole = F.cross_entropy(linear()(X), target):item()
  same(whole, nn.CrossEntropyLoss(), target)
  target = CLASSES:clone()
  target["0:4"] = -100
  same(F.cross_entropy(linear()(X), target):item(), nn.CrossEntropyLoss(), target, {accumulate = 2})
end)

test.case("count says what a batch counts", function()
  local count = function(batch) return (batch[2]:ne(1)):sum() end
  local loss = function(output, target) return F.cross_entropy(output, target, {ignore_index = 1}) end
  same(F.cross_entropy(linear()(X), CLASSES, {ignore_index = 1}):item(), loss, CLASSES, {count = count})
end)

-- The weights after one step over the whole data, in a step of `accumulate` batches or of one.
local function stepped(loss, target, options)
  local model = linear()
  local given = {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1}), loss = loss, epochs = 1,
    quiet = true}
  for key, value in pairs(options) do given[key] = value end
  given.train = given.train or batches(target, options.sizes)
  given.sizes = nil
  train.fit(given)
  return model.weight:detach()
end

test.case("accumulated gradients are those of the whole, whatever counts", function()
  local weight = torch.tensor {1.0, 5.0, 0.5}
  local target = CLASSES:clone()
  target["0:4"] = -100
  for name, case in pairs {
    classes = {nn.CrossEntropyLoss{weight = weight}, CLASSES}, ignored = {nn.CrossEntropyLoss(), target},
    examples = {function(o, t) return (o - t):abs():sum(1) end, Y}, sum = {nn.MSELoss{reduction = "sum"}, Y},
    mean = {nn.MSELoss(), Y},
  } do
    local whole = stepped(case[1], case[2], {sizes = {10}})
    local parts = stepped(case[1], case[2], {sizes = {4, 4, 2}, accumulate = 3})
    test.truthy(torch.allclose(whole, parts, {rtol = 1e-5, atol = 1e-7}), name)
    test.truthy(not whole:equal(linear().weight), name .. " moves")
  end
end)

test.case("parts are averaged as the loss is, by name", function()
  local model = linear()
  local function loss(output, target)
    local mse, l1 = (output - target):pow(2):mean(1), F.l1_loss(output, target)
    return mse + l1, {mse = mse, l1 = l1, half = 0.5}
  end
  local history = train.fit{model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.0}), loss = loss,
    train = batches(Y), valid = batches(Y), epochs = 1, quiet = true}
  test.near(history.mse[1], F.mse_loss(model(X), Y):item(), 1e-6)
  test.near(history.val_l1[1], F.l1_loss(model(X), Y):item(), 1e-6)
  test.near(history.loss[1], history.mse[1] + history.l1[1], 1e-6)
  test.equal(history.half[1], 0.5)
end)

test.case("weights of samples: the mean is over their sum", function()
  local each = F.mse_loss(linear()(X), Y, {reduction = "none"}):mean(1)
  local whole = ((each * WEIGHTS):sum() / WEIGHTS:sum()):item()
  for name, loss in pairs {module = nn.MSELoss(), f = F.mse_loss, own = function(o, t) return (o - t):pow(2):mean(1) end} do
    local model = linear()
    local history = train.fit{model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.0}), loss = loss,
      train = {X, Y}, sample_weight = WEIGHTS, batch_size = 4, epochs = 1, quiet = true}
    test.near(history.loss[1], whole, 1e-6, name)
    test.near(train.evaluate{model = model, loss = loss, data = {X, Y, WEIGHTS}, batch_size = 3}.loss, whole, 1e-6)
  end
  local a = stepped(nn.MSELoss(), Y, {train = {X, Y}, sample_weight = WEIGHTS, batch_size = 10})
  local b = stepped(nn.MSELoss(), Y, {train = {X, Y}, sample_weight = WEIGHTS, batch_size = 3, accumulate = 4})
  test.truthy(torch.allclose(a, b, {rtol = 1e-5, atol = 1e-7}))
  test.raises("need a loss for each example, got one number", stepped, function(o, t) return (o - t):pow(2):mean() end, Y,
    {train = {X, Y}, sample_weight = WEIGHTS, batch_size = 4})
end)

test.case("class_weight weighs the samples of a class; validation is not weighed", function()
  local model = linear()
  local history = train.fit{model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.0}), loss = F.cross_entropy,
    train = {X, CLASSES}, batch_size = 4, class_weight = {[0] = 2.0, [1] = 0.5}, validation_data = {X, CLASSES}, epochs = 1,
    quiet = true}
  local whole = F.cross_entropy(model(X), CLASSES, {weight = torch.tensor {2.0, 0.5, 1.0}}):item()
  test.near(history.loss[1], whole, 1e-6)
  test.near(history.val_loss[1], F.cross_entropy(model(X), CLASSES):item(), 1e-6)
  test.raises("class_weight has no class 0", stepped, F.cross_entropy, CLASSES, {train = {X, CLASSES}, class_weight = {1, 2}})
  test.raises("class_weight%[1%] must be a number", stepped, F.cross_entropy, CLASSES,
    {train = {X, CLASSES}, class_weight = {[0] = 1, [1] = "x"}})
end)

test.case("compat = keras: the mean is over the samples, whatever they weigh", function()
  local each = F.mse_loss(linear()(X), Y, {reduction = "none"}):mean(1)
  local model = linear()
  local history = train.fit{model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.0}),
    loss = function(o, t) return (o - t):pow(2):mean(1) end, train = {X, Y}, sample_weight = WEIGHTS, batch_size = 4,
    epochs = 1, quiet = true, compat = "keras"}
  test.near(history.loss[1], (each * WEIGHTS):mean():item(), 1e-6)
end)

test.case("counts of a device stay on it", function()
  local mean = train.metrics.Mean()
  local count = torch.tensor(3.0, {device = "meta"})
  mean:update(torch.ones(1, {device = "meta"}), count)
  mean:update(torch.ones(1, {device = "meta"}), count)
  test.equal(tostring(mean.weight.device), "meta")
end)
