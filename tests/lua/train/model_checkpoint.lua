-- train.ModelCheckpoint: when it saves, what, and what it keeps.
local test = require "test"
local torch = require "torch"
local train = require "train"
local host = require "host"
local nn, F = torch.nn, torch.nn.functional

local x, y = torch.ones(2, 2), torch.ones(2, 1)

-- Trains 3 batches an epoch with the given val_loss of each epoch; returns the names in the folder, sorted.
local function run(folder, arguments, val_losses, more)
  torch.manual_seed(1)
  local net = nn.Linear(2, 1)
  local step = arguments.step
  arguments.step = nil
  arguments.filepath = folder .. "/" .. (arguments.filepath or "{epoch:02d}")
  local checkpoint = train.ModelCheckpoint(arguments)
  local callbacks = {checkpoint, table.unpack(more or {})}
  train.fit {
    model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), train = {{x, y}, {x, y}, {x, y}},
    valid = {{x, y}}, epochs = #val_losses, quiet = true, callbacks = callbacks,
    step = step or function(state, batch)
      if state.phase == "valid" then return torch.tensor(val_losses[state.epoch + 1] + 0.0) end
      return F.mse_loss(state.model(batch[1]), batch[2])
    end,
  }
  local names = host.file.exists(folder) and host.file.list(folder) or {}
  table.sort(names)
  return names, checkpoint, net
end

test.case("saves every epoch into folders named by the template, latest points at the newest", function()
  local folder = test.tmpdir()
  test.equal(run(folder, {filepath = "{epoch:02d}-{val_loss:.2f}"}, {0.5, 0.25}), {"01-0.50", "02-0.25", "latest"})
  test.truthy(host.file.exists(folder .. "/latest/state.json"))
end)

test.case("every k epochs", function()
  test.equal(run(test.tmpdir(), {save_freq = "2ep"}, {1, 1, 1, 1, 1}), {"02", "04", "latest"})
end)

test.case("batch counts run across epochs (golden, Keras 3.15.1)", function()
  test.equal(run(test.tmpdir(), {save_freq = 2, filepath = "{epoch:02d}-{batch:02d}"}, {1, 1, 1}),
    {"01-02", "02-01", "02-03", "03-02", "latest"})
  test.equal(run(test.tmpdir(), {save_freq = "4ba", filepath = "{epoch:02d}-{batch:02d}"}, {1, 1, 1}),
    {"02-01", "03-02", "latest"})
end)

test.case("save_best_only saves improvements alone, NaN is none", function()
  test.equal(run(test.tmpdir(), {save_best_only = true}, {3, 0 / 0, 4, 2, 2}), {"01", "04", "latest"})
  test.equal(run(test.tmpdir(), {save_best_only = true, initial_value_threshold = 2.5}, {3, 2, 1}), {"02", "03", "latest"})
end)

test.case("best only works with batches", function()
  local names = run(test.tmpdir(), {save_best_only = true, save_freq = 1, monitor = "loss",
    filepath = "{epoch}-{batch}"}, {1, 1})
  test.truthy(#names > 1)
end)

test.case("save_weights_only writes one safetensors file with the weights of then", function()
  local folder = test.tmpdir()
  local names, _, net = run(folder, {save_weights_only = true, filepath = "w{epoch}"}, {1, 1})
  test.equal(names, {"w1.safetensors", "w2.safetensors"})
  local tensors = torch.load(folder .. "/w2.safetensors")
  test.equal(tensors.weight, net.weight:detach())
  test.falsy(torch.equal(torch.load(folder .. "/w1.safetensors").weight, tensors.weight))
end)

test.case("a checkpoint holds weights, optimizer, counters and callback state", function()
  local folder = test.tmpdir()
  local _, _, net = run(folder, {}, {0.5, 0.25}, {train.EarlyStopping {patience = 5, restore_best_weights = true}})
  local saved = host.checkpoint.load(folder .. "/latest")
  test.equal(saved.tensors.model.weight, net.weight:detach())
  test.equal(saved.tensors.optimizer.param_groups[1].lr, 0.1)
  local state = saved.state
  test.equal({state.epoch, state.epochs_done, state.steps_done, state.batches_done}, {1, 2, 6, 6})
  test.near(state.logs.val_loss, 0.25, 1e-12)
  test.equal(saved.tensors.callbacks.EarlyStopping.best_epoch, 1)
end)

test.case("keep_last and keep_best remove the others", function()
  test.equal(run(test.tmpdir(), {keep_last = 2}, {1, 1, 1, 1}), {"03", "04", "latest"})
  test.equal(run(test.tmpdir(), {keep_best = 2}, {3, 1, 2, 4}), {"02", "03", "04", "latest"}, "the newest stays")
  test.equal(run(test.tmpdir(), {keep_best = 1, keep_last = 2}, {1, 2, 3, 4}), {"01", "03", "04", "latest"})
end)

test.case("checkpoint_save is told with the path", function()
  local paths = {}
  run(test.tmpdir(), {}, {1, 1}, {train.on("checkpoint_save", function(state) paths[#paths + 1] = state.checkpoint.path end)})
  test.equal(#paths, 2)
  test.truthy(paths[2]:find("/02$"))
end)

test.case("checkpoint_save finds the checkpoint whole, and epoch and logs of then", function()
  local told, folder = {}, test.tmpdir()
  run(folder, {monitor = "val_loss"}, {3, 2, 1}, {train.on("checkpoint_save", function(state)
    told[#told + 1] = {state.epoch, state.logs.val_loss, state.checkpoint.value, host.checkpoint.load(state.checkpoint.path).state.epoch}
  end)})
  test.equal(told, {{0, 3.0, nil, 0}, {1, 2.0, nil, 1}, {2, 1.0, nil, 2}})
end)

test.case("what is written is there when train_end is told, also after an error", function()
  local folder, seen = test.tmpdir(), nil
  run(folder, {}, {1, 1}, {train.on("train_end", function() seen = host.file.exists(folder .. "/02/manifest.json") end)})
  test.truthy(seen)
  folder = test.tmpdir()
  pcall(run, folder, {}, {1, 1}, {train.on("batch_begin", function(state) if state.epoch == 1 then error("by the test", 0) end end)})
  test.equal(host.file.list(folder), {"01", "latest"})
end)

test.case("a failed write keeps the previous, warns, and is tried again", function()
  local folder = test.tmpdir()
  local snapshot = require "train.snapshot"
  local submit, calls = snapshot.submit, 0
  snapshot.submit = function(...)
    calls = calls + 1
    if calls ~= 2 then return submit(...) end
    local function fail() error("no space left, expected by the test") end
    return {done = fail, wait = fail}
  end
  local ok, names = pcall(run, folder, {save_freq = "2ep"}, {1, 1, 1, 1, 1, 1})
  snapshot.submit = submit
  test.truthy(ok, tostring(names))
  test.equal(names, {"02", "05", "06", "latest"})
end)

test.case("mistakes are found before the first step", function()
  local function refuse(pattern, arguments, folder)
    local net = nn.Linear(2, 1)
    test.raises(pattern, train.fit, {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 1}),
      loss = F.mse_loss, train = {{x, y}}, valid = {{x, y}}, epochs = 1, quiet = true,
      callbacks = {train.ModelCheckpoint(arguments), train.on("train_begin", function() error("too late") end)}})
  end
  local folder = test.tmpdir()
  refuse("unknown field '{val_los}'.*did you mean 'val_loss'", {filepath = folder .. "/{val_los:.2f}"})
  refuse("unknown field '{val_loss}'", {filepath = folder .. "/{val_loss:.2f}", save_freq = 10})
  refuse("unknown monitor 'val_loss'", {filepath = folder .. "/x", save_freq = 10, save_best_only = true})
  refuse("unknown monitor 'val_f1'", {filepath = folder .. "/x", save_best_only = true, monitor = "val_f1"})
  host.file.write_atomic(folder .. "/file", "")
  refuse("cannot write into the folder '.*/file/deep'", {filepath = folder .. "/file/deep/x"})
  test.raises("keep_last must be a whole number", train.ModelCheckpoint, {filepath = "x", keep_last = 0})
  test.raises("save_freq must be a number or a time", train.ModelCheckpoint, {filepath = "x", save_freq = "often"})
  test.raises("keyword 'filepath' is required", train.ModelCheckpoint, {})
end)

-- The names that are saved in a training whose every batch takes `seconds` by a clock of its own.
local function timed(arguments, epochs, seconds)
  local folder, now, names = test.tmpdir(), 0, {}
  local net = nn.Linear(2, 1)
  arguments.filepath = folder .. "/{epoch:02d}-{batch:02d}"
  train.fit {
    model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), loss = F.mse_loss, train = {{x, y}, {x, y}, {x, y}},
    epochs = epochs, quiet = true, callbacks = {
      train.on("train_begin", function(state) state.started, state.clock = 0, function() return now end end),
      train.on("batch_end", function() now = now + seconds end),
      train.ModelCheckpoint(arguments),
      train.on("checkpoint_save", function(state) names[#names + 1] = state.checkpoint.path:match("[^/]+$") end),
    },
  }
  return names
end

test.case('"30min" saves at the first batch after each half hour', function()
  test.equal(timed({save_freq = "30min"}, 3, 600), {"01-03", "02-03", "03-03"})
  test.equal(timed({save_freq = "30min"}, 3, 700), {"01-03", "02-03", "03-02"})
  test.equal(timed({save_freq = "1h"}, 2, 4000), {"01-01", "01-02", "01-03", "02-01", "02-02", "02-03"})
end)

test.case("several times compose with or", function()
  test.equal(timed({save_freq = {"2ep", "40min"}}, 4, 600), {"02-01", "02-03", "03-02", "04-03", "04-03"})
  test.equal(timed({save_freq = {"epoch", "2ba"}}, 2, 1), {"01-02", "01-03", "02-01", "02-03", "02-03"})
  test.equal(timed({save_freq = {2, 3}}, 2, 1), {"01-02", "01-03", "02-01", "02-03"})
  test.equal(timed({save_freq = {"epoch"}}, 2, 1), {"01-03", "02-03"})
  test.raises("train.ModelCheckpoint: save_freq must be a number or a time", train.ModelCheckpoint,
    {filepath = "x", save_freq = {"epoch", "often"}})
end)

test.case("the best value outlives a fit, as in Keras", function()
  local folder = test.tmpdir()
  local checkpoint = train.ModelCheckpoint {filepath = folder .. "/{epoch}", save_best_only = true}
  local saved = {}
  local function fit(values)
    local net = nn.Linear(1, 1)
    train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), train = {{1}}, valid = {{1}},
      epochs = #values, quiet = true, callbacks = {checkpoint,
        train.on("checkpoint_save", function(state) saved[#saved + 1] = state.logs.val_loss end)},
      step = function(state)
        if state.phase == "valid" then return torch.tensor(values[state.epoch + 1] + 0.0) end
        return (net.weight * 0):sum()
      end}
  end
  fit {3, 2}
  fit {2.5, 1, 4}
  test.equal(saved, {3.0, 2.0, 1.0})
end)

test.case("the test write takes nothing from the generator of random numbers", function()
  math.randomseed(7)
  local want = math.random(1 << 30)
  math.randomseed(7)
  local net = nn.Linear(1, 1)
  train.callback_list({train.ModelCheckpoint {filepath = test.tmpdir() .. "/x"}}):check {model = net, log_names = {"loss"}}
  test.equal(math.random(1 << 30), want)
end)

test.case("weights alone are one file, else the whole checkpoint is a folder that goes on elsewhere", function()
  local folder = test.tmpdir()
  run(folder, {filepath = "w.safetensors", save_weights_only = true}, {1})
  run(folder, {filepath = "whole"}, {1})
  test.truthy(torch.load(folder .. "/w.safetensors").weight)
  test.falsy(host.file.exists(folder .. "/w.safetensors/state.json"))
  local whole = host.checkpoint.load(folder .. "/whole")
  test.truthy(whole.tensors.optimizer and whole.tensors.callbacks.ModelCheckpoint and whole.state.steps_done)
end)

test.case("a dry run leaves nothing, and finds a folder that cannot be written", function()
  local folder = test.tmpdir()
  local function dry(arguments)
    local net = nn.Linear(2, 1)
    arguments.filepath = folder .. "/" .. arguments.filepath
    train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), loss = F.mse_loss, epochs = 9,
      train = {{x, y}, {x, y}}, valid = {{x, y}}, quiet = true, dry_run = true,
      callbacks = {train.ModelCheckpoint(arguments), train.CSVLogger(folder .. "/logs/log.csv")}}
  end
  dry {filepath = "new/deep/{epoch}-{val_loss:.2f}"}
  dry {filepath = "{epoch}", save_freq = 1, save_weights_only = true}
  test.equal(host.file.list(folder), {})
  host.file.write_atomic(folder .. "/file", "")
  test.raises("cannot write into the folder '.*/file/deep'", dry, {filepath = "file/deep/{epoch}"})
  test.equal(host.file.list(folder), {"file"})
end)

test.case("what another training has removed is removed: one warning, and the training goes on", function()
  local folder = test.tmpdir()
  local names
  local warnings = test.warnings(function()
    names = run(folder, {keep_last = 1}, {1, 1, 1, 1}, {train.on("checkpoint_save", function(state)
      if state.epoch < 2 then host.file.remove(state.checkpoint.path) end
    end)})
  end)
  test.equal(names, {"04", "latest"})
  test.equal(#warnings, 1)
  test.truthy(warnings[1]:find("01 is gone already: does another training write into that folder?", 1, true), warnings[1])
end)

test.case("what is in the place of a checkpoint already is found before the first step", function()
  local folder, steps = test.tmpdir(), 0
  local function step() steps = steps + 1 return torch.zeros(1, {requires_grad = true}):sum() end
  host.file.write_atomic(folder .. "/notes", "mine")
  local err = test.raises("filepath '.-/notes': '.-/notes' is a file, a checkpoint of the training is a folder", run, folder,
    {filepath = "notes", step = step}, {1})
  test.equal(err.kind, "io")
  host.file.mkdir(folder .. "/data.safetensors")
  test.raises("is a folder, weights are one file", run, folder, {filepath = "data", save_weights_only = true, step = step}, {1})
  host.file.mkdir(folder .. "/pictures")
  host.file.write_atomic(folder .. "/pictures/1", "x")
  test.raises("is a folder of other files", run, folder, {filepath = "pictures", step = step}, {1})
  test.equal(steps, 0)
  test.equal(host.file.read(folder .. "/notes"), "mine")
  run(folder, {filepath = "again"}, {1})
  run(folder, {filepath = "again"}, {1})  -- its own is replaced
end)

test.case("two callbacks of one training do not write to one path", function()
  local folder = test.tmpdir()
  local function with(...) return run(folder, {filepath = "{epoch}"}, {1}, {...}) end
  local err = test.raises("filepath '.-/{epoch}' is where ModelCheckpoint.- writes too", with,
    train.ModelCheckpoint {filepath = folder .. "/./{epoch}", save_freq = 2})
  test.equal(err.kind, "usage")
  test.raises("is where BackupAndRestore writes too", run, folder, {filepath = "b"}, {1},
    {train.BackupAndRestore(folder .. "/b")})
  test.raises("is where BackupAndRestore.- writes too", with, train.BackupAndRestore(folder .. "/c"),
    train.BackupAndRestore(folder .. "/c/"))
  with(train.ModelCheckpoint {filepath = folder .. "/{epoch}", save_weights_only = true})  -- a file beside the folder
end)

-- Lets `replace(n, submit, ...)` answer the submission n of a training in the place of snapshot.submit.
local function with_submissions(replace, f)
  local snapshot, count = require "train.snapshot", 0
  local submit = snapshot.submit
  local _ <close> = setmetatable({}, {__close = function() snapshot.submit = submit end})
  function snapshot.submit(...)
    count = count + 1
    return replace(count, submit, ...)
  end
  f()
  return count
end

local function lost(folder)
  local writing = {folder = folder, ended = false, written = false}
  function writing:done() self.ended = true return true end
  writing.wait = writing.done
  return writing
end

test.case("a checkpoint that was not taken is no checkpoint", function()
  local folder, told, names = test.tmpdir(), {}, nil
  local said = test.warnings(function()
    with_submissions(function(n, submit, path, ...) return n == 2 and lost(path) or submit(path, ...) end, function()
      names = run(folder, {keep_last = 1}, {1, 1}, {train.on("checkpoint_save", function(s) told[#told + 1] = s.checkpoint.path end)})
    end)
  end)
  test.equal(names, {"01", "latest"})
  test.equal(told, {folder .. "/01"})
  test.equal(#said, 1)
  test.truthy(tostring(said[1]):find("02 was not saved: another checkpoint took its place", 1, true), said[1])
end)

test.case("none is saved while Ctrl-C ends the wait for the one before", function()
  local folder, hanging, names = test.tmpdir(), true, nil
  local count = with_submissions(function(n, submit, path, ...)
    local writing = submit(path, ...)
    if n > 1 then return writing end
    local held = setmetatable({}, {__index = writing})
    function held.done() return not hanging and writing:done() end
    function held.wait() return not hanging and writing:wait() end
    return held
  end, function()
    names = run(folder, {keep_last = 1}, {1, 1, 1}, {train.on("epoch_begin", function(s) hanging = s.epoch < 2 end)})
  end)
  test.equal({count, names}, {2, {"03", "latest"}})
end)
