-- What could not be logged: run:log_error, errors.jsonl, trainhost.last_error, params that are set again.
local host = require "host"
local mlflow = require "mlflow"
local test = require "test"
local torch = require "torch"
local train = require "train"

local function case(name, fn)
  test.case(name, function()
    local folder = test.tmpdir()
    while mlflow.active_run() do mlflow.end_run() end
    mlflow.set_tracking_uri("sqlite:///" .. folder .. "/mlflow.db")
    fn(folder)
    while mlflow.active_run() do mlflow.end_run() end
    test.truthy(mlflow.flush(20))
  end)
end

-- The lines of a run's errors.jsonl.
local function errors_of(run)
  test.truthy(mlflow.flush(20))
  local lines = {}
  for line in host.file.read(run.info.artifact_uri .. "/errors.jsonl"):gmatch "[^\n]+" do
    lines[#lines + 1] = host.json.decode(line)
  end
  return lines
end

local function fit(more)
  local x, y = torch.randn(8, 2), torch.randn(8, 1)
  local given = {model = torch.nn.Linear(2, 1), optimizer = "sgd", loss = "mse", train = {x, y}, batch_size = 4, epochs = 3, quiet = true}
  for key, value in pairs(more) do given[key] = value end
  return train.fit(given)
end

case("log_error is a tag and a line with epoch, step, text and retries", function()
  local run = mlflow.start_run()
  run:log_error("the sensor gave no data", {epoch = 3, step = 7})
  run:log_error("the sensor gave no data", {epoch = 3, step = 7})
  run:log_error("the other one", {retries = 2})
  mlflow.log_error("outside of a training")
  local lines = errors_of(run)
  test.equal(#lines, 3)
  test.equal({lines[1].epoch, lines[1].step, lines[1].text, lines[1].retries}, {3, 7, "the sensor gave no data", 1})
  test.equal({lines[2].epoch, lines[2].retries}, {host.json.null, 2})
  test.truthy(math.abs(lines[1].time / 1000 - host.time()) < 600)
  test.equal(mlflow.get_run(run.info.run_id).data.tags["trainhost.last_error"], "outside of a training")
end)

case("a failure in a training has the epoch and the step, and the training goes on", function()
  local run = mlflow.start_run()
  local history = fit {callbacks = {mlflow.callback {silent = true}, train.on("epoch_end", function(state)
    state.logs["bad key?"] = state.epoch == 1 and 1 or nil
  end)}}
  test.equal(#history.loss, 3)
  local lines = errors_of(run)
  test.equal({#lines, lines[1].epoch, lines[1].step}, {1, 1, 4})
  test.truthy(lines[1].text:find("bad key?", 1, true))
  test.equal(#mlflow.get_metric_history(run.info.run_id, "loss"), 3)
end)

case("a script's own log_error in a hook has the epoch of the training", function()
  local run = mlflow.start_run()
  fit {callbacks = {mlflow.callback(), train.on("epoch_end", function(state)
    if state.epoch == 2 then run:log_error("late") end
  end)}}
  local lines = errors_of(run)
  test.equal({lines[1].epoch, lines[1].step, lines[1].text}, {2, 6, "late"})
end)

case("a param that is set again and again to another value is put aside with one event", function()
  local events = {}
  mlflow.on("error", function(event)
    if event.message:find("key='epoch'", 1, true) then events[#events + 1] = event end
  end)
  local run = mlflow.start_run()
  for epoch = 0, 9 do run:log_param("epoch", epoch) end
  run:log_param("epoch", 0)
  run:log_params {epoch = 5, other = 1}
  test.truthy(mlflow.flush(20))
  run:log_metric("loss", 1)
  test.equal(#events, 1)
  test.equal(mlflow.get_run(run.info.run_id).data.params, {epoch = "0", other = "1"})
  local lines = errors_of(run)
  test.equal(#lines, 1)
  test.truthy(lines[1].text:find("key='epoch'", 1, true))
end)

case("a parameter of which a run that goes on has another value is told of once in a training", function()
  local events, run = {}, mlflow.start_run()
  run:log_param("momentum_of_then", 5)
  run:end_run()
  test.truthy(mlflow.flush(20))
  run = mlflow.start_run {run_id = run.info.run_id}
  mlflow.on("error", function(event)
    if event.message:find("key='momentum_of_then'", 1, true) then events[#events + 1] = event end
  end)
  host.param("momentum_of_then", 0.1)  -- logged when the training begins and, with those that were read since, when it ends
  fit {callbacks = {mlflow.callback()}}
  test.truthy(mlflow.flush(20))
  run:log_metric("loss", 1)
  test.equal(#events, 1)
  run:end_run()
  test.raises("has ended", run.log_param, run, "momentum_of_then", 0.1)
end)

case("a run that goes on keeps the lines that it has", function()
  local run = mlflow.start_run()
  run:log_error("first")
  run:end_run()
  test.truthy(mlflow.flush(20))
  run = mlflow.start_run {run_id = run.info.run_id}
  run:log_error("second")
  local lines = errors_of(run)
  test.equal({lines[1].text, lines[2].text}, {"first", "second"})
end)

case("a run that ends within its training ends no training", function()
  local run = mlflow.start_run()
  local history = fit {callbacks = {mlflow.callback {every = 1, silent = true}, train.on("epoch_end", function(state)
    if state.epoch == 1 then run:end_run() end
  end)}}
  test.equal(#history.loss, 3)
  test.equal(#mlflow.get_metric_history(run.info.run_id, "loss"), 1)
end)

case("mistakes", function()
  local run = mlflow.start_run()
  test.raises("argument 'text' must be a string that is not empty, got number 5", run.log_error, run, 5)
  test.raises("epoch must be a whole number, got number 1.5", run.log_error, run, "x", {epoch = 1.5})
  test.raises("unknown keyword string \"epochs\"", run.log_error, run, "x", {epochs = 1})
end)

case("a value that is cut to its limit is no failure", function()
  local run = mlflow.start_run()
  run:log_param("long", ("x"):rep(7000))
  run:log_metric("loss", 1)
  test.truthy(mlflow.flush(20))
  test.equal(mlflow.get_run(run.info.run_id).data.tags["trainhost.last_error"], nil)
  test.falsy(host.file.exists(run.info.artifact_uri .. "/errors.jsonl"))
end)

case("a run that goes on keeps the lines that it has, also below a file: URI", function(folder)
  local id = mlflow.create_experiment("spaced", {artifact_location = "file://" .. folder .. "/with%20space"})
  local run = mlflow.start_run {experiment_id = id}
  run:log_error("first")
  run:end_run()
  run = mlflow.start_run {run_id = run.info.run_id}
  run:log_error("second")
  test.truthy(mlflow.flush(20))
  local lines = {}
  for line in host.file.read(("%s/with space/%s/artifacts/errors.jsonl"):format(folder, run.info.run_id)):gmatch "[^\n]+" do
    lines[#lines + 1] = host.json.decode(line).text
  end
  test.equal(lines, {"first", "second"})
end)
