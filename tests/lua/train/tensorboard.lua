-- train.TensorBoard: files, tags, when what is written. What the real TensorBoard reads: tests/parity/test_tensorboard.py.
local host = require "host"
local test = require "test"
local torch = require "torch"
local train = require "train"

local nn <const> = torch.nn

-- The bytes of all event files in a folder.
local function bytes_in(folder)
  local texts = {}
  for i, name in ipairs(host.file.list(folder)) do texts[i] = host.file.read(folder .. "/" .. name) end
  return table.concat(texts)
end

local function count(text, what)
  local _, n = text:gsub(what:gsub("%p", "%%%0"), "")
  return n
end

local function fit(options, epochs, dry_run)
  torch.manual_seed(1)
  local x = torch.randn(10, 3)
  local set = torch.utils.data.TensorDataset(x, x:sum(1, {keepdim = true}))
  local model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
  local function loader() return torch.utils.data.DataLoader(set, {batch_size = 4}) end
  local board = options and train.TensorBoard(options)
  local history = train.fit {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1}),
    loss = nn.functional.mse_loss, train = loader(), valid = loader(), epochs = epochs or 2, quiet = true, dry_run = dry_run,
    callbacks = {board or nil}}
  return board, history
end

test.case("what was written before a checkpoint is in the files once that is there", function()
  local folder = test.tmpdir()
  local memory = ("/dev/shm/trainhost-test-%d"):format(host.pid())  -- a checkpoint is there sooner than on a disk
  local made = pcall(host.file.mkdir, memory)
  local checkpoints = made and memory or folder
  local _ <close> = setmetatable({}, {__close = function() if made then host.file.remove(memory) end end})
  local board = train.TensorBoard(folder .. "/logs")
  for n = 1, 3 do
    for step = 1, 1000 do board:writer():add_scalar("before", step, step) end
    host.checkpoint.submit(checkpoints .. "/" .. n, {state = {}}):wait()
    test.equal(count(bytes_in(folder .. "/logs/train"), "before"), 1000 * n)
  end
end)

test.case("writes the epochs of both phases by default, and no batches", function()
  local folder = test.tmpdir() .. "/logs"
  fit(folder)
  local training, validation = bytes_in(folder .. "/train"), bytes_in(folder .. "/validation")
  test.equal(count(training, "epoch_loss"), 2)
  test.equal(count(training, "epoch_learning_rate"), 2)
  test.equal(count(training, "batch_loss"), 0)
  test.equal(count(training, "/histogram"), 0)
  test.equal(count(training, "val_"), 0)
  test.truthy(training:find("Sequential/Linear[0]/weight", 1, true), "the graph")
  test.equal(count(validation, "epoch_loss"), 2)
  test.equal(count(validation, "evaluation_loss_vs_iterations"), 2)
  test.equal(count(validation, "val_"), 0)
end)

test.case("update_freq counts batches across epochs", function()
  for freq, expected in pairs {batch = 6, [2] = 3, [4] = 1, [3.0] = 2} do
    local folder = test.tmpdir() .. "/logs"
    fit {log_dir = folder, update_freq = freq, write_graph = false}
    local training = bytes_in(folder .. "/train")
    test.equal(count(training, "batch_loss"), expected, tostring(freq))
    test.falsy(training:find("Linear", 1, true), "no graph")
    host.file.remove(folder)
  end
end)

test.case("histogram_freq writes weights and gradients in epochs 0, k, 2k", function()
  local folder = test.tmpdir() .. "/logs"
  fit({log_dir = folder, histogram_freq = 2, write_graph = false}, 3)
  local training = bytes_in(folder .. "/train")
  for _, name in ipairs {"0.weight", "0.bias", "2.weight", "2.bias"} do
    test.equal(count(training, name .. "/histogram"), 2, name)
    test.equal(count(training, name .. "/gradient"), 2, name)
  end
end)

test.case("a training with it is bit-equal to one without", function()
  local _, with = fit {log_dir = test.tmpdir() .. "/logs", histogram_freq = 1, update_freq = "batch", write_images = true}
  local _, without = fit(nil)
  test.equal(with.history.loss, without.history.loss)
  test.equal(with.history.val_loss, without.history.val_loss)
end)

test.case("a weight that is NaN everywhere writes no histogram and ends nothing", function()
  local folder = test.tmpdir() .. "/logs"
  local model = nn.Linear(2, 1)
  torch.nn.init.constant_(model.weight, 0 / 0)
  local list = train.callback_list {train.TensorBoard {log_dir = folder, histogram_freq = 1, errors = nil}}
  list:emit("epoch_end", {epoch = 0, model = model, logs = {loss = 0 / 0}})
  list:emit("train_end", {})
  local training = bytes_in(folder .. "/train")
  test.equal(count(training, "weight/histogram"), 0)
  test.equal(count(training, "bias/histogram"), 1)
  test.equal(count(training, "epoch_loss"), 1)
end)

test.case("complex weights are seen by their absolute values", function()
  local folder = test.tmpdir() .. "/logs"
  local Net = nn.class("Net")
  function Net:__init()
    nn.Module.__init(self)
    self.w = nn.Parameter(torch.randn(3, 1, {dtype = torch.complex64}))
  end
  function Net:forward(x) return torch.matmul(x:to(torch.complex64), self.w):abs() end
  local model, x = Net(), torch.randn(10, 3)
  local said = test.warnings(function()
    train.fit {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1}), loss = nn.functional.mse_loss,
      train = {x, x:sum(1, {keepdim = true})}, batch_size = 5, epochs = 2, quiet = true,
      callbacks = {train.TensorBoard {log_dir = folder, histogram_freq = 1, write_images = true}}}
  end)
  test.equal(said, {})
  local training = bytes_in(folder .. "/train")
  for _, tag in ipairs {"w/histogram", "w/gradient", "w/image", "epoch_loss"} do test.equal(count(training, tag), 2, tag) end
end)

test.case("a loop by hand emits the events, and writes more with the writer", function()
  local folder = test.tmpdir() .. "/logs"
  local board = train.TensorBoard {log_dir = folder, update_freq = 1}
  local list = train.callback_list {board}
  list:emit("train_begin", {})
  for epoch = 0, 1 do
    for batch = 0, 2 do list:emit("batch_end", {epoch = epoch, batch = batch, logs = {d_loss = 1.0}}) end
    list:emit("epoch_end", {epoch = epoch, logs = {d_loss = torch.tensor(0.5), val_fid = 3.0}})
    board:writer("validation"):add_text("samples", "epoch " .. epoch, epoch)
  end
  list:emit("train_end", {})
  local training, validation = bytes_in(folder .. "/train"), bytes_in(folder .. "/validation")
  test.equal(count(training, "batch_d_loss"), 6)
  test.equal(count(training, "epoch_d_loss"), 2)
  test.equal(count(validation, "epoch_fid"), 2)
  test.equal(count(validation, "samples/text_summary"), 2)
  test.raises('phase must be "train" or "validation", got string "test"', board.writer, board, "test")
end)

test.case("train.evaluate writes into the folder of validation", function()
  local folder = test.tmpdir() .. "/logs"
  local x = torch.randn(4, 2)
  local data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x), {batch_size = 2})
  train.evaluate {model = nn.Linear(2, 2), loss = nn.functional.mse_loss, data = data,
    callbacks = {train.TensorBoard(folder)}}
  test.equal(count(bytes_in(folder .. "/validation"), "evaluation_loss_vs_iterations"), 1)
end)

test.case("a dry run writes nothing", function()
  local folder = test.tmpdir() .. "/logs"
  fit({log_dir = folder, histogram_freq = 1, update_freq = 1}, 1, true)
  test.falsy(host.file.exists(folder))
end)

test.case("a log_dir that cannot be is found before the first step", function()
  local file = test.tmpdir() .. "/file"
  host.file.write_atomic(file, "x")
  local err = test.raises("cannot write into the folder '.-/logs/train' of log_dir '.-/logs'", fit, {log_dir = file .. "/logs"})
  test.equal(err.kind, "io")
end)

test.case("a resume leaves files alone that a writer of the script has open", function()
  local folder = test.tmpdir()
  local x = torch.randn(8, 2)
  local function run(epochs, more)
    local net = nn.Linear(2, 2)
    return train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), loss = nn.functional.mse_loss,
      train = {x, x}, batch_size = 4, epochs = epochs, quiet = true, resume = more and folder .. "/saved/latest" or nil,
      callbacks = {train.ModelCheckpoint(folder .. "/saved/{epoch}"), train.TensorBoard(folder .. "/logs")}}
  end
  run(1)
  host.sleep(0.01)
  local closed <close> = torch.utils.tensorboard.SummaryWriter(folder .. "/logs/train")
  closed:add_scalar("closed", 1.0, 1)
  closed:close()
  local own <close> = torch.utils.tensorboard.SummaryWriter(folder .. "/logs/train")
  own:add_scalar("own", 1.0, 1)
  own:flush()
  run(2, true)
  own:add_scalar("own", 2.0, 2)
  own:close()
  local training = bytes_in(folder .. "/logs/train")
  test.equal(count(training, "own"), 2)
  test.equal(count(training, "closed"), 0, "what nobody has open came after the checkpoint")
  test.equal(count(training, "epoch_loss"), 2)
end)
