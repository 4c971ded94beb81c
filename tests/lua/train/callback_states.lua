-- The state of every callback goes through a checkpoint: loaded into a fresh one it decides what the first would have.
local host = require "host"
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local EPOCHS <const>, BATCHES <const> = 10, 3
local X, Y = torch.ones(4, 2), torch.zeros(4, 1)
-- Falls, then rises, stays, falls again.
local LOSSES <const> = {1, 0.5, 0.6, 0.7, 0.7, 0.7, 0.7, 0.2, 0.3, 0.3}

local function through_a_checkpoint(dict)
  local folder = test.tmpdir() .. "/ck"
  host.checkpoint.save(folder, {tensors = {callbacks = dict}})
  return host.checkpoint.load(folder).tensors.callbacks
end

-- Trains by hand with the callback that make() gives; after `cut` epochs a fresh one goes on with its state, the model and the
-- optimizer. What it did is a list of lines. `poisoned` losses are NaN now and then.
local function trace(make, cut, poisoned)
  torch.manual_seed(3)
  local model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
  local optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1, momentum = 0.5})
  local lines, folder = {}, test.tmpdir()
  local function note(text, ...) lines[#lines + 1] = text:format(...):gsub(folder, "") end
  local ear = {name = "Ear", on_train_begin = function() end, say = function(_, text) note("says %s", text) end}
  local function begin(epoch)
    local state = train.state {model = model, optimizer = optimizer, epochs = EPOCHS, epoch = epoch, valid = {},
      callbacks = {ear, make(folder, model, optimizer)}}
    state:emit("train_begin")
    return state
  end
  -- What is written by a thread is told of at the next batch after it is there: here at once.
  local function settle(state)
    for _, entry in ipairs(state.callback_list.entries) do
      if entry.callback.settle then entry.callback:settle(state) end
    end
  end
  local state = begin(0)
  local batches = 0
  for epoch = 0, EPOCHS - 1 do
    if epoch == cut then
      local dict = through_a_checkpoint(state.callback_list:state_dict())
      local before = state
      state = begin(epoch)
      state.epochs_done, state.batches_done, state.steps_done = before.epochs_done, before.batches_done, before.steps_done
      state.callback_list:load_state_dict(dict, state)
    end
    state:emit("epoch_begin")
    for _ = 1, BATCHES do
      state.inputs, state.samples = {X, Y}, 4
      state:emit("batch_begin")
      optimizer:zero_grad()
      local loss = F.mse_loss(model(X), Y)
      if poisoned and batches % 7 == 5 then loss = loss * 0 / 0 elseif batches == 20 then loss = loss * 1e4 end
      batches = batches + 1
      state.loss = loss
      loss:backward()
      state:emit("after_backward")
      state:emit("before_step")
      if not state.skip_step then optimizer:step() end
      state.skip_step = nil
      state:emit("after_step")
      state.logs.loss = 0.1
      state:emit("batch_end")
      settle(state)
    end
    state.logs.loss, state.logs.val_loss = 1 / (epoch + 1), LOSSES[epoch + 1]
    state:emit("epoch_end")
    settle(state)
    note("epoch %d lr %.6g weight %.6g %s %s", epoch, optimizer.param_groups[1].lr, model[0].weight:sum():item(),
      tostring(model[0].weight.requires_grad), tostring(state.stop_reason))
    for name, value in pairs(state.logs) do
      if not name:find("second") and not name:find("memory") and not name:find("data_wait") then note("  %s %s", name, value) end
    end
    if state.stopping then break end
  end
  state:emit("train_end")
  note("weight %.6g", model[0].weight:sum():item())
  return lines
end

local CALLBACKS <const> = {
  EarlyStopping = function() return train.EarlyStopping {patience = 4, restore_best_weights = true, verbose = 1} end,
  EarlyStopping_baseline = function() return train.EarlyStopping {patience = 3, baseline = 0.55, start_from_epoch = 1} end,
  ReduceLROnPlateau = function() return train.ReduceLROnPlateau {patience = 1, factor = 0.5, cooldown = 1, verbose = 1} end,
  LearningRateScheduler = function() return train.LearningRateScheduler(function(epoch, lr) return lr * 0.9 ^ epoch end) end,
  ModelCheckpoint = function(folder) return train.ModelCheckpoint {filepath = folder .. "/{epoch}", save_best_only = true,
    verbose = 1} end,
  ModelCheckpoint_batches = function(folder) return train.ModelCheckpoint {filepath = folder .. "/{epoch}-{batch}", save_freq = 4,
    keep_last = 2, verbose = 1} end,
  SWA = function() return train.SWA {swa_start = 2} end,
  SwapEMAWeights = function() return train.SwapEMAWeights {} end,
  LayerFreeze = function() return train.LayerFreeze {gradual = 3} end,
  Diagnose = function() return train.Diagnose {} end,
  NanGuard = function() return train.NanGuard {policy = "skip"} end,
  NanGuard_lr = function() return train.NanGuard {policy = "reduce_lr"} end,
  GradientMonitor = function() return train.GradientMonitor {log_freq = 2, policy = "skip"} end,
  LearningRateMonitor = function() return train.LearningRateMonitor {} end,
  MemoryMonitor = function() return train.MemoryMonitor {every = 4} end,
  Throughput = function() return train.Throughput {} end,
  TerminateOnNaN = function() return train.TerminateOnNaN {} end,
  CSVLogger = function(folder) return train.CSVLogger(folder .. "/log.csv") end,
  on = function() return train.on("batch_end", {every = 4}, function(state) state:say("step " .. state.batches_done) end) end,
  scheduler = function(_, _, optimizer)
    return require "train.callbacks.scheduler" (torch.optim.lr_scheduler.StepLR(optimizer, {step_size = 3, gamma = 0.5})) end,
  own = function()
    return {name = "own", seen = 0, deep = {list = {1, 2}}, on_epoch_end = function(self, state)
      self.seen, self.deep.list[#self.deep.list + 1] = self.seen + 1, state.epoch
      state:say(self.seen .. ":" .. table.concat(self.deep.list, ","))
    end}
  end,
}

local names = {}
for name in pairs(CALLBACKS) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  test.case(name, function()
    local poisoned = name:find("N[Aa]N") or name:find("NanGuard")
    local whole
    test.warnings(function()
      whole = trace(CALLBACKS[name], nil, poisoned)
      for _, cut in ipairs {1, 4, 6} do
        if cut < #whole then test.equal(trace(CALLBACKS[name], cut, poisoned), whole, "cut at " .. cut) end
      end
    end)
    test.truthy(#whole > 3)
  end)
end
