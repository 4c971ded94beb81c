-- One training of a named kind that kills itself at given points: run again it goes on, and writes what it ends with into
-- out/. Arguments: the kind, save_freq ("epoch", or batches: "5,7"), and the points, as the number of batches that are
-- done: "5" at the begin of the next batch, "v21" at the begin of a validation, "int5" by Ctrl-C.
local host, torch, train = require "host", require "torch", require "train"
local nn, F = torch.nn, torch.nn.functional
local kind, freq = host.args[1], host.args[2]
local points = {}
for i = 3, #host.args do points[host.args[i]] = true end

math.randomseed(7)
torch.manual_seed(7)
local x, y = torch.randn(27, 6), torch.randint(3, {27})
local vx, vy = torch.randn(10, 6), torch.randint(3, {10})
local function loader(options, set)
  options.batch_size = 4
  return torch.utils.data.DataLoader(set or torch.utils.data.TensorDataset(x, y), options)
end
local net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
local a = {loss = F.cross_entropy, epochs = 4, quiet = true, attach = false, callbacks = {}, metrics = {}, user = {},
  valid = loader({}, torch.utils.data.TensorDataset(vx, vy)), train = loader {}}
local make_optimizer = function() return torch.optim.Adam(net:parameters(), {lr = 0.01}) end
local function add(callback) table.insert(a.callbacks, callback) end

local kinds = {}

function kinds.plain() end
function kinds.shuffle() a.train = loader {shuffle = true} end
function kinds.workers() a.train = loader {shuffle = true, workers = 2} end
function kinds.dropout() net = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 3)) end
function kinds.accumulation()
  kinds.dropout()
  a.accumulate, a.clip_grad_norm, a.train = 3, 0.5, loader {shuffle = true}
end
function kinds.ema() add(train.SwapEMAWeights {momentum = 0.9}) end
function kinds.ema_swapped() add(train.SwapEMAWeights {momentum = 0.9, swap_on_epoch = true, overwrite_frequency = 5}) end
function kinds.swa()
  kinds.dropout()
  add(train.SWA {swa_start = 1, swa_lr = 0.02, anneal_epochs = 2})
end
function kinds.scaler()
  a.scaler, a.accumulate = torch.GradScaler("cpu", {init_scale = 1024.0, growth_interval = 3}), 2
end
function kinds.policies()
  add(train.EarlyStopping {monitor = "val_loss", patience = 1, min_delta = 0.02, start_from_epoch = 1,
    restore_best_weights = true})
  add(train.ReduceLROnPlateau {monitor = "loss", factor = 0.5, patience = 0, min_delta = 0.05})
  add(train.ModelCheckpoint {filepath = "best/{epoch}", monitor = "val_loss", keep_best = 2})
  add(train.ModelCheckpoint {filepath = "best/{epoch}-{batch}", monitor = "loss", keep_last = 2, save_freq = 3})
end
function kinds.metrics()
  a.metrics = {accuracy = train.metrics.Accuracy(), auc = train.metrics.AUC {num_classes = 3}, f1 = train.metrics.F1 {num_classes = 3},
    own = function(pred, target) return F.cross_entropy(pred, target) * 2 end}
  add(train.GradientMonitor {log_freq = 2})
  a.evaluate_train = 2
end
function kinds.csv()
  kinds.shuffle()
  add(train.CSVLogger "log.csv")
  add(train.CSVLogger "log.jsonl")
end
function kinds.tensorboard()
  kinds.shuffle()
  add(train.TensorBoard {log_dir = "logs", update_freq = 1, histogram_freq = 1})
  add(train.on("epoch_end", function(state) -- a writer of the script's own, by the callback
    for _, callback in ipairs(a.callbacks) do
      if callback.writer then callback:writer():add_scalar("own", state.epoch * 2.0, state.epoch) end
    end
  end))
end
-- The script goes on in its MLflow run.
function kinds.tracked()
  kinds.shuffle()
  local mlflow, known = require "mlflow", host.file.exists "run" and host.file.read "run" or nil
  local run = mlflow.start_run {run_id = known}
  if not known then host.file.write_atomic("run", run.info.run_id) end
  add(mlflow.callback())
  add(train.on("checkpoint_load", function(state) assert(state.resumed_run == known) end))
end
function kinds.scheduler()
  make_optimizer = function()
    local optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.9})
    a.scheduler = {torch.optim.lr_scheduler.OneCycleLR(optimizer, {max_lr = 0.2, total_steps = 28}), interval = "step"}
    return optimizer
  end
  add(train.LearningRateScheduler {schedule = function(_, lr) return lr * 0.9 end})
end
function kinds.freezing()
  nn.freeze(net[0])
  make_optimizer = function() return torch.optim.Adam(net[2]:parameters(), {lr = 0.01}) end
  add(train.LayerFreeze {schedule = {[1] = {unfreeze = "0"}, [3] = {freeze = "2"}}})
end
-- Data that are made as they are asked for, by both generators.
function kinds.generated()
  a.train = function()
    local order, i = torch.randperm(27), 0
    return function()
      if i >= 27 then return nil end
      local rows = order[{torch.slice(i, math.min(i + 4, 27))}]
      i = i + 4
      return {x[rows] + torch.randn(1) * 0.1 + math.random() * 0.1, y[rows]}
    end
  end
end
function kinds.augmented()
  local set = torch.utils.data.Dataset {
    len = function() return 27 end,
    get = function(_, i) return {x[i] + torch.randn(6) * 0.1 + math.random() * 0.1, y[i]} end,
  }
  a.train = loader({shuffle = true}, set)
end
function kinds.stretched()
  a.train, a.batch_size, a.steps_per_epoch = {x, y}, 4, 5  -- 7 batches a pass
end
function kinds.stretched_generated()
  kinds.dropout()
  kinds.generated()
  a.steps_per_epoch = 5
end
function kinds.stretched_augmented()
  kinds.augmented()
  a.steps_per_epoch, a.evaluate_train = 5, 2
end
function kinds.limited_augmented()
  kinds.augmented()
  a.limit_train_batches = 5
end
function kinds.collated()
  a.train = loader {shuffle = true, collate_fn = function(samples)
    local inputs, targets = {}, {}
    for i, sample in ipairs(samples) do inputs[i], targets[i] = sample[1] + torch.randn(6) * math.random() * 0.1, sample[2] end
    return {torch.stack(inputs), torch.stack(targets)}
  end}
end
-- A validation that is made as it is asked for, and noise of a generator of its own.
function kinds.validated_by_function()
  local noise = torch.Generator():manual_seed(3)
  a.valid = function()
    local order = torch.randperm(10)
    return coroutine.wrap(function()
      for i = 0, 5, 5 do
        local rows = order[{torch.slice(i, i + 5)}]
        coroutine.yield {vx[rows] + math.random() * 0.1, vy[rows]}
      end
    end)
  end
  a.train = loader({shuffle = true}, torch.utils.data.Dataset {
    len = function() return 27 end,
    get = function(_, i) return {x[i] + torch.randn({6}, {generator = noise}) * 0.1, y[i]} end,
  })
  a.saved = {noise = noise}
end
function kinds.limited()
  a.train, a.limit_train_batches, a.accumulate = loader {shuffle = true}, 5, 2
end
-- A loss of parts, a callback's and a script's own state, a step of its own.
function kinds.own()
  a.metrics = {}
  a.step = function(state, batch)
    local out = net(batch[1] + math.random() * 0.01)
    state.output, state.target = out, batch[2]
    local loss, penalty = F.cross_entropy(out, batch[2]), (net[0].weight ^ 2):sum() * 1e-3
    return loss + penalty, {fit = loss, penalty = penalty}
  end
  a.user.sum, a.user.tensor = 0.0, torch.zeros(2)
  add {name = "own", count = 0, seen = {}, on_batch_end = function(self, state)
    self.count = self.count + 1
    state.user.sum = state.user.sum + state.logs.loss
    state.user.tensor = state.user.tensor + 1
  end, on_epoch_begin = function(self, state)
    table.insert(self.seen, state.epoch)
    state.user.begun = (state.user.begun or 0) + 1
  end}
end

kinds[kind]()
a.model, a.optimizer = net, make_optimizer()
local kill = {name = "kill", state_fields = {}}
local times = {}
for word in freq:gmatch "[^,]+" do times[#times + 1] = math.tointeger(word) or word end
add(train.BackupAndRestore {backup_dir = "backup", save_freq = times})
-- What is due while another one is being written may be left out: here none is.
local function wait(state)
  for _, callback in ipairs(a.callbacks) do
    if callback.settle then callback:settle(state) end
  end
end
local function die(point)
  if not points[point] or host.file.exists("killed-" .. point) then return end
  host.file.write_atomic("killed-" .. point, "")
  os.execute("kill -9 " .. host.pid())
end
function kill.on_batch_begin(_, state)
  wait(state)
  if points["int" .. state.batches_done] then os.execute("kill -INT " .. host.pid()) end
  die(tostring(state.batches_done))
end
function kill.on_valid_begin(_, state)
  wait(state)
  die("v" .. state.batches_done)
end
add(kill)
add(train.on("checkpoint_load", function(state) print("from", state.resumed) end))
local history = train.fit(a)

local out = {tensors = {model = net:state_dict(), optimizer = a.optimizer:state_dict()}, state = {
  history = history.history, epochs = history.epoch, stop_reason = history.stop_reason, user = a.user,
  random = {math.random(), torch.rand(1):item()}, scale = a.scaler and a.scaler:get_scale()}}
for _ = 1, 9 do  -- faults of the test are of each thread's first calls
  if pcall(host.checkpoint.save, "out", out) then return end
end
error "out cannot be written"
