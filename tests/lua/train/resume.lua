-- Going on from checkpoints: what is found, what is refused, and that it is the training that was not stopped.
local host, test, torch, train = require "host", require "test", require "torch", require "train"
local nn, F = torch.nn, torch.nn.functional

local function folder()
  local name = os.tmpname()
  os.remove(name)
  return name
end

-- A backup that is due while another one is written is left out: none is, once these are waited for.
local function wait(callbacks, state)
  for _, callback in ipairs(callbacks) do
    if callback.settle then callback:settle(state) end
  end
end

-- A training of 3 epochs of 4 batches; with `stop` an error ends it once so many batches are done.
local function run(options, stop)
  if not (options and options.same_process) then require("train.origin").forget() end
  torch.manual_seed(3)
  local x = torch.randn(16, 4)
  local net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
  local a = {model = net, optimizer = torch.optim.Adam(net:parameters(), {lr = 0.05}), loss = F.mse_loss, epochs = 3, quiet = true,
    attach = false, callbacks = {}}
  a.train = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x:sum(1, true)), {batch_size = 4, shuffle = true})
  for key, value in pairs(options or {}) do
    if key ~= "callbacks" and key ~= "same_process" then a[key] = value end
  end
  table.move(options and options.callbacks or {}, 1, #(options and options.callbacks or {}), 1, a.callbacks)
  local from
  table.insert(a.callbacks, {name = "test", state_fields = {}, on_batch_begin = function(_, state)
    wait(a.callbacks, state)
    if state.batches_done == stop then error("stopped by the test", 0) end
  end, on_checkpoint_load = function(_, state) from = state.resumed end})
  local ok, history = pcall(train.fit, a)
  if stop then test.truthy(not ok) elseif not ok then error(history, 0) end
  return net:state_dict(), ok and history, from
end

local function same(a, b)
  for name, tensor in pairs(a) do test.truthy(torch.equal(tensor, b[name]), name) end
end

local function names(path)
  local found = {}
  for _, name in ipairs(host.file.list(path)) do found[#found + 1] = name end
  return table.concat(found, " ")
end

-- The last byte of a file becomes another.
local function damage(path)
  local text = host.file.read(path)
  host.file.write_atomic(path, text:sub(1, -2) .. string.char(text:byte(-1) ~ 1))
end

test.case("BackupAndRestore goes on at the very batch, keeps two checkpoints and removes them at the end", function()
  local whole, history = run()
  local backup = folder()
  local function options() return {callbacks = {train.BackupAndRestore {backup_dir = backup, save_freq = 1}}} end
  run(options(), 6)
  test.equal(names(backup), "ckpt-000005 ckpt-000006 latest")
  local got, again, from = run(options())
  test.equal(from, backup .. "/ckpt-000006")
  same(whole, got)
  test.equal(again.loss, history.loss)
  test.equal(again.epoch, {0, 1, 2})
  test.truthy(not host.file.exists(backup))
end)

test.case("delete_checkpoint = false leaves the last: the training is over when it is run again", function()
  local backup = folder()
  local function options() return {callbacks = {train.BackupAndRestore {backup_dir = backup, delete_checkpoint = false}}} end
  local whole = run(options())
  test.equal(names(backup), "ckpt-000008 ckpt-000012 latest")
  local got, history, from = run(options())
  test.equal({from, #history.loss}, {backup .. "/ckpt-000012", 3})
  same(whole, got)
  local _, longer = run {epochs = 4, callbacks = options().callbacks}
  test.equal(longer.epoch, {0, 1, 2, 3})
  local _, anew, none = run {resume = false, callbacks = options().callbacks}
  test.equal({#anew.loss, none}, {3, nil})
end)

test.case("a damaged checkpoint is told of, and the one before is used", function()
  local whole, backup = run(), folder()
  local function options() return {callbacks = {train.BackupAndRestore {backup_dir = backup, save_freq = 1}}} end
  for _, file in ipairs {"model.safetensors", "state.json", "manifest.json", "callbacks.safetensors"} do
    run(options(), 6)
    if host.file.exists(backup .. "/ckpt-000006/" .. file) then
      damage(backup .. "/ckpt-000006/" .. file)
      local got, _, from
      local warned = test.warnings(function() got, _, from = run(options()) end)
      test.equal(from, backup .. "/ckpt-000005")
      same(whole, got)
      test.truthy(table.concat(warned, "\n"):find("ckpt-000006", 1, true), "the warning names it")
      test.truthy(table.concat(warned, "\n"):find("ckpt-000005 is used in its place", 1, true))
    end
    host.file.remove(backup)
  end
end)

test.case("resume = \"auto\" takes the newest of ModelCheckpoint's, resume = FOLDER that one", function()
  local whole, out = run(), folder()
  local function options(resume, epochs)
    return {resume = resume, epochs = epochs, callbacks = {train.ModelCheckpoint {filepath = out .. "/{epoch}", monitor = "loss"}}}
  end
  local first, _, none = run(options("auto"))
  test.equal(none, nil)
  same(whole, first)
  local got, history, from = run {resume = out .. "/1/"}
  test.equal({from, #history.loss}, {out .. "/1", 3})
  same(whole, got)
  got, _, from = run {resume = out .. "/latest"}
  test.equal(from, out .. "/latest")
  same(whole, got)
  _, history, from = run(options("auto", 4))
  test.equal({from, #history.loss}, {out .. "/3", 4})
  damage(out .. "/2/optimizer.safetensors")
  local warned = test.warnings(function() _, _, from = run {resume = out .. "/2"} end)
  test.equal(from, out .. "/4")
  test.truthy(warned[1]:find("optimizer.safetensors is damaged", 1, true))
end)

test.case("what resume may not be is an error before the first step", function()
  test.raises("resume must be \"auto\"", function() run {resume = true} end)
  test.raises("there is no checkpoint in '/nowhere'", function() run {resume = "/nowhere"} end)
  local path = folder()
  host.checkpoint.save(path .. "/a", {state = {n = 1}})
  test.raises("no checkpoint in .* is whole and of a training", function() run {resume = path} end)
  test.raises("saved must be a table by name", function() run {saved = {a = 1}} end)
  local out = folder()
  run {callbacks = {train.ModelCheckpoint {filepath = out .. "/{epoch}", monitor = "loss"}}}
  test.raises("the checkpoint .* does not fit this training", function()
    local net = nn.Linear(2, 1)
    train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), loss = F.mse_loss, epochs = 1, quiet = true,
      attach = false, train = {{torch.ones(1, 2), torch.ones(1, 1)}}, resume = out}
  end)
end)

test.case("what cannot be saved of state.user or a callback is an error before the first step", function()
  local steps
  local function refuses(pattern, callback, user, more)
    steps = 0
    test.raises(pattern, function()
      run {user = user, callbacks = {callback, train.on("batch_begin", function() steps = steps + 1 end), more}}
    end)
    test.equal(steps, 0)
  end
  local function own(value)
    return {name = "own", on_train_end = print, state_dict = function() return value end, load_state_dict = print}
  end
  local loop = {}
  loop.loop = loop
  for _, writer in ipairs {train.BackupAndRestore(folder()), train.ModelCheckpoint {filepath = folder() .. "/{epoch}", monitor = "loss"}} do
    refuses("state.user.f is function", writer, {f = print})
    refuses("state.user.a.file is .*, expected", writer, {a = {file = io.stdout}})
    refuses("state.user.loop holds itself", writer, loop)
    refuses("the state of callback own.file is .*, expected", writer, nil, own {file = io.stdout})
    refuses("the state of callback fields.file is", writer, nil,
      {name = "fields", on_train_end = print, state_fields = {"file"}, file = io.stdout})
  end
  run {epochs = 1, user = {f = print}, callbacks = {train.ModelCheckpoint {filepath = folder() .. "/{epoch}", monitor = "loss",
    save_weights_only = true}}}
  local late = {name = "late", load_state_dict = print, state_dict = function(self) return {n = self._n + 1} end,
    on_train_begin = function(self) self._n = 1 end}
  run {epochs = 1, callbacks = {late, train.ModelCheckpoint {filepath = folder() .. "/{epoch}", monitor = "loss"}}}
  local warned = test.warnings(function() run {resume = "auto"} end)
  test.truthy(warned[1]:find("no callback of this training writes checkpoints", 1, true))
end)

test.case("what a killed remover left is removed, and nothing stays at the end", function()
  local backup = folder()
  host.file.mkdir(backup .. "/ckpt-000001")
  host.file.write_atomic(backup .. "/ckpt-000001/state.json", "{}")
  host.file.mkdir(backup .. "/.ckpt-000002.tmp-999999999-0")
  run {callbacks = {train.BackupAndRestore(backup)}}
  test.truthy(not host.file.exists(backup))
end)

test.case("a stop of a policy lasts, one of a bound does not", function()
  local out = folder()
  local function options(resume, more)
    local o = {resume = resume, callbacks = {train.ModelCheckpoint {filepath = out .. "/{epoch}", monitor = "loss"}}}
    for key, value in pairs(more) do o[key] = value end
    return o
  end
  local _, history = run(options(false, {max_steps = 4}))
  test.equal({#history.loss, history.stop_reason}, {1, "max_steps = 4 reached"})
  _, history = run(options("auto", {max_steps = 8}))
  test.equal(#history.loss, 2)
  local stopper = train.on("epoch_end", function(state) state:stop("enough") end)
  local o = options(false, {})
  table.insert(o.callbacks, 1, stopper)
  run(o)
  _, history = run(options("auto", {}))
  test.equal({#history.loss, history.stop_reason}, {1, "enough"})
end)

-- Two models and two optimizers, by hand.
local function by_hand(backup, stop)
  torch.manual_seed(5)
  local g, c = nn.Linear(2, 2), nn.Linear(2, 1)
  local og, oc = torch.optim.Adam(g:parameters(), {lr = 0.1}), torch.optim.Adam(c:parameters(), {lr = 0.1})
  local steps = train.Accumulator(og, {every = 2})
  local x = torch.randn(10, 2)
  local loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), {batch_size = 2, shuffle = true})
  local callbacks = {backup and train.BackupAndRestore {backup_dir = backup, save_freq = 1} or nil}
  local state = train.state {epochs = 2, train = loader, saved = {g = g, c = c, og = og, oc = oc, steps = steps}, callbacks = callbacks}
  local seen = {}
  local ok = pcall(function()
    state:emit "train_begin"
    while not state.stopping and state.epochs_done < 2 do
      state:emit "epoch_begin"
      for i, batch in loader:enumerate() do
        wait(callbacks, state)
        if state.batches_done == stop then error "stopped" end
        state:emit "batch_begin"
        seen[#seen + 1] = {state.epoch, i, state.batch}
        local z = g(batch[1] + torch.randn(1))
        steps:backward(c(z):mean())
        oc:zero_grad()
        c(z:detach()):pow(2):mean():backward()
        oc:step()
        state:emit "batch_end"
      end
      state:emit "epoch_end"
    end
    state:emit "train_end"
  end)
  if not ok then state:emit "exception" end
  return {a = g.weight, b = c.weight}, seen
end

test.case("a loop by hand goes on by the same callback, with all that it says is its state", function()
  local whole, all = by_hand()
  local backup = folder()
  by_hand(backup, 3)
  local got, seen = by_hand(backup)
  same(whole, got)
  test.equal({#seen, seen[1]}, {#all - 3, {0, 3, 3}})
  test.truthy(not host.file.exists(backup))
end)

test.case("an epoch that goes on is not begun again, and checkpoint_load is heard", function()
  local backup, heard = folder(), {}
  local function options()
    return {callbacks = {train.BackupAndRestore {backup_dir = backup, save_freq = 1},
      {name = "ears", state_fields = {}, on_epoch_begin = function(_, s) heard[#heard + 1] = "begin " .. s.epoch end,
        on_checkpoint_load = function(_, s) heard[#heard + 1] = "load " .. s.epoch .. " " .. s.epoch_batches end}}}
  end
  run(options(), 6)
  run(options())
  test.equal(heard, {"begin 0", "begin 1", "load 1 2", "begin 2"})
end)

test.case("math.random goes on where the checkpoint was taken", function()
  local out, drawn = folder(), nil
  run {callbacks = {train.ModelCheckpoint {filepath = out .. "/{epoch}", monitor = "loss"},
    train.on("epoch_begin", function(state) if state.epoch == 2 then drawn = {math.random(), math.random(1000)} end end)}}
  math.randomseed(99)
  run {resume = out .. "/2", callbacks = {train.on("epoch_begin", function() test.equal({math.random(), math.random(1000)}, drawn) end)}}
end)

-- Runs until the Ctrl-C of the batch `at` is over, which nothing but the end of the program would follow.
local function interrupt(make, at)
  local a = make()
  table.insert(a.callbacks, 1, {name = "interrupt", state_fields = {}, on_batch_end = function(_, state)
    if state.batches_done == at then state.interrupted = true end
  end, on_train_end = function() error("interrupted by the test", 0) end})
  test.raises("interrupted by the test", function() run(a) end)
end

test.case("Ctrl-C within an epoch: ModelCheckpoint saves at that very step, and resume goes on from there", function()
  for _, more in ipairs {{}, {keep_last = 1}, {filepath = "last"}, {filepath = "{epoch}-{loss:.4f}"}, {save_freq = {"2ep", 5}}} do
    for _, at in ipairs {1, 6, 8, 11} do
      local out = folder()
      local function make(path, resume)
        local given = {monitor = "loss"}
        for key, value in pairs(more) do given[key] = value end
        given.filepath = path .. "/" .. (more.filepath or "{epoch:02d}")
        return {resume = resume, callbacks = {train.ModelCheckpoint(given)}}
      end
      local plain = folder()
      local whole, history = run(make(plain, false))
      interrupt(function() return make(out, "auto") end, at)
      local steps = 0
      local options = make(out, "auto")
      table.insert(options.callbacks, train.on("batch_end", function() steps = steps + 1 end))
      local got, again, from = run(options)
      test.truthy(from)
      test.equal(steps, 12 - at)
      same(whole, got)
      test.equal({again.loss, again.epoch}, {history.loss, history.epoch})
      test.equal(names(out), names(plain))
    end
  end
end)

test.case("Ctrl-C within an epoch: neither weights nor a best one of half an epoch", function()
  for _, more in ipairs {{save_weights_only = true}, {save_best_only = true}} do
    local out = folder()
    more.filepath, more.monitor = out .. "/{epoch}", "loss"
    interrupt(function() return {callbacks = {train.ModelCheckpoint(more)}} end, 6)
    test.truthy(not names(out):find("2"), names(out))
  end
end)

test.case("strings of any bytes come back from state.user and callbacks as they were", function()
  local all, out = {}, folder()
  for byte = 0, 255 do all[byte + 1] = string.char(byte) end
  local bytes, seen = table.concat(all), nil
  local function make(resume)
    local user = resume and {} or {text = "h\u{e9}\0", bytes = bytes, list = {"\xff", "", "ab\xc3"}, ["$bytes"] = "6a",
      ["\xff"] = {["\xfe"] = torch.ones(1), ["\xfd"] = torch.zeros(2)}, surrogate = "\xed\xa0\x80", long = "\xc0\x80"}
    local own = {name = "own", on_train_begin = function(self) self.kept = resume and "" or bytes .. bytes end}
    seen = {user = user, own = own}
    return {user = user, resume = resume, epochs = resume and 2 or 1,
      callbacks = {own, train.ModelCheckpoint {filepath = out .. "/{epoch}", monitor = "loss"}}}
  end
  run(make())
  local before = seen
  run(make(out .. "/1"))
  test.equal(seen.own.kept, bytes .. bytes)
  test.truthy(torch.equal(seen.user["\xff"]["\xfe"], torch.ones(1)) and torch.equal(seen.user["\xff"]["\xfd"], torch.zeros(2)))
  before.user["\xff"], seen.user["\xff"] = nil, nil
  test.equal(seen.user, before.user)
end)

test.case("what killed writers left is swept when a training begins; what others write is not", function()
  local pid = host.pid()
  local function litter(path)
    for _, name in ipairs {".00003.tmp-999999999-0", ".keep.tmp-" .. pid .. "-7", ".mine"} do
      host.file.mkdir(path .. "/" .. name)
      host.file.write_atomic(path .. "/" .. name .. "/model.safetensors", "x")
    end
    host.file.write_atomic(path .. "/.write-test-999999999", "")
    host.file.write_atomic(path .. "/.w.safetensors.tmp-999999999-2", "")
    os.execute(("ln -s .mine '%s/.latest.tmp-999999999-1'"):format(path))
  end
  local out, backup = folder(), folder()
  litter(out)
  litter(backup)
  local function options()
    return {epochs = 1, callbacks = {train.ModelCheckpoint {filepath = out .. "/{epoch}", monitor = "loss"},
      train.BackupAndRestore {backup_dir = backup, delete_checkpoint = false}}}
  end
  local dry = options()
  dry.dry_run = true
  run(dry)
  test.truthy(host.file.exists(out .. "/.00003.tmp-999999999-0"))
  run(options())
  test.equal(names(out), (".keep.tmp-%d-7 .mine 1 latest"):format(pid))
  test.equal(names(backup), (".keep.tmp-%d-7 .mine ckpt-000004 latest"):format(pid))
  test.truthy(host.file.exists(out .. "/.mine/model.safetensors"), "a link is removed, not what it leads to")
end)

test.case("a generator with steps_per_epoch goes on at the very batch: its pass is made again with the numbers of then", function()
  local function make(backup_dir)
    math.randomseed(5)
    local backup = backup_dir and {train.BackupAndRestore {backup_dir = backup_dir, save_freq = 1}} or {}
    return {steps_per_epoch = 3, epochs = 4, callbacks = backup, train = function()
      local order, scale, i = torch.randperm(16), math.random(), 0  -- 5 batches a pass
      return function()
        if i == 5 then return nil end
        i = i + 1
        local rows = torch.randn(16, 4)[order][{torch.slice(3 * i - 3, 3 * i)}] * scale + math.random()
        return {rows, rows:sum(1, true)}
      end
    end}
  end
  local whole, history = run(make())
  for _, stop in ipairs {1, 2, 3, 5, 6, 7, 11} do
    local dir = folder()
    run(make(dir), stop)
    local got, again, from = run(make(dir))
    test.equal(from, ("%s/ckpt-%06d"):format(dir, stop))
    same(whole, got)
    test.equal(again.loss, history.loss)
  end
end)

-- What a training that goes on after 6 batches warns of.
local function warned(make)
  local dir = folder()
  local function options()
    local o = make()
    o.callbacks = {train.BackupAndRestore {backup_dir = dir, save_freq = 1}}
    return o
  end
  run(options(), 6)
  local got, history
  local warnings = test.warnings(function() got, history = run(options()) end)
  local whole, expected = run(make())
  return warnings, pcall(same, whole, got) and table.concat(history.loss, " ") == table.concat(expected.loss, " ")
end

test.case("data whose own variables go on are told of when a training goes on, those that begin anew are exact", function()
  local function stream()
    local made = 0
    return {train = function()
      local i = 0
      return function()
        i = i + 1
        if i > 4 then return nil end
        made = made + 1
        local rows = torch.full({4, 4}, made * 0.1)
        return {rows, rows:sum(1, true)}
      end
    end}
  end
  local warnings, exact = warned(stream)
  test.falsy(exact)
  test.equal(#warnings, 1)
  test.truthy(warnings[1]:find("resume: 'made' of the data had changed", 1, true), warnings[1])
  warnings, exact = warned(function()
    return {train = function(epoch)
      local i = 0
      return function()
        i = i + 1
        local rows = torch.randn(4, 4) + epoch
        if i <= 4 then return {rows, rows:sum(1, true)} end
      end
    end}
  end)
  test.equal({warnings, exact}, {{}, true})
end)

test.case("a generator of the data's own goes on in saved, and is told of where it is not there", function()
  local function make(is_saved)
    return function()
      local noise = torch.Generator():manual_seed(4)
      local set = torch.utils.data.Dataset {len = function() return 16 end, get = function()
        local row = torch.randn({4}, {generator = noise})
        return {row, row:sum(0, true)}
      end}
      return {train = torch.utils.data.DataLoader(set, {batch_size = 4}), saved = is_saved and {noise = noise} or nil}
    end
  end
  local warnings, exact = warned(make(true))
  test.equal({warnings, exact}, {{}, true})
  warnings, exact = warned(make(false))
  test.falsy(exact)
  test.truthy(#warnings == 1 and warnings[1]:find("noise", 1, true), warnings[1])
end)

test.case("the table at the end is that of the whole training, and names no checkpoint that is gone", function()
  local dir, now = folder(), 0
  local function options(lines)
    return {callbacks = {train.BackupAndRestore {backup_dir = dir .. "/backup"},
      train.ModelCheckpoint {filepath = dir .. "/{epoch}", monitor = "loss", save_freq = "3ep"},
      train.on("train_begin", function(state) state.started, state.clock = now, function() return now end end),
      train.on("batch_begin", function() now = now + 5 end),
      train.Progress {bar = false, clock = function() return now end, write = function(text) lines[#lines + 1] = text end}}}
  end
  local whole, lines = {}, {}
  run(options(whole))
  run(options {}, 6)
  now = now + 1000
  run(options(lines))
  test.truthy(whole[#whole]:find("^trained 3 epochs, 12 steps in"), whole[#whole])
  local first, rest = lines[#lines]:match("^([^\n]*)(.*)$")
  test.truthy(first:find("trained 3 epochs, 12 steps in", 1, true), first)
  test.truthy(first:find("; 20s of it before it went on after epoch 1", 1, true), first)
  test.equal(rest, whole[#whole]:match("^[^\n]*(.*)$"))
  test.truthy(rest:find("saved: " .. dir .. "/3\n", 1, true), rest)
end)

test.case("another optimizer, other groups or another model than the checkpoint's is an error that names both", function()
  local out = folder()
  run {callbacks = {train.ModelCheckpoint {filepath = out .. "/{epoch}", monitor = "loss"}}}
  local net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
  local function refuse(pattern, more)
    more.resume = out
    test.raises(pattern, run, more)
  end
  refuse("does not fit this training: its optimizer is Adam, that of the script is SGD",
    {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1})})
  refuse("its optimizer is Adam with 1 parameter groups, that of the script is Adam with 2 parameter groups",
    {model = net, optimizer = torch.optim.Adam {{params = net[0]:parameters()}, {params = net[2]:parameters()}}})
  local other = nn.Sequential(nn.Linear(4, 1))
  refuse("does not fit this training: .*Unexpected key.*2.weight", {model = other, optimizer = torch.optim.Adam(other:parameters())})
end)

test.case("the checkpoint's hyperparameters are taken, with one line where the script has others", function()
  local dir, rate = folder(), nil
  local function options(lr, epochs)
    torch.manual_seed(3)
    local net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    local optimizer = torch.optim.Adam(net:parameters(), {lr = lr, betas = {lr, 0.999}})
    return {model = net, optimizer = optimizer, epochs = epochs, callbacks = {
      train.BackupAndRestore {backup_dir = dir, delete_checkpoint = false},
      train.on("epoch_end", function() rate = optimizer.param_groups[1].lr end)}}
  end
  run(options(0.5, 1))
  for epochs = 2, 3 do
    local warnings = test.warnings(function() run(options(0.25, epochs)) end)
    test.equal({#warnings, rate}, {1, 0.5})
    test.truthy(warnings[1]:find("the optimizer keeps the checkpoint's betas ({0.5, 0.999} then, {0.25, 0.999} in the script now), "
      .. "lr (0.5 then, 0.25 in the script now)", 1, true), warnings[1])
  end
  test.equal(test.warnings(function() run(options(0.5, 4)) end), {})
end)

test.case("two trainings of one process do not take each other's checkpoints", function()
  local dir = folder()
  local function options(resume)
    return {same_process = true, resume = resume, callbacks = {train.BackupAndRestore {backup_dir = dir, delete_checkpoint = false}}}
  end
  run()
  local first = run(options())
  local err = test.raises("is of another training: of those that write into '" .. dir:gsub("%p", "%%%0")
    .. "' it was number 1 of its script, this is number 2", run, options())
  test.truthy(err.hint:find("give each training a folder of its own", 1, true), err.hint)
  same(first, (run(options(dir))))
  run(options(false), 6)
  run(options())  -- what the second has left
  require("train.origin").forget()
  test.raises("it was number 3 of its script, this is number 1", run, options())
end)

test.case("a training within another one's hook needs a backup_dir of its own", function()
  local dir, err = folder(), nil
  local function options() return {callbacks = {train.BackupAndRestore {backup_dir = dir}}} end
  local outer = options()
  table.insert(outer.callbacks, train.on("epoch_begin", {once = 1}, function() err = test.raises("is in use", run, options()) end))
  run(outer)
  test.truthy(err.message:find("backup_dir '" .. dir .. "' is in use by another training of this process", 1, true), err.message)
  test.falsy(host.file.exists(dir))
end)

-- Trains with backups of which the submissions in `lost` have another one take their place; the names that are left.
local function with_lost(dir, lost, delete, more)
  local snapshot, count, left_out = require "train.snapshot", 0, {}
  local submit = snapshot.submit
  local _ <close> = setmetatable({}, {__close = function() snapshot.submit = submit end})
  function snapshot.submit(path, ...)
    count = count + 1
    if not lost[count] then return submit(path, ...) end
    left_out[#left_out + 1] = path:match("[^/]*$")
    local writing = {ended = false, written = false}
    function writing:done() self.ended = true return true end
    writing.wait = writing.done
    return writing
  end
  run {callbacks = {train.BackupAndRestore {backup_dir = dir, delete_checkpoint = delete}, more}}
  return left_out, not delete and host.file.list(dir) or nil
end

test.case("a backup whose place another checkpoint took is made again at the next batch, or at the end", function()
  local dir, at = folder(), {}
  local told = train.on("checkpoint_save", function(state) at[#at + 1] = state.checkpoint.path:match("[^/]*$") end)
  test.equal({with_lost(dir, {[1] = true}, true, told)}, {{"ckpt-000004"}})
  test.equal(at, {"ckpt-000005", "ckpt-000008", "ckpt-000012"})
  dir = folder()
  test.equal({with_lost(dir, {[3] = true}, false, told)}, {{"ckpt-000012"}, {"ckpt-000008", "ckpt-000012", "latest"}})
end)

test.case("a backup_dir is let go of once its last backup is written", function()
  local dir, snapshot, held = folder(), require "train.snapshot", nil
  local submit = snapshot.submit
  local _ <close> = setmetatable({}, {__close = function() snapshot.submit = submit end})
  function snapshot.submit(...)
    local writing = submit(...)
    return setmetatable({done = function() return false end, wait = function()
      held = host.file.exists(dir .. "/.lock")
      return writing:wait()
    end}, {__index = writing})
  end
  test.raises("stops here", run, {callbacks = {train.BackupAndRestore(dir),
    train.on("epoch_begin", function(state) if state.epoch == 1 then error "stops here" end end)}})
  test.truthy(held)
  test.falsy(host.file.exists(dir .. "/.lock"))
end)
