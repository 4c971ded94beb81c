-- Every callback hears train.callback_list with a state of the script's own: a bare table, and one with a model and an optimizer.
local host = require "host"
local test = require "test"
local torch = require "torch"
local train = require "train"

local EVENTS <const> = {"batch_begin", "before_step", "after_step", "batch_end"}

-- Three epochs of two batches each.
local function loop(list, state)
  list:emit("train_begin", state)
  for epoch = state.epochs_done, 2 do
    list:emit("epoch_begin", state)
    for _ = 1, 2 do
      for _, event in ipairs(EVENTS) do list:emit(event, state) end
    end
    state.logs.loss = 1 / (epoch + 1)
    list:emit("epoch_end", state)
  end
  list:emit("train_end", state)
end

local function with_model()
  local model = torch.nn.Linear(2, 2)
  return {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1})}
end

-- What makes each callback of train; {function, error} where a bare table has not what it needs.
local function callbacks(folder)
  local needs_model, needs_rates <const> = "needs a model", "needs an optimizer"
  return {
    Accumulator = false,  -- of metrics, no callback
    Attach = {function() return train.Attach() end},
    BackupAndRestore = {function() return train.BackupAndRestore(folder .. "/backup") end, needs_model},
    CSVLogger = {function() return train.CSVLogger(folder .. "/log.csv") end},
    Diagnose = {function() return train.Diagnose {monitor = "loss"} end},
    EarlyStopping = {function() return train.EarlyStopping {monitor = "loss"} end},
    GradientMonitor = {function() return train.GradientMonitor() end, needs_model},
    History = {function() return train.History() end},
    LambdaCallback = {function() return train.LambdaCallback {on_epoch_end = function() end} end},
    LayerFreeze = {function() return train.LayerFreeze {schedule = {[0] = {freeze = "*"}}} end, needs_model},
    LearningRateMonitor = {function() return train.LearningRateMonitor() end, needs_rates},
    LearningRateScheduler = {function() return train.LearningRateScheduler(function(_, lr) return lr end) end, needs_rates},
    MemoryMonitor = {function() return train.MemoryMonitor() end},
    ModelCheckpoint = {function() return train.ModelCheckpoint {filepath = folder .. "/{epoch}", monitor = "loss"} end, needs_model},
    NanGuard = {function() return train.NanGuard() end, "needs"},
    Progress = {function() return train.Progress() end},
    ReduceLROnPlateau = {function() return train.ReduceLROnPlateau {monitor = "loss"} end, needs_rates},
    RemoteMonitor = {function() return train.RemoteMonitor {root = "http://127.0.0.1:9"} end},
    SWA = {function() return train.SWA {swa_start = 1} end, needs_model},
    SwapEMAWeights = {function() return train.SwapEMAWeights() end, needs_model},
    TensorBoard = {function() return train.TensorBoard(folder .. "/board") end},
    TerminateOnNaN = {function() return train.TerminateOnNaN() end},
    Throughput = {function() return train.Throughput() end},
    on = {function() return train.on("epoch_end", function() end) end},
  }
end

test.case("a list of each callback takes a bare table, or says what it has to have", function()
  for name, case in pairs(callbacks(test.tmpdir())) do
    if case then
      local make, needs = case[1], case[2]
      local ok, err = pcall(function() loop(train.callback_list {make()}, {epochs_done = 0, logs = {}}) end)
      if needs then
        test.truthy(not ok and tostring(err):find(needs, 1, true), name .. ": " .. tostring(err))
      else
        test.truthy(ok, name .. ": " .. tostring(err))
      end
    end
  end
end)

test.case("a list of each callback takes a table with a model and an optimizer, also a train.state without callbacks", function()
  local folder = test.tmpdir()
  for name, case in pairs(callbacks(folder)) do
    for i, state in ipairs(case and {with_model(), train.state(with_model())} or {}) do
      state.epochs_done, state.logs = 0, {}
      local ok, err = pcall(loop, train.callback_list {case[1]()}, state)
      test.truthy(ok, ("%s, state %d: %s"):format(name, i, tostring(err)))
      test.equal({state.epochs_done, state.batches_done}, {3, 6}, name)
    end
  end
end)

test.case("this file knows every callback of train", function()
  local known, count = callbacks "", 0
  for name in pairs(train) do
    if name:find "^%u" then
      count = count + 1
      test.truthy(known[name] ~= nil, name)
    end
  end
  test.truthy(count > 20, count)
end)

test.case("two CSVLoggers of one list for one file are an error with a state of one's own too", function()
  local path = test.tmpdir() .. "/log.csv"
  test.raises("two callbacks write", function()
    train.callback_list {train.CSVLogger(path), train.CSVLogger(path)}:emit("train_begin", {})
  end)
end)

test.case("the last checkpoint is there, and told of, before a callback hears that the training has ended", function()
  local folder = test.tmpdir()
  for i, state in ipairs {with_model(), train.state(with_model())} do
    local backup, seen = ("%s/%d"):format(folder, i), {}
    local list = train.callback_list {
      train.BackupAndRestore {backup_dir = backup, delete_checkpoint = false},
      {on_checkpoint_save = function(_, s) seen[#seen + 1] = s.checkpoint.path end,
        on_train_end = function() seen.at_end = seen[#seen] end},
    }
    state.epochs_done, state.logs = 0, {}
    loop(list, state)
    test.equal(seen.at_end, backup .. "/ckpt-000006")
    test.truthy(host.file.exists(seen.at_end .. "/manifest.json"))
  end
end)

test.case("a table that is told of events by another list has the callbacks of that one", function()
  local state, heard = with_model(), {}
  state.epochs_done, state.logs = 0, {}
  for i = 1, 2 do
    state.epochs_done = 0
    loop(train.callback_list {train.ModelCheckpoint(test.tmpdir() .. "/{epoch}"), {on_checkpoint_save = function()
      heard[#heard + 1] = i
    end}}, state)
  end
  test.equal(heard, {1, 1, 1, 2, 2, 2})
end)

test.case("a loop with a table of its own goes on from the backup of the one that failed", function()
  local folder, epochs = test.tmpdir(), {}
  local function run(fails)
    local list = train.callback_list {train.BackupAndRestore(folder .. "/backup"), {on_epoch_end = function(_, s)
      if fails and s.epoch == 2 then error "stopped" end
      epochs[#epochs + 1] = s.epoch
    end}}
    local state = with_model()
    state.epochs_done, state.logs = 0, {}
    local ok, err = pcall(loop, list, state)
    if not ok then
      state.error = err
      list:emit("exception", state)
    end
    return ok
  end
  test.equal(run(true), false)
  test.equal(run(false), true)
  test.equal(epochs, {0, 1, 2})
end)
