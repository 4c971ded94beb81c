-- train.NanGuard: NaN and infinity put into data, weights, gradients and losses; each policy.
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local NAN <const>, INF <const> = 0 / 0, math.huge

local function batches(count)
  torch.manual_seed(1)
  local list = {}
  for i = 1, count do list[i] = {torch.randn(4, 3), torch.randn(4, 1)} end
  return list
end

local function network()
  torch.manual_seed(2)
  return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
end

local function weights_of(net)
  local list = {}
  for _, tensor in pairs(net:state_dict()) do list[#list + 1] = tensor:detach():clone() end
  return list
end

-- Trains on `data` under a guard; `extra` callbacks spoil what they like. Returns what was said, guard, net and more.
local function run(options, data, extra, arguments)
  local guard = train.NanGuard(options)
  local net = network()
  local a = arguments or {}
  a.model, a.loss, a.train, a.quiet, a.epochs = net, a.loss or F.mse_loss, data, true, a.epochs or 1
  a.optimizer = a.optimizer and a.optimizer(net) or torch.optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.9})
  local said = {}
  a.callbacks = {guard, {on_batch_end = function() end, say = function(_, text) said[#said + 1] = text end}}
  for _, callback in ipairs(extra or {}) do table.insert(a.callbacks, 1, callback) end
  local history = train.fit(a)
  return {said = said, guard = guard, net = net, history = history, optimizer = a.optimizer}
end

-- A hook that acts at one step.
local function at(event, step, f)
  return {["on_" .. event] = function(_, state) if state.step == step then f(state) end end}
end

local function spoil_gradient(step, name, value)
  return at("after_backward", step, function(state) state.model:get_parameter(name).grad[{0}] = value end)
end

test.case("a healthy training is the same bit for bit, and nothing is said", function()
  for _, policy in ipairs {"warn", "skip", "reduce_lr", "roll_back", "stop"} do
    local guarded = run({policy = policy, snapshot_every = 2}, batches(6))
    local net = network()
    train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.9}), loss = F.mse_loss,
      train = batches(6), epochs = 1, quiet = true}
    test.equal(weights_of(guarded.net), weights_of(net), policy)
    test.equal(guarded.said, {})
    test.equal(guarded.guard.bad_steps, 0)
  end
end)

test.case("NaN in the data is found at its step, and the data is named", function()
  local data = batches(6)
  data[3][1][{1, 2}] = NAN
  local got = run({policy = "skip"}, data)
  test.equal(#got.guard.found, 1)
  local found = got.guard.found[1]
  test.equal({found.kind, found.name, found.step, found.epoch, found.batch}, {"data", "batch[1]", 2, 0, 2})
  test.equal(got.said[1], "warning: NanGuard: step 3 (epoch 1, batch 3): the data is NaN (1 of 12 values) in batch[1]; "
    .. "the step is left out")
  for _, tensor in ipairs(weights_of(got.net)) do test.truthy(tensor:isfinite():all():item()) end
end)

test.case("an infinite target is data too", function()
  local data = batches(3)
  data[2][2][{0}] = INF
  local found = run({policy = "skip"}, data).guard.found[1]
  test.equal({found.kind, found.name, found.step}, {"data", "batch[2]", 1})
end)

test.case("a weight that is NaN is named with its layer", function()
  local got = run({policy = "stop"}, batches(6), {at("batch_begin", 3, function(state)
    local _ <close> = torch.no_grad()
    state.model:get_parameter("3.weight")[{0, 1}] = NAN
  end)})
  local found = got.guard.found[1]
  test.equal({found.kind, found.name, found.layer, found.step}, {"weight", "3.weight", "3", 3})
  test.truthy(got.history.stop_reason:find("the weight '3.weight' of layer '3' (Linear) is NaN (1 of 4 values) at step 4", 1, true))
end)

test.case("a gradient that is infinite is named with its layer", function()
  for _, value in ipairs {NAN, INF, -INF} do
    local found = run({policy = "skip"}, batches(4), {spoil_gradient(1, "0.weight", value)}).guard.found[1]
    test.equal({found.kind, found.name, found.layer, found.step}, {"gradient", "0.weight", "0", 1})
    test.truthy(found.text:find("of layer '0' (Linear) is " .. (value ~= value and "NaN" or "infinite"), 1, true), found.text)
  end
end)

test.case("of several gradients the one nearest to the loss is named", function()
  local found = run({policy = "skip"}, batches(4), {at("after_backward", 0, function(state)
    for _, name in ipairs {"0.weight", "0.bias", "1.weight"} do state.model:get_parameter(name).grad:fill_(NAN) end
  end)}).guard.found[1]
  test.equal(found.name, "1.weight")
  test.truthy(found.text:find(", and 2 more", 1, true), found.text)
end)

test.case("where the output of a layer is the first that is not finite, that layer is named", function()
  local Log = nn.class "Log"
  function Log:forward(x) return x:log() end
  torch.manual_seed(3)
  local net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5), Log(), nn.Linear(2, 1))
  local guard = train.NanGuard {policy = "skip", verbose = false}
  train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), loss = F.mse_loss, train = batches(2),
    epochs = 1, quiet = true, callbacks = {guard}}
  test.equal({guard.found[1].kind, guard.found[1].layer}, {"output", "2"})
  test.truthy(guard.found[1].text:find("layer '2' (Log)", 1, true))
end)

test.case("a loss that is not finite with finite gradients is found", function()
  local got = run({policy = "skip"}, batches(4), nil, {loss = function(pred, target)
    return F.mse_loss(pred, target) + math.huge
  end})
  test.equal(got.guard.found[1].kind, "loss")
  test.equal(got.guard.bad_steps, 4)
end)

test.case("skip leaves weights, the optimizer's state and running statistics as they were", function()
  local data, before = batches(4), nil
  data[3][1]:fill_(NAN)
  local got = run({policy = "skip"}, data, {
    at("batch_begin", 2, function(state) before = weights_of(state.model) end),
    {on_batch_end = function(_, state)
      if state.batch == 2 then test.equal(weights_of(state.model), before, "bit for bit") end
    end},
  })
  -- and the rest is as if the bad batch had not been there
  local net, rest = network(), batches(4)
  table.remove(rest, 3)
  train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.9}), loss = F.mse_loss,
    train = rest, epochs = 1, quiet = true}
  test.equal(weights_of(got.net), weights_of(net))
end)

test.case("without a guard the bad step is taken, and under warn too", function()
  local data = batches(3)
  data[2][1]:fill_(NAN)
  local got = run({policy = "warn"}, data)
  test.equal(got.guard.bad_steps, 2, "the weights are lost")
  test.equal({got.guard.found[1].kind, got.guard.found[2].kind}, {"data", "weight"})
  test.truthy(got.said[1]:find("the step is taken", 1, true))
end)

test.case("reduce_lr leaves the step out and multiplies the rate of every group, not below min_lr", function()
  local data = batches(6)
  data[2][1]:fill_(NAN)
  data[4][1]:fill_(NAN)
  local rates = {}
  run({policy = "reduce_lr", factor = 0.1, min_lr = 0.02}, data, {{on_batch_end = function(_, state)
    rates[#rates + 1] = state.optimizer.param_groups[1].lr
  end}})
  test.near(rates, {0.1, 0.02, 0.02, 0.02, 0.02, 0.02}, 1e-12)
end)

test.case("roll_back goes back to the last good state, the optimizer's with it", function()
  local data, states = batches(8), {}
  data[6][1]:fill_(NAN)
  local got = run({policy = "roll_back", snapshot_every = 3}, data, {{on_batch_begin = function(_, state)
    states[state.step] = weights_of(state.model)
  end}, at("batch_end", 5, function(state)
    test.equal(weights_of(state.model)[1], states[3][1], "the state before step 4")
  end)})
  test.truthy(got.said[1]:find("rolled back to the state of step 4", 1, true), got.said[1])
  -- the same as training on batches 1, 2, 3 and then 7, 8
  local net, rest = network(), batches(8)
  train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.9}), loss = F.mse_loss,
    train = {rest[1], rest[2], rest[3], rest[7], rest[8]}, epochs = 1, quiet = true}
  test.near(weights_of(got.net)[1], weights_of(net)[1], 1e-6)
end)

test.case("stop ends the training with the weights of before the bad step", function()
  local data, before = batches(6), nil
  data[4][1]:fill_(INF)
  local got = run({policy = "stop"}, data, {at("batch_begin", 3, function(state)
    before = state.model:get_parameter("0.weight"):detach():clone()
  end)}, {epochs = 5})
  test.equal(#got.history.epoch, 1)
  test.truthy(got.history.stop_reason:find("the data is infinite", 1, true))
  test.equal(got.net:get_parameter("0.weight"):detach(), before)
end)

test.case("every policy but warn leaves the running statistics of before, also those that are finite", function()
  for _, policy in ipairs {"skip", "reduce_lr", "roll_back", "stop"} do
    for _, of_data in ipairs {true, false} do  -- the gradient alone: the statistics of a batch of large numbers are finite
      local data, before = batches(3), nil
      if of_data then data[3][1]:fill_(NAN) else data[3][1]:fill_(1e6) end
      local extra = {at("batch_begin", 2, function(state) before = weights_of(state.model) end)}
      if not of_data then extra[2] = spoil_gradient(2, "0.weight", INF) end
      local got = run({policy = policy, snapshot_every = 1, verbose = false}, data, extra)
      test.equal(got.guard.bad_steps, 1)
      if policy ~= "roll_back" then test.equal(weights_of(got.net), before, policy) end
      local statistics = got.net[1].running_var
      test.truthy(statistics:isfinite():all():item() and statistics:max():item() < 10, policy)
    end
  end
end)

test.case("the running statistics of before are those of a checkpoint that was read", function()
  local data = batches(2)
  data[1][1]:fill_(NAN)
  for _, policy in ipairs {"skip", "stop"} do
    local read = {group = "checkpoint", on_train_begin = function(_, state) state.model[1].running_mean:fill_(3) end}
    local got = run({policy = policy, verbose = false}, {data[1]}, {read})
    test.equal(got.net[1].running_mean, torch.full({4}, 3.0))
  end
end)

test.case("how many steps were bad is said at the end", function()
  local function last(options, bad)
    local extra = {}
    for i, step in ipairs(bad) do extra[i] = spoil_gradient(step, "0.weight", NAN) end
    local said = run(options, batches(5), extra).said
    return said[#said]
  end
  test.equal(last({policy = "skip"}, {1}), "NanGuard: left out 1 step that was not finite")
  test.equal(last({policy = "reduce_lr"}, {0, 2, 3, 4}), "NanGuard: left out 4 steps that were not finite")
  test.equal(last({policy = "roll_back"}, {1, 3}), "NanGuard: rolled back 2 steps that were not finite")
  test.equal(last({policy = "skip"}, {}), nil)
  test.equal(last({policy = "skip", verbose = false}, {1}), nil)
  test.falsy(last({policy = "stop"}, {1}):find("^NanGuard: "))
end)

test.case("skipping without end ends the training", function()
  local data = batches(10)
  for _, batch in ipairs(data) do batch[1]:fill_(NAN) end
  local got = run({policy = "skip", patience = 4}, data, nil, {epochs = 3})
  test.equal(got.guard.bad_steps, 4)
  test.truthy(got.history.stop_reason:find("4 steps one after another were not finite", 1, true))
  test.equal(#got.said, 4, "the first three are told, and all at the end")
end)

test.case("a bad batch within an accumulation window is named", function()
  local data = batches(4)
  data[1][1]:fill_(NAN)
  local found = run({policy = "skip"}, data, nil, {accumulate = 2}).guard.found[1]
  test.equal({found.kind, found.step}, {"data", 0})
end)

test.case("callback hears of it", function()
  local heard
  local data = batches(2)
  data[2][1]:fill_(NAN)
  local got = run({policy = "skip", verbose = false, callback = function(_, found) heard = found end}, data)
  test.equal(heard.kind, "data")
  test.equal(got.said, {})
end)

test.case("gradients of every kind are looked at: long, half, double, complex, sparse", function()
  local cases = {
    {torch.zeros(100000), 77777}, {torch.zeros(70, {dtype = torch.bfloat16}), 69}, {torch.zeros(5, {dtype = torch.float64}), 4},
    {torch.zeros(65, {dtype = torch.float16}), 0}, {torch.zeros(3, {dtype = torch.complex64}), 2}, {torch.zeros(600000), 599999},
  }
  for _, case in ipairs(cases) do
    for _, value in ipairs {NAN, INF, 3e4} do
      local net = nn.Module()
      net:register_parameter("first", nn.Parameter(torch.ones(3)))
      net:register_parameter("w", nn.Parameter(case[1]))
      local guard = train.NanGuard {policy = "skip", verbose = false}
      local state = train.state {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), callbacks = {guard}}
      state:emit("train_begin")
      local grad = torch.zeros_like(case[1])
      grad[{case[2]}] = value
      net:get_parameter("w").grad = grad
      net:get_parameter("first").grad = torch.full({3}, 3e38)  -- whose sum is infinite
      state:emit("before_step")
      test.equal(state.skip_step or false, value ~= 3e4, tostring(case[1].dtype))
      test.equal(guard.found[1] and guard.found[1].name, value ~= 3e4 and "w" or nil)
    end
  end
  local net = nn.Embedding(10, 3, {sparse = true})
  local guard = train.NanGuard {policy = "skip", verbose = false}
  local state = train.state {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), callbacks = {guard}}
  state:emit("train_begin")
  local loss = (net(torch.tensor {1, 2}) * torch.tensor {1.0, NAN, 1.0}):sum()
  loss:backward()
  state:emit("before_step")
  test.equal(guard.found[1].name, "weight")
end)

test.case("as on a device: the flag leaves the step out at once, the policy follows one step later", function()
  local layers = require "train.layers"
  local new = layers.new
  layers.new = function(state)
    local known = new(state)
    known.on_cpu = false
    return known
  end
  local _ <close> = setmetatable({}, {__close = function() layers.new = new end})
  for _, policy in ipairs {"skip", "reduce_lr", "roll_back", "stop"} do
    local data, before, told_at = batches(5), nil, nil
    data[3][1]:fill_(NAN)
    local got = run({policy = policy, callback = function(state) told_at = state.step end}, data, {
      at("batch_begin", 2, function(state) before = state.model:get_parameter("0.weight"):detach():clone() end),
      at("batch_begin", 3, function(state)
        test.equal(state.model:get_parameter("0.weight"):detach(), before, policy .. ": left out at once")
      end)})
    local found = got.guard.found[1]
    test.equal({found.kind, found.step, told_at}, {"data", 2, 3}, policy)
    if policy == "reduce_lr" then test.near(got.optimizer.param_groups[1].lr, 0.05, 1e-12) end
    if policy == "stop" then test.truthy(got.history.stop_reason) end
  end
  local got = run({policy = "skip"}, batches(4), {spoil_gradient(3, "3.bias", INF)})
  test.equal({got.guard.found[1].kind, got.guard.found[1].name}, {"gradient", "3.bias"}, "of the last step, at the epoch's end")
end)

test.case("a batch that is left out for its loss counts in no average", function()
  local function history(count, spoilt, policy)
    local data = batches(count)
    if spoilt then table.insert(data, 3, {torch.full({4, 3}, NAN), torch.randn(4, 1)}) end
    return run({policy = policy, verbose = false}, data, nil, {epochs = 2,
      metrics = {mae = function(pred, target) return (pred - target):abs():mean() end}}).history
  end
  local whole, guarded = history(6, false, "skip"), history(6, true, "skip")
  test.equal({guarded.loss, guarded.mae}, {whole.loss, whole.mae})
  test.truthy(history(6, true, "warn").loss[1] ~= history(6, true, "warn").loss[1])
  local stopped, good = history(6, true, "stop"), run({}, {batches(2)[1], batches(2)[2]}).history
  test.equal(stopped.loss, good.loss, "of the two batches before it")
  test.equal(#stopped.mae, 1)
  local only = run({policy = "skip", verbose = false}, {{torch.full({4, 3}, NAN), torch.randn(4, 1)}}).history
  test.truthy(only.loss[1] ~= only.loss[1])
  only = run({policy = "stop", verbose = false}, {{torch.full({4, 3}, NAN), torch.randn(4, 1)}, batches(1)[1]}).history
  test.truthy(only.loss[1] ~= only.loss[1], "stopped before any other")
end)
