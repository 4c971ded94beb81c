-- train.LearningRateMonitor, train.Throughput, train.MemoryMonitor.
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local function batches(count, inputs)
  torch.manual_seed(1)
  local list = {}
  for i = 1, count do list[i] = {inputs and inputs() or torch.randn(4, 3), torch.randn(4, 1)} end
  return list
end

local function fit(arguments)
  local net = arguments.model or nn.Linear(3, 1)
  arguments.model, arguments.loss, arguments.quiet = net, arguments.loss or F.mse_loss, true
  arguments.train, arguments.epochs = arguments.train or batches(3), arguments.epochs or 3
  arguments.optimizer = arguments.optimizer or torch.optim.SGD(net:parameters(), {lr = 1})
  return train.fit(arguments)
end

test.case("the learning rate of each epoch is logged, with fit's scheduler too", function()
  local net = nn.Linear(3, 1)
  local optimizer = torch.optim.SGD(net:parameters(), {lr = 0.5})
  local history = fit {model = net, optimizer = optimizer, scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.1),
    callbacks = {train.LearningRateMonitor()}}
  test.near(history.learning_rate, {0.5, 0.05, 0.005}, 1e-12)
end)

test.case("further groups, momentum and weight decay have logs of their own; steps are logged on demand", function()
  local net = nn.Linear(3, 1)
  local optimizer = torch.optim.Adam({{params = {net.weight}, lr = 0.1}, {params = {net.bias}, lr = 0.2, betas = {0.8, 0.9}}},
    {weight_decay = 0.01})
  local seen = {}
  local history = fit {model = net, optimizer = optimizer,
    scheduler = {torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5), interval = "step"}, epochs = 1,
    callbacks = {train.LearningRateMonitor {logging_interval = "step", log_momentum = true, log_weight_decay = true},
      {on_batch_end = function(_, state) seen[#seen + 1] = state.logs.learning_rate end}}}
  test.near(seen, {0.1, 0.05, 0.025}, 1e-12)
  test.near({history.learning_rate_1[1], history.momentum[1], history.momentum_1[1], history.weight_decay_1[1]},
    {0.025, 0.9, 0.8, 0.01}, 1e-12)
end)

test.case("a monitor may follow the learning rate's log", function()
  fit {callbacks = {train.LearningRateMonitor(), train.EarlyStopping {monitor = "learning_rate", mode = "min", patience = 5}}}
end)

test.case("throughput counts samples and batches over the time of the epoch, and the wait for data", function()
  local now = 0
  local function clock() return now end
  local data = batches(4)
  local function slow_data()
    local i = 0
    return function()
      i = i + 1
      now = now + 3  -- each batch is waited for
      return data[i]
    end
  end
  local history = fit {train = slow_data, valid = batches(2), epochs = 2, callbacks = {train.Throughput {clock = clock},
    {on_after_backward = function() now = now + 1 end, on_valid_batch_end = function() now = now + 100 end}}}
  test.near(history.batches_per_second, {0.25, 0.25}, 1e-9)
  test.near(history.samples_per_second, {1, 1}, 1e-9)
  test.near(history.data_wait, {0.75, 0.75}, 1e-9)
  test.equal(history.tokens_per_second, nil)
end)

test.case("rows of whole numbers are tokens; a function may count them", function()
  local now = 0
  local function clock() return now end
  local function run(options)
    now = 0
    local net = nn.Sequential(nn.Embedding(10, 3), nn.Flatten(), nn.Linear(15, 1))
    options.clock = clock
    return fit {model = net, train = batches(2, function() return torch.randint(0, 10, {4, 5}) end), epochs = 1,
      callbacks = {train.Throughput(options), {on_after_backward = function() now = now + 2 end}}}
  end
  test.near(run({}).tokens_per_second[1], 10, 1e-9)
  test.near(run({tokens = function(batch) return batch[1]:size(0) end}).tokens_per_second[1], 2, 1e-9)
end)

test.case("throughput in a loop by hand", function()
  local now = 0
  local state = train.state {callbacks = {train.Throughput {clock = function() return now end}}}
  state:emit("train_begin")
  state:emit("epoch_begin")
  for _ = 1, 5 do
    now = now + 1
    state:emit("batch_begin")
    state.inputs = {torch.randn(8, 2)}
    now = now + 1
    state:emit("batch_end")
  end
  state:emit("epoch_end")
  test.near({state.logs.samples_per_second, state.logs.data_wait}, {4, 0.5}, 1e-9)
end)

test.case("memory is logged in MiB; more than the limit is told once", function()
  local said = {}
  local monitor = train.MemoryMonitor {every = 1, limit = 1}
  local history = fit {callbacks = {monitor, {on_train_begin = function() end,
    say = function(_, text) said[#said + 1] = text end}}}
  test.truthy(history.memory_lua[1] > 0.1 and history.memory_native[1] >= 0)
  if history.memory_rss then  -- where the system tells
    test.truthy(history.memory_rss[1] > 5 and history.memory_rss[1] < 1e6)
    test.truthy(monitor.peak >= history.memory_rss[3])
    test.equal(#said, 1)
    test.truthy(said[1]:find("more than limit = 1", 1, true))
  end
  test.equal(history.memory_cuda, nil)
end)

test.case("a monitor may be what another callback will write, also of one layer", function()
  local function watch(monitor, callback)
    local model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    local x = torch.ones(4, 2)
    return train.fit {model = model, optimizer = torch.optim.SGD({{params = model[0]:parameters()},
      {params = model[2]:parameters(), lr = 0.01}}, {lr = 0.1}), loss = "mse", quiet = true, epochs = 2,
      train = {x, torch.ones(4, 1)}, callbacks = {train.EarlyStopping {monitor = monitor, mode = "min", patience = 9},
        train.ModelCheckpoint {filepath = test.tmpdir() .. ("/{epoch}-{%s:.2f}"):format(monitor)}, callback}}
  end
  local all = {update_ratio = true, activations = true, verbose = false}
  for _, name in ipairs {"grad_norm/0", "grad_norm/2", "update_ratio/2", "activation_norm/1"} do
    test.equal(#watch(name, train.GradientMonitor(all)).loss, 2, name)
  end
  test.raises("unknown monitor 'update_ratio/2'.-valid: .-grad_norm/0", watch, "update_ratio/2",
    train.GradientMonitor {update_ratio = false})
  test.raises("callback EarlyStopping, check: unknown monitor 'grad_norm/3'; did you mean 'grad_norm/0'", watch, "grad_norm/3",
    train.GradientMonitor())
  test.equal(#watch("learning_rate_1", train.LearningRateMonitor()).loss, 2)
  test.equal(#watch("own", {name = "own", group = "metrics", check = function(self) self.writes = {"own"} end,
    on_epoch_end = function(_, state) state.logs.own = 1 end}).loss, 2)
end)

test.case("what is monitored is compared in single precision, as Keras does", function()
  local monitor = require "train.monitor"
  local function improved(current, best, options) return monitor.new("loss", options or {}, {}):improved(current, best) end
  test.equal(improved(0.7, 0.8, {min_delta = 0.1}), false)  -- 0.7 + 0.1 < 0.8 in float64
  test.equal(improved(0.69, 0.8, {min_delta = 0.1}), true)
  test.equal({improved(0.5 - 1e-9, 0.5), improved(0.5 - 1e-7, 0.5)}, {false, true})
  test.equal({improved(1e30, 2e30), improved(-math.huge, -1e30), improved(0 / 0, 1.0)}, {true, true, false})

  local optimizer = {param_groups = {{lr = 0.1}}}
  local reduce = train.ReduceLROnPlateau {factor = 0.2, patience = 0, min_lr = 0.02}
  local state = {optimizer = optimizer, epoch = 0, logs = {val_loss = 1.0}}
  reduce:check(state)
  reduce:on_train_begin(state)
  for _ = 1, 3 do reduce:on_epoch_end(state) end
  test.equal(optimizer.param_groups[1].lr, 0.1 * 0.2)  -- which float64 has above 0.02
end)
