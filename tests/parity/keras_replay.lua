-- The Lua side of the Keras suites: runs each case of a JSON file through the callbacks and train.fit, and writes what
-- came of them as JSON.
local host = require "host"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local replay = {}

-- Emits the events of whole epochs to one callback; `each(epoch, state)` sets the logs and notes what came of it.
local function drive(callback, epochs, fields, each)
  local said = {}
  local ear = {name = "Ear", on_train_begin = function() end, say = function(_, text) said[#said + 1] = text end}
  local list, state = train.callback_list {ear, callback}, fields
  state.callback_list = list
  list:check(state)
  list:emit("train_begin", state)
  for epoch = 0, epochs - 1 do
    state:emit("epoch_begin")
    each(epoch, state)
    if state.stopping then break end
  end
  state:emit("train_end")
  return said, state
end

local function or_none(value) return value == nil and "None" or value end

-- The weight of the model is the number of its epoch.
function replay.early_stopping(case)
  local model, stopping = nn.Linear(1, 1), train.EarlyStopping(case.options)
  local out = {waits = {}, bests = {}}
  local said, state = drive(stopping, #case.values, {model = model, compat = case.compat}, function(epoch, state)
    torch.nn.init.constant_(model.weight, epoch)
    state.logs.val_loss = case.values[epoch + 1]
    state:emit("epoch_end")
    out.waits[epoch + 1], out.bests[epoch + 1] = stopping.wait, or_none(stopping.best)
  end)
  out.said, out.stopped, out.weight, out.epochs = said, state.stopping, model.weight:item(), state.epochs_done
  return out
end

function replay.reduce_lr(case)
  local optimizer = {param_groups = {{lr = case.lr}}}
  local out = {rates = {}, logged = {}}
  out.said = drive(train.ReduceLROnPlateau(case.options), #case.values, {optimizer = optimizer, compat = case.compat},
    function(epoch, state)
      state.logs.val_loss = case.values[epoch + 1]
      state:emit("epoch_end")
      out.rates[epoch + 1], out.logged[epoch + 1] = optimizer.param_groups[1].lr, state.logs.learning_rate
    end)
  return out
end

function replay.scheduler(case)
  local optimizer = {param_groups = {{lr = case.lr}}}
  local out = {seen = {}, rates = {}, logged = {}}
  local callback = train.LearningRateScheduler {verbose = 1, schedule = function(epoch, lr)
    out.seen[#out.seen + 1] = {epoch, lr}
    return case.rates[epoch + 1]
  end}
  out.said = drive(callback, #case.rates, {optimizer = optimizer}, function(epoch, state)
    out.rates[epoch + 1] = optimizer.param_groups[1].lr
    state:emit("epoch_end")
    out.logged[epoch + 1] = state.logs.learning_rate
  end)
  return out
end

function replay.checkpoint(case)
  local out, snapshot = {paths = {}}, require "train.snapshot"
  local submit = snapshot.submit_weights
  snapshot.submit_weights = function(path)
    out.paths[#out.paths + 1] = path
    return {ended = true, written = true, done = function() return true end, wait = function() end}
  end
  case.options.save_weights_only = true
  local callback = train.ModelCheckpoint(case.options)
  out.said = drive(callback, #case.epochs, {model = nn.Linear(1, 1), compat = case.compat}, function(epoch, state)
    local one = case.epochs[epoch + 1]
    for _, loss in ipairs(one.batches) do
      state:emit("batch_begin")
      state.logs.loss = loss
      state:emit("batch_end")
    end
    for name, value in pairs(one.logs) do state.logs[name] = value end
    state:emit("epoch_end")
  end)
  snapshot.submit_weights = submit
  return out
end

function replay.csv(case)
  for _, fit in ipairs(case.fits) do
    drive(train.CSVLogger(fit.options), #fit.epochs, {compat = case.compat}, function(epoch, state)
      for name, value in pairs(fit.epochs[epoch + 1]) do state.logs[name] = value end
      state:emit("epoch_end")
    end)
  end
  return {text = host.file.read(case.fits[1].options.filename)}
end

-- Every hook with the index that Keras hands to it: epoch, batch or none.
local function recorder(trace, logs_at)
  local spy = {name = "Spy"}
  local index = {epoch_begin = "epoch", epoch_end = "epoch", train_batch_begin = "batch", train_batch_end = "batch",
    test_batch_begin = "batch", test_batch_end = "batch"}
  for _, hook in ipairs {"train_begin", "train_end", "epoch_begin", "epoch_end", "train_batch_begin", "train_batch_end",
    "test_begin", "test_end", "test_batch_begin", "test_batch_end"} do
    spy["on_" .. hook] = function(_, state)
      trace[#trace + 1] = index[hook] and ("%s %d"):format(hook, state[index[hook]]) or hook
      if hook == "train_batch_end" or hook == "test_batch_end" or hook == "epoch_end" then
        local logs = {}
        for name, value in pairs(state.logs) do logs[name] = value end
        logs_at[#logs_at + 1] = logs
      end
    end
  end
  return spy
end

local function batches_of(x, y, size)
  local list = {}
  for from = 0, x:size(0) - 1, size do
    local count = math.min(size, x:size(0) - from)
    list[#list + 1] = {x:narrow(0, from, count), y:narrow(0, from, count)}
  end
  return list
end

function replay.fit(case)
  local net = nn.Linear(#case.weight, 1)
  net:load_state_dict {weight = torch.tensor {case.weight}, bias = torch.zeros(1)}
  local x, y = torch.tensor(case.x), torch.tensor(case.y)
  local trace, logs_at, callbacks = {}, {}, {}
  callbacks[1] = recorder(trace, logs_at)
  if case.stop then
    callbacks[2] = train.on("batch_end", function(state)
      if state.epoch == case.stop[1] and state.batch == case.stop[2] then state:stop("asked") end
    end)
  end
  if case.terminate then callbacks[#callbacks + 1] = train.TerminateOnNaN() end
  if case.early then callbacks[#callbacks + 1] = train.EarlyStopping(case.early) end
  if case.csv then callbacks[#callbacks + 1] = train.CSVLogger(case.csv) end
  local history = train.fit {
    model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = case.lr}), loss = F.mse_loss, epochs = case.epochs,
    train = batches_of(x, y, case.batch), valid = case.valid and batches_of(torch.tensor(case.valid.x),
      torch.tensor(case.valid.y), case.batch), metrics = {mae = F.l1_loss}, callbacks = callbacks, quiet = true,
  }
  return {trace = trace, logs = logs_at, epoch = history.epoch, history = history.history,
    weight = net.weight:detach():view(-1):tolist()}
end

local results = {}
for i, case in ipairs(host.json.decode(host.file.read(host.args[1]))) do
  local ok, out = pcall(replay[case.kind], case)
  results[i] = ok and out or {error = tostring(out)}
end
host.file.write_atomic(host.args[2], host.json.encode(results))
