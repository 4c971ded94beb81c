-- Which of several checkpoints a training goes on from: the one that was made last, whatever the times of the files say.
local host, test, torch, train = require "host", require "test", require "torch", require "train"

-- As a copy leaves them: the files of the first checkpoint are the newest.
local function copy_backwards(folder)
  for i, path in ipairs(host.checkpoint.list(folder)) do
    os.execute(("touch -d @%d '%s/manifest.json'"):format(2000000000 + i, path))
  end
end

-- A training of `epochs` epochs of 2 batches; `fails_at`: an error in the hook of the end of that epoch. Returns where it has
-- gone on from, and with which epochs.
local function run(epochs, callback, fails_at, resume)
  require("train.origin").forget()
  torch.manual_seed(1)
  local x, net = torch.randn(8, 4), torch.nn.Linear(4, 1)
  local from, done = nil, {}
  local ok, err = pcall(train.fit, {model = net, optimizer = "sgd", loss = "mse", train = {x, x:sum(1, true)}, batch_size = 4,
    epochs = epochs, quiet = true, attach = false, resume = resume, callbacks = {callback, {
      on_checkpoint_load = function(_, state) from = state.resumed:match "[^/]+$" end,
      on_batch_end = function(_, state) callback:settle(state) end,
      on_epoch_end = function(_, state)
        done[#done + 1] = state.epoch
        if state.epoch == fails_at then error("stopped by the test", 0) end
      end}}})
  if not ok and err ~= "stopped by the test" and not tostring(err):find "stopped by the test" then error(err, 0) end
  return from, done
end

test.case("resume = \"auto\" goes on from the furthest checkpoint of a folder that was copied", function()
  local folder = test.tmpdir()
  local function callback() return train.ModelCheckpoint(folder .. "/{epoch}") end
  run(3, callback())
  copy_backwards(folder)
  local from, done = run(4, callback(), nil, "auto")
  test.equal({from, done}, {"3", {3}})
end)

test.case("BackupAndRestore goes on from the last backup of a folder that was copied, and keeps the newest two", function()
  local folder = test.tmpdir()
  local function callback() return train.BackupAndRestore {backup_dir = folder, delete_checkpoint = false} end
  run(4, callback(), 3)
  copy_backwards(folder)
  local from, done = run(5, callback(), 4)
  test.equal({from, done}, {"ckpt-000006", {3, 4}})
  test.equal(host.file.list(folder), {"ckpt-000006", "ckpt-000008", "latest"})
end)

test.case("after a training went back to an older checkpoint its own are the newest, also in a copy", function()
  local folder = test.tmpdir()
  local function callback(name) return train.ModelCheckpoint(folder .. "/" .. name .. "{epoch}") end
  run(4, callback "a")
  run(4, callback "b", 2, folder .. "/a1")  -- fails in its third epoch: b2 is its last
  copy_backwards(folder)
  local from = run(4, callback "c", nil, "auto")
  test.equal(from, "b2")
end)

test.case("a checkpoint that says when it was made in its state alone takes its place by that", function()
  local folder = test.tmpdir()
  for i, time in ipairs {300, 100, 200} do
    local path = ("%s/%d"):format(folder, i)
    host.checkpoint.save(path, {state = {time = time}})
    local text = host.file.read(path .. "/state.json")
    host.file.write_atomic(path .. "/state.json", (text:gsub('"made":[^,]*,', "")))
  end
  test.equal(host.checkpoint.list(folder), {folder .. "/1", folder .. "/3", folder .. "/2"})
end)

test.case("the checkpoints of several folders come in one order, and each once", function()
  local a, b = test.tmpdir(), test.tmpdir()
  host.checkpoint.save(a .. "/1", {state = {time = 1}})
  host.checkpoint.save(b .. "/2", {state = {time = 2}})
  host.checkpoint.save(a .. "/3", {state = {time = 3}})
  test.equal(host.checkpoint.list(a, b, a, a .. "/1"), {a .. "/3", b .. "/2", a .. "/1"})
  test.equal(host.checkpoint.list(a .. "/1/"), {a .. "/1"})
  test.equal(host.checkpoint.list(), {})
end)
