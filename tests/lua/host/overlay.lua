-- A dry run of a whole script: one batch of each phase, nothing written, and what was written can be read back.
local host = require "host"
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn = torch.nn

-- Runs f as a dry run in a new folder; returns what the folder holds afterwards, and the lines that were said.
local function dry(f)
  local folder, lines, info = test.tmpdir(), {}, host.log.info
  host.log.info = function(text) lines[#lines + 1] = text:gsub(folder .. "/", "") end
  host.dry_run(true)
  local ok, err = pcall(f, folder)
  host.dry_run(false)
  host.log.info = info
  if not ok then error(err, 0) end
  return host.file.list(folder), lines
end

test.case("files of Lua, of the host and of torch are kept apart and read back", function()
  local names, lines = dry(function(folder)
    local path = folder .. "/a.txt"
    local f = assert(io.open(path, "w"))
    f:write("one\n")
    f:close()
    f = assert(io.open(path, "a"))
    f:write("two\n")
    f:close()
    local read = {}
    for line in io.lines(path) do read[#read + 1] = line end
    test.equal(read, {"one", "two"})
    test.equal(host.file.read(path), "one\ntwo\n")
    host.file.mkdir(folder .. "/d/e")
    host.file.write_atomic(folder .. "/d/e/f", "x")
    test.equal(host.file.list(folder .. "/d/e"), {"f"})
    test.equal(os.rename(folder .. "/d/e/f", folder .. "/d/e/g"), true)
    test.equal(host.file.list(folder .. "/d/e"), {"g"})
    for _, name in ipairs {"w.pt", "w.safetensors", "w.npz"} do
      torch.save({w = torch.ones(2)}, folder .. "/" .. name)
      test.equal(torch.load(folder .. "/" .. name).w:sum():item(), 2.0)
    end
    torch.save(torch.ones(3), folder .. "/w.npy")
    host.checkpoint.save(folder .. "/ck", {tensors = {model = {w = torch.ones(2)}}})
    host.checkpoint.link(folder .. "/ck", "latest")
    test.equal(#host.checkpoint.load(folder .. "/latest").tensors.model.w, 2)
    local writer = torch.utils.tensorboard.SummaryWriter(folder .. "/tb")
    writer:add_scalar("a", 1, 0)
    writer:close()
    train.plot({loss = {1, 2}}, folder .. "/loss.svg")
    nn.plot(nn.Linear(2, 2), folder .. "/net.svg")
    local file, why = io.open(folder .. "/absent/a.txt", "w")
    test.falsy(file)
    test.truthy(why:find("No such file", 1, true))
    test.falsy(io.open(folder .. "/absent.txt", "r+"))
  end)
  test.equal(names, {})
  for _, path in ipairs {"a.txt", "d/e", "d/e/f", "w.pt", "w.npy", "ck", "tb", "loss.svg", "net.svg"} do
    local count = 0
    for _, line in ipairs(lines) do
      if line == "dry run: " .. path .. " is not written" then count = count + 1 end
    end
    test.equal(count, 1, path)
  end
end)

test.case("files that are there are neither changed nor removed", function()
  local folder = test.tmpdir()
  local path = folder .. "/kept.txt"
  host.file.write_atomic(path, "old")
  dry(function()
    host.file.append(path, " and new")
    test.equal(host.file.read(path), "old and new")
    test.equal(os.remove(path), true)
    test.equal(host.file.remove(path), true)
    test.equal(os.rename(path, folder .. "/other"), true)
    test.equal(host.file.read(folder .. "/other"), "old")
  end)
  test.equal(host.file.read(path), "old")
  test.equal(host.file.list(folder), {"kept.txt"})
  host.file.write_atomic(path, "new")
  test.equal(host.file.read(path), "new", "afterwards files are written again")
end)

test.case("embeddings leave the files of another training as they are", function()
  local folder = test.tmpdir()
  local config = folder .. "/projector_config.pbtxt"
  host.file.write_atomic(config, "old")
  dry(function()
    local writer = torch.utils.tensorboard.SummaryWriter(folder)
    writer:add_embedding(torch.ones(2, 2), {"a", "b"})
    writer:close()
    test.truthy(host.file.read(config):find("tensor_name", 1, true))
    test.equal(host.file.read(folder .. "/00000/default/metadata.tsv"), "a\nb\n")
  end)
  test.equal(host.file.read(config), "old")
  test.equal(host.file.list(folder), {"projector_config.pbtxt"})
end)

test.case("checkpoints of a thread are kept apart, checked and linked", function()
  local tensors = {model = {w = torch.ones(2)}}
  local real = test.tmpdir()
  host.checkpoint.save(real .. "/ck", {tensors = tensors})
  local names, lines = dry(function(folder)
    host.checkpoint.submit(folder .. "/a", {tensors = tensors}, "latest"):wait()
    for _, name in ipairs {"a", "latest"} do
      test.equal(#host.checkpoint.check(folder .. "/" .. name), 2)
      test.equal(host.checkpoint.load(folder .. "/" .. name).tensors.model.w:sum():item(), 2.0)
    end
    host.checkpoint.submit(folder .. "/b", {tensors = tensors})  -- under way at the end
    host.file.write_atomic(real .. "/ck/note", "a file more")
    host.checkpoint.link(real .. "/ck", "best")
    for _, name in ipairs {"ck", "best"} do test.equal(#host.checkpoint.check(real .. "/" .. name), 2) end
  end)
  test.equal(names, {})
  test.equal(host.file.list(real), {"ck"})
  test.falsy(host.file.exists(real .. "/ck/note"))
  table.sort(lines)
  test.truthy(table.concat(lines, "\n"):find("dry run: a is not written\ndry run: b is not written\n"
    .. "dry run: latest is not written", 1, true))
end)

test.case("io.output, io.input and dofile know what was written; a file's stamp is that of its new bytes", function()
  local stdin, stdout = io.input(), io.output()
  local kept = test.tmpdir() .. "/kept.txt"
  host.file.write_atomic(kept, "old")
  local names = dry(function(folder)
    local path = folder .. "/out.lua"
    test.equal(host.file.stamp(path), nil)
    local before = host.file.stamp(kept)
    for _, name in ipairs {path, kept} do
      io.output(name)
      io.write("return 7\n")
      local is_open = host.file.is_being_written(name)
      io.close()
      io.output(stdout)  -- before anything fails: the report goes there
      test.truthy(is_open)
    end
    test.truthy(host.file.stamp(path))
    test.truthy(host.file.stamp(kept) ~= before)
    io.input(path)
    test.equal(io.read("a"), "return 7\n")
    io.close(io.input())
    io.input(stdin)
    test.equal(io.lines(kept)(), "return 7")
    test.equal(dofile(path), 7)
    test.equal(loadfile(path, "t", {})(), 7)
  end)
  test.equal(names, {})
  test.equal(host.file.read(kept), "old")
end)

test.case("every native function that takes a path is placed or left for a reason", function()
  local overlay, takers = require "host.overlay", nil
  dry(function() takers = overlay.takers() end)
  local count = 0
  for name, placed in pairs(takers) do
    count = count + 1
    local reason = overlay.left[name]
    if not placed and not reason then error(name .. ": place it in host/overlay.lua, or say in `left` why not") end
    if placed and reason then error(name .. " is placed, and in `left`") end
  end
  test.truthy(count > 30, tostring(count))
  for name in pairs(overlay.left) do test.equal(takers[name], false, name) end
  for name, placed in pairs(overlay.takers()) do test.falsy(placed, name) end
end)

test.case("a loop by hand, a DataLoader and predict end after one batch", function()
  local x = torch.randn(20, 2)
  local seen, epochs = {}, 0
  local names = dry(function(folder)
    local loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), {batch_size = 5})
    local model = nn.Linear(2, 1)
    local state = train.state {model = model, epochs = 9, callbacks = {train.ModelCheckpoint {filepath = folder .. "/{epoch}"},
      train.CSVLogger(folder .. "/log.csv")}}
    state:emit("train_begin")
    while not state.stopping and state.epochs_done < state.epochs do
      state:emit("epoch_begin")
      for i = 1, 3 do
        state:emit("batch_begin")
        state.logs.loss, seen[#seen + 1] = 1, i
        state:emit("batch_end")
        if state.stopping then break end
      end
      state:emit("epoch_end")
      epochs = epochs + 1
    end
    state:emit("train_end")
    test.equal(state.stop_reason, "dry run: one batch of each phase")
    local batches = 0
    for _ in loader:iter() do batches = batches + 1 end
    for _ in loader:enumerate() do batches = batches + 1 end
    test.equal(batches, 2)
    test.equal(train.predict{model = model, data = {x, x, x}}.shape, {20, 1})
  end)
  test.equal(seen, {1})
  test.equal(epochs, 1)
  test.equal(names, {})
end)
