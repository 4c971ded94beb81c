-- train.SwapEMAWeights and train.SWA.
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local function network()
  torch.manual_seed(2)
  return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
end

local function batches(count)
  torch.manual_seed(1)
  local list = {}
  for i = 1, count or 3 do list[i] = {torch.randn(4, 3), torch.randn(4, 1)} end
  return list
end

local function weight(net) return net:get_parameter("0.weight"):detach():clone() end

local function fit(net, callbacks, more)
  local a = {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), loss = F.mse_loss, train = batches(),
    valid = batches(2), epochs = 2, quiet = true, callbacks = callbacks}
  for key, value in pairs(more or {}) do a[key] = value end
  return train.fit(a)
end

-- The averages by the formula of Keras, and the weights of a training without any.
local function expected(momentum)
  local net = network()
  local average = weight(net)
  fit(net, {{on_after_step = function(_, state)
    average = average * momentum + weight(state.model) * (1 - momentum)
  end}})
  return average, weight(net)
end

test.case("validation sees the averages, training does not", function()
  local average, plain = expected(0.9)
  local net, seen, at_begin = network(), nil, {}
  local ema = train.SwapEMAWeights {momentum = 0.9}
  fit(net, {ema, {on_valid_batch_begin = function(_, state) seen = weight(state.model) end,
    on_epoch_end = function(_, state) at_begin[#at_begin + 1] = weight(state.model) end}})
  test.near(seen, average, 1e-6)
  test.equal(weight(net), plain, "bit for bit the training without it")
  test.equal(at_begin[2], plain)
  test.truthy(not torch.equal(seen, plain))
end)

test.case("predict and evaluate with the callback see the averages, and leave none behind", function()
  local average, plain = expected(0.9)
  local net, seen = network(), {}
  local ema = train.SwapEMAWeights {momentum = 0.9}
  fit(net, {ema})
  local function look(_, state) seen[#seen + 1] = weight(state.model) end
  local out = train.predict {model = net, data = batches(2), callbacks = {ema, {on_predict_batch_begin = look}}}
  train.evaluate {model = net, data = batches(2), loss = F.mse_loss, callbacks = {ema, {on_evaluate_batch_begin = look}}}
  test.near(seen[1], average, 1e-6)
  test.near(seen[2], average, 1e-6)
  test.equal(weight(net), plain)
  do
    local _ <close> = ema:swapped()
    test.near(weight(net), average, 1e-6)
    test.equal(train.predict {model = net, data = batches(2)}, out)
  end
  test.equal(weight(net), plain)
  test.near(ema:average():get_parameter("0.weight"):detach(), average, 1e-6)
end)

test.case("after an error in validation the weights are those of the training", function()
  local net, before = network(), nil
  local ok = pcall(fit, net, {train.SwapEMAWeights {momentum = 0.9}, {
    on_valid_begin = function() end,
    on_after_step = function(_, state) before = weight(state.model) end,
    on_valid_batch_end = function() error("broken") end}})
  test.equal(ok, false)
  test.equal(weight(net), before)
end)

test.case("an exception while predicting puts the weights back, and so does what comes next", function()
  local net = network()
  local ema = train.SwapEMAWeights {momentum = 0.5}
  fit(net, {ema})
  local plain = weight(net)
  local list = train.callback_list {ema}
  local state = train.state {model = net, callbacks = list}
  list:emit("predict_begin", state)
  test.truthy(not torch.equal(weight(net), plain))
  list:emit("exception", state)
  test.equal(weight(net), plain)
  list:emit("predict_begin", state)
  list:emit("epoch_begin", state)
  test.equal(weight(net), plain)
end)

test.case("swap_on_epoch gives the end of an epoch the averages, for checkpoints; training goes on with its own", function()
  local average, plain = expected(0.9)
  local net, at_end = network(), nil
  fit(net, {train.SwapEMAWeights {momentum = 0.9, swap_on_epoch = true},
    {group = "checkpoint", on_epoch_end = function(_, state) at_end = weight(state.model) end}})
  test.near(at_end, average, 1e-6)
  test.equal(weight(net), plain)
end)

test.case("overwrite_frequency and final", function()
  local net, average = network(), expected(0.9)
  fit(net, {train.SwapEMAWeights {momentum = 0.9, final = true}})
  test.near(weight(net), average, 1e-6)
  net = network()
  local ema = train.SwapEMAWeights {momentum = 0.9, overwrite_frequency = 1}
  fit(net, {ema})
  test.equal(weight(net), ema:average():get_parameter("0.weight"):detach())
end)

test.case("SWA ends with the mean of the weights of the last epochs", function()
  local net, list = network(), {}
  local callback = train.SWA {swa_start = 0.5, swa_lr = false, update_bn = false}
  local history = fit(net, {callback, {on_epoch_end = function(_, state) list[#list + 1] = weight(state.model) end}}, {epochs = 6})
  test.near(weight(net), (list[4] + list[5] + list[6]) / 3, 1e-6)
  test.equal(history.swa_models[6], 3)
  test.near(callback:average():get_parameter("0.weight"):detach(), weight(net), 0)
end)

test.case("SWA anneals the learning rate in place of the scheduler", function()
  local net = network()
  local optimizer = torch.optim.SGD(net:parameters(), {lr = 1.0})
  local rates = {}
  fit(net, {train.SWA {swa_start = 2, swa_lr = 0.2, anneal_epochs = 2, anneal_strategy = "linear"},
    {on_epoch_begin = function(_, state) rates[#rates + 1] = state.optimizer.param_groups[1].lr end}},
    {epochs = 6, optimizer = optimizer, scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)})
  test.near({rates[1], rates[2]}, {1, 0.5}, 1e-12)
  test.near({rates[4], rates[5], rates[6]}, {(0.25 + 0.2) / 2, 0.2, 0.2}, 1e-6)
end)

test.case("SWA gives batch normalizations the statistics of the averaged weights", function()
  local net, data = network(), batches()
  fit(net, {train.SWA {swa_start = 1, swa_lr = false}}, {epochs = 3, train = data})
  local sum = 0
  local _ <close> = torch.no_grad()
  for _, batch in ipairs(data) do sum = sum + net[0](batch[1]):mean({0}) end
  test.near(net[1].running_mean, sum / #data, 1e-5)
end)
