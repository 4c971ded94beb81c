-- train.evaluate and train.predict.
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local function data()
  torch.manual_seed(1)
  local x, y = torch.randn(10, 3), torch.randint(0, 2, {10})
  return {{x:narrow(0, 0, 4), y:narrow(0, 0, 4)}, {x:narrow(0, 4, 4), y:narrow(0, 4, 4)}, {x:narrow(0, 8, 2), y:narrow(0, 8, 2)}}, x, y
end

test.case("scores are weighted by samples", function()
  local batches, x, y = data()
  local net = nn.Linear(3, 2)
  local scores = train.evaluate {model = net, data = batches, loss = F.cross_entropy, metrics = {accuracy = train.metrics.Accuracy()}}
  local pred = net(x)
  test.near(scores.loss, F.cross_entropy(pred, y):item(), 1e-6)
  test.near(scores.accuracy, pred:argmax(1):eq(y):sum():item() / 10, 1e-12)
end)

test.case("evaluates in evaluation mode without gradients, and the modes come back", function()
  local net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
  net[1]:eval()
  local seen = {}
  train.evaluate {model = net, data = data(), loss = F.cross_entropy, callbacks = {
    train.on("evaluate_batch_end", function(state)
      seen[#seen + 1] = net.training or net[0].training or state.output.requires_grad or torch.is_grad_enabled()
    end),
  }}
  test.equal(seen, {false, false, false})
  test.equal({net.training, net[0].training, net[1].training, torch.is_grad_enabled()}, {true, true, false, true})
end)

test.case("the modes come back after an error too", function()
  local net = nn.Linear(3, 2)
  test.raises("boom", train.evaluate, {model = net, data = data(), loss = function() error("boom") end})
  test.equal({net.training, torch.is_grad_enabled()}, {true, true})
end)

test.case("evaluate has hooks, Keras's too", function()
  local trace = {}
  train.evaluate {model = nn.Linear(3, 2), data = data(), loss = F.cross_entropy, limit_batches = 2, callbacks = {{
    on_test_begin = function() trace[#trace + 1] = "begin" end,
    on_evaluate_batch_end = function(_, state) trace[#trace + 1] = state.batch end,
    on_test_end = function() trace[#trace + 1] = "end" end,
  }}}
  test.equal(trace, {"begin", 0, 1, "end"})
end)

test.case("predict joins the outputs of all batches", function()
  local batches, x = data()
  local net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
  local out = train.predict {model = net, data = batches}
  net:eval()
  test.near(out, net(x):detach(), 1e-6)
  test.equal(out.requires_grad, false)
  net:train()
  test.equal(train.predict({model = net, data = {x}}).shape, {10, 2})
  test.equal(net.training, true)
end)

test.case("what is missing is named", function()
  test.raises("keyword 'data' is required", train.evaluate, {model = nn.Linear(3, 2)})
  test.raises("train.evaluate: model must be a module, got function", train.evaluate, {model = function(x) return x end,
    data = data(), loss = F.cross_entropy})
  test.raises("train.evaluate: metric 'acc' is the class Accuracy", train.evaluate, {model = nn.Linear(3, 2),
    data = data(), loss = F.cross_entropy, metrics = {acc = train.metrics.Accuracy}})
  test.raises("train.predict: model must be a module, got function", train.predict, {model = print, data = data()})
  test.raises("keyword 'loss' is required", train.evaluate, {model = nn.Linear(3, 2), data = data()})
  test.raises("keyword 'model' is required", train.predict, {data = data()})
  test.raises("train has no 'evalute'.*did you mean 'evaluate'", function() return train.evalute end)
end)

test.case("what is wrong with autocast is told by evaluate's name", function()
  local err = test.raises("train.evaluate: autocast must be true or a dtype, got string", train.evaluate, {
    model = torch.nn.Linear(2, 1), data = {{torch.ones(3, 2), torch.ones(3, 1)}}, loss = "mse", autocast = "half a float"})
  test.equal(err.kind, "usage")
end)

test.case("evaluating and predicting tensors draws no random numbers", function()
  local _, x, y = data()
  local net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
  local before = torch.get_rng_state()
  train.evaluate {model = net, data = {x, y}, loss = F.cross_entropy, batch_size = 4}
  train.predict {model = net, data = {x}, batch_size = 4}
  test.equal(torch.get_rng_state(), before)

  local function trained(valid)
    torch.manual_seed(2)
    local model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    train.fit {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1}), loss = F.cross_entropy, train = {x, y},
      valid = valid, batch_size = 4, epochs = 2, quiet = true}
    return model[0].weight:detach()
  end
  test.equal(trained {x, y}, trained(nil))
end)
