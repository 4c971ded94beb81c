-- torch.utils.tensorboard.SummaryWriter: arguments, files, errors. What the real TensorBoard reads of it:
-- tests/parity/test_tensorboard.py.
local host = require "host"
local test = require "test"
local torch = require "torch"

local SummaryWriter <const> = torch.utils.tensorboard.SummaryWriter

local function bytes_of(folder)
  local files = host.file.list(folder)
  local at = 1
  while not files[at]:find("tfevents", 1, true) do at = at + 1 end
  return host.file.read(folder .. "/" .. files[at]), files
end

test.case("require 'tensorboard' is torch.utils.tensorboard", function()
  test.equal(require "tensorboard", torch.utils.tensorboard)
  test.raises("torch.utils.tensorboard has no 'FileWriter'", function() return torch.utils.tensorboard.FileWriter end)
end)

test.case("the file is named and begins as TensorBoard's", function()
  local folder = test.tmpdir() .. "/a/b"
  local writer = SummaryWriter(folder, {filename_suffix = ".x"})
  writer:close()
  local bytes, files = bytes_of(folder)
  test.equal(#files, 1)
  test.truthy(files[1]:find("^events%.out%.tfevents%.%d%d%d%d%d%d%d%d%d%d%..+%.%d+%.%d+%.x$"), files[1])
  test.truthy(bytes:find("brain.Event:2", 1, true))
  test.equal(string.unpack("<I8", bytes) + 16, #bytes, "one record")
  test.equal(writer:get_logdir(), folder)
end)

test.case("wrong arguments are usage errors with their names", function()
  local writer <close> = SummaryWriter(test.tmpdir())
  test.raises("argument 'comment' must be a string, got number 5", SummaryWriter, nil, 5)
  test.raises("argument 'log_dir' must be a string, got number 3", SummaryWriter, 3)
  test.raises("argument 'max_queue' must be a number of 0 or more, got string", SummaryWriter, {max_queue = "x"})
  test.raises("argument 'purge_step' must be an integer, got number 1.5", SummaryWriter, {purge_step = 1.5})
  test.raises("unknown keyword string \"logdir\"", SummaryWriter, {logdir = "x"})
  test.raises("argument 'tag' must be a string, got number 1", writer.add_scalar, writer, 1, 2)
  test.raises("argument 'scalar_value' must be a number or a Tensor of one element, got string", writer.add_scalar, writer,
    "a", "b")
  test.raises("Tensor should contain one element %(0 dimensions%). Was given size: 3 and 1 dimensions.", writer.add_scalar,
    writer, "a", torch.ones(3))
  test.raises("argument 'global_step' must be a number, got string", writer.add_scalar, writer, "a", 1, "first")
  test.raises("argument 'walltime' must be a number", writer.add_scalar, writer, "a", 1, 1, "now")
  test.raises("unknown keyword string \"step\"", writer.add_scalar, writer, "a", 1, {step = 1})
  test.raises("The input has no element.", writer.add_histogram, writer, "h", torch.empty(0))
  test.raises("'foo' is not a valid estimator for `bins`", writer.add_histogram, writer, "h", torch.ones(3), 0, "foo")
  test.raises("`bins` must be positive, when an integer", writer.add_histogram, writer, "h", torch.ones(3), 0, 0)
  test.raises("`bins` must increase monotonically", writer.add_histogram, writer, "h", torch.ones(3), 0, {1, 0})
  test.raises("no value of 'h' lies in a bucket", writer.add_histogram, writer, "h", torch.full({3}, 0 / 0))
  test.raises("autodetected range of %[nan, nan%] is not finite", writer.add_histogram, writer, "h", {0 / 0, 1}, 0, "auto")
  test.raises("len%(bucket_limits%) != len%(bucket_counts%)", writer.add_histogram_raw, writer, "h", 0, 1, 2, 1, 1, {1}, {1, 2})
  test.raises("size of input tensor and input format are different", writer.add_image, writer, "i", torch.zeros(3, 4))
  test.raises("You can not use the same dimension shorthand twice", writer.add_image, writer, "i", torch.zeros(3, 4),
    {dataformats = "HH"})
  test.raises("hparam_dict and metric_dict should be dictionary.", writer.add_hparams, writer, {lr = 1})
  test.raises("value should be one of int, float, str, bool, or torch.Tensor, got table", writer.add_hparams, writer,
    {lr = {}}, {a = 1})
  test.raises("hparam_domain_discrete%[lr%] should be a list of same type", writer.add_hparams, writer, {lr = 1}, {a = 1},
    {lr = {"x"}})
  test.raises("Expected 3 tags, got 2.", writer.add_custom_scalars_marginchart, writer, {"a", "b"})
  test.raises("mat should be 2D", writer.add_embedding, writer, torch.ones(3))
  test.raises("#labels should equal with #data points", writer.add_embedding, writer, torch.ones(3, 2), {"a"})
  test.raises("there are no figures of matplotlib in Lua", writer.add_figure, writer, "f", {})
  test.raises("ONNX files are not read", writer.add_onnx_graph, writer, "f")
  test.raises("argument 'model' must be a Module, got number 5", writer.add_graph, writer, 5)
end)

test.case("a folder that cannot be is an io error", function()
  local file = test.tmpdir() .. "/file"
  host.file.write_atomic(file, "x")
  local err = test.raises("file", SummaryWriter, file .. "/logs")
  test.equal(err.kind, "io")
end)

test.case("a closed writer that is used again begins a new file, close twice is nothing", function()
  local folder = test.tmpdir()
  local writer = SummaryWriter(folder)
  writer:add_scalar("a", 1, 0)
  writer:close()
  writer:close()
  test.equal(#host.file.list(folder), 1)
  writer:add_scalar("b", 1, 1)
  writer:close()
  test.equal(#host.file.list(folder), 2)
end)

test.case("a scope closes it, also on an error", function()
  local folder = test.tmpdir()
  pcall(function()
    local writer <close> = SummaryWriter(folder)
    writer:add_scalar("before the error", 1, 0)
    error "x"
  end)
  test.truthy(bytes_of(folder):find("before the error", 1, true))
end)

test.case("what is added is in the file before long without flush", function()
  local folder = test.tmpdir()
  local writer <close> = SummaryWriter(folder)
  writer:add_scalar("soon", 1, 0)
  local from, found = host.clock(), false
  while not found and host.clock() - from < 60 do found = bytes_of(folder):find("soon", 1, true) ~= nil end
  test.truthy(found)
end)

test.case("the model and the random numbers are as before add_graph", function()
  local model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.5))
  local writer <close> = SummaryWriter(test.tmpdir())
  local mean, state = model:state_dict()["1.running_mean"]:clone(), torch.get_rng_state()
  writer:add_graph(model, torch.ones(4, 2))
  test.truthy(torch.equal(state, torch.get_rng_state()))
  test.truthy(torch.equal(mean, model:state_dict()["1.running_mean"]))
  test.truthy(model.training)
end)

test.case("an event of many values is as long as the values", function()
  local folder = test.tmpdir()
  local writer = SummaryWriter(folder)
  writer:add_tensor("t", torch.zeros(100000), 0)
  writer:close()
  local size = #bytes_of(folder)
  test.truthy(size > 400000 and size < 400300, tostring(size))
end)

test.case("what is added needs no default device", function()
  local folder = test.tmpdir()
  local sound, film, boxes = torch.zeros(1, 8), torch.rand(1, 2, 3, 4, 4), torch.tensor{{1, 1, 5, 5}}
  local images = torch.rand(2, 3, 8, 8)
  local writer = SummaryWriter(folder)
  torch.set_default_device("meta")
  local ok, err = pcall(function()
    writer:add_audio("sound", sound, 0)
    writer:add_video("film", film, 0)
    writer:add_images("images", images, 0)
    writer:add_image("list", {{0.5, 1}, {0, 0.25}}, 0, {dataformats = "HW"})
    writer:add_image_with_boxes("boxes", images[0], boxes, 0, {labels = {"cat"}})
    writer:add_histogram("histogram", {1, 2, 3}, 0, {bins = {0, 2, 4}})
    writer:add_pr_curve("curve", {0, 1}, {0.1, 0.8}, 0)
    writer:add_mesh("mesh", {{{1, 2, 3}}}, {global_step = 0})
    writer:add_scalar("new", 2, 0, {new_style = true})
    writer:add_embedding(images:flatten(1), {"a", "b"}, images)
  end)
  torch.set_default_device(nil)
  writer:close()
  if not ok then error(err, 0) end
  local bytes = bytes_of(folder)
  for _, name in ipairs{"sound", "film", "images", "list", "boxes", "histogram", "curve", "mesh", "new"} do
    test.truthy(bytes:find(name, 1, true), name)
  end
end)

test.case("flush waits for the files of hyperparameters and embeddings too", function()
  local folder = test.tmpdir()
  local writer = SummaryWriter(folder)
  for i = 1, 40 do writer:add_hparams({lr = i}, {["hparam/loss"] = 1 / i}, {run_name = "run" .. i}) end
  writer:add_embedding(torch.tensor{{1.5, 2}, {3, 1e-7}}, {true, 4})
  writer:flush()
  for i = 1, 40 do
    local text = bytes_of(folder .. "/run" .. i)
    test.truthy(text:find("session_end_info", 1, true) and text:find("hparam/loss", 1, true), "run" .. i)
  end
  test.equal(host.file.read(folder .. "/00000/default/tensors.tsv"), "1.5\t2.0\n3.0\t1.0000000116860974e-07\n")
  test.equal(host.file.read(folder .. "/00000/default/metadata.tsv"), "True\n4\n")
  test.truthy(host.file.read(folder .. "/projector_config.pbtxt"):find("default:00000", 1, true))
  writer:close()
end)
