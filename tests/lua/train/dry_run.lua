-- train.fit{dry_run = true}: one batch of each phase, and callbacks that write nothing.
local host = require "host"
local mlflow = require "mlflow"
local test = require "test"
local torch = require "torch"
local train = require "train"

test.case("no checkpoint, no file, nothing in the run, which is another's", function()
  local folder = test.tmpdir()
  mlflow.set_tracking_uri("sqlite:///" .. folder .. "/mlflow.db")
  local run <close> = mlflow.start_run()
  local model, x = torch.nn.Linear(2, 2), torch.randn(8, 2)
  local seen
  local history = train.fit {model = model, optimizer = "sgd", loss = "mse", train = {x, x}, batch_size = 2, epochs = 5,
    quiet = true, dry_run = true, callbacks = {train.CSVLogger(folder .. "/a/log.csv"), mlflow.callback(),
      train.ModelCheckpoint {filepath = folder .. "/out/{epoch}"}, train.on("train_end", function(state) seen = state.dry_run end)}}
  test.equal(#history.loss, 1)
  test.equal(seen, true)
  test.falsy(host.file.exists(folder .. "/out"))
  test.falsy(host.file.exists(folder .. "/a"))
  local data = mlflow.get_run(run.info.run_id).data
  test.equal(data.metrics, {})
  test.equal(data.params, {})
  run:end_run()
  mlflow.set_tracking_uri("")
end)

test.case("is_writable touches nothing", function()
  local folder = test.tmpdir()
  test.truthy(host.file.is_writable(folder .. "/a/b/c.txt"))
  test.falsy(host.file.exists(folder .. "/a"))
  host.file.write_atomic(folder .. "/f", "")
  test.falsy(host.file.is_writable(folder .. "/f/g"))
end)
