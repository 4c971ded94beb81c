-- mlflow: runs, their scope and stack, what is logged and what is refused.
local test = require "test"
local host = require "host"
local mlflow = require "mlflow"

-- Each case has a store of its own.
local function in_store(fn)
  return function()
    local folder = test.tmpdir()
    while mlflow.active_run() do mlflow.end_run() end  -- of a case that failed
    mlflow.set_tracking_uri("sqlite:///" .. folder .. "/mlflow.db")
    fn(folder)
    while mlflow.active_run() do mlflow.end_run() end
    test.truthy(mlflow.flush(20))
  end
end

local function case(name, fn) test.case(name, in_store(fn)) end

case("a run has its id, name, experiment and status at once", function(folder)
  local run = mlflow.start_run{run_name = "first", tags = {stage = "a", n = 3}, description = "about it"}
  test.equal(#run.info.run_id, 32)
  test.equal(run.info.run_name, "first")
  test.equal(run.info.experiment_id, "0")
  test.equal(run.info.status, "RUNNING")
  test.falsy(run.info.end_time)
  test.equal(mlflow.active_run(), run)
  run:end_run()
  test.equal(run.info.status, "FINISHED")
  test.truthy(run.info.end_time >= run.info.start_time)
  test.falsy(mlflow.active_run())
  test.equal(mlflow.last_active_run(), run)
  local stored = mlflow.get_run(run.info.run_id)
  test.equal(stored.info.status, "FINISHED")
  test.equal(stored.data.tags.stage, "a")
  test.equal(stored.data.tags.n, "3")
  test.equal(stored.data.tags["mlflow.note.content"], "about it")
  test.equal(stored.data.tags["mlflow.runName"], "first")
  test.truthy(host.file.exists(folder .. "/mlflow.db"))
end)

case("metrics keep all steps, read back by key; the default step is 0", function()
  local run <close> = mlflow.start_run()
  for step, value in ipairs{0.5, 0.25} do run:log_metric("loss", value, step) end
  run:log_metric("loss", 1, {step = 3, timestamp = 1700000000000})
  run:log_metrics({accuracy = 0.5, f1 = 1}, 2)
  run:log_metric("plain", 7)
  run:log_metric("float_step", 1, 28 / 2)
  local points = mlflow.get_metric_history(run.info.run_id, "loss")
  test.equal(#points, 3)
  test.equal(points[1].step, 3)  -- the oldest by its time
  test.equal(points[1].timestamp, 1700000000000)
  local data = mlflow.get_run(run.info.run_id).data
  test.equal(data.metrics, {loss = 1.0, accuracy = 0.5, f1 = 1.0, plain = 7.0, float_step = 1.0})
  test.equal(mlflow.get_metric_history(run.info.run_id, "plain")[1].step, 0)
  test.equal(mlflow.get_metric_history(run.info.run_id, "float_step")[1].step, 14)
  test.equal(run.data.metrics.f1, 1.0)
end)

case("a tensor of one element is a metric", function()
  local torch = require "torch"
  local run <close> = mlflow.start_run()
  run:log_metric("loss", torch.tensor(0.5))
  run:log_metric("count", torch.tensor({3}))
  test.equal(run.data.metrics, {loss = 0.5, count = 3.0})
  test.raises("the value of 'x' must be a number or a tensor of one element, got Tensor[2]", run.log_metric, run, "x",
    torch.tensor{1, 2})
end)

case("params are written as Python's str", function()
  local run <close> = mlflow.start_run()
  run:log_params{
    flag = true, off = false, integer = 3, float = 0.1 + 0.2, whole = 1.0, small = 1e-5, text = "adam",
    list = {1, 2.5, "a", true}, map = {b = 1, a = {2}}, empty = {}, quote = {"it's", 'say "it\'s"', "a\nb"},
    infinite = math.huge,
  }
  run:log_param("none", nil)
  test.equal(run.data.params, {
    flag = "True", off = "False", integer = "3", float = "0.30000000000000004", whole = "1.0", small = "1e-05",
    text = "adam", list = "[1, 2.5, 'a', True]", map = "{'a': [2], 'b': 1}", empty = "[]",
    quote = [=[["it's", 'say "it\'s"', 'a\nb']]=], infinite = "inf", none = "None",
  })
end)

case("tags are replaced and deleted", function()
  local run <close> = mlflow.start_run()
  run:set_tags{stage = "a", gone = 1}
  run:set_tag("stage", 2.5)
  run:delete_tag("gone")
  local tags = run.data.tags
  test.equal(tags.stage, "2.5")
  test.falsy(tags.gone)
end)

case("artifacts: text, dict as JSON and YAML, files and folders", function(folder)
  local run = mlflow.start_run()
  run:log_text("hello\n", "notes/a.txt")
  local nested = {on = true, name = "x: y"}
  run:log_dict({lr = 0.1, layers = {1, 2}, nested = nested}, "config.json")
  run:log_dict({lr = 1e-5, layers = {1, 2}, nested = nested, list = {{a = 1}, "yes"}}, "config.yaml")
  host.file.mkdir(folder .. "/tree/b")
  host.file.write_atomic(folder .. "/tree/b/c.txt", "c")
  host.file.write_atomic(folder .. "/one.txt", "one")
  run:log_artifact(folder .. "/one.txt", "files")
  run:log_artifacts(folder .. "/tree", "all")
  run:log_artifact(folder .. "/tree")
  host.file.remove(folder .. "/one.txt")
  run:end_run()
  test.truthy(mlflow.flush())
  local read = function(path) return host.file.read(run:get_artifact_uri(path)) end
  test.equal(read("notes/a.txt"), "hello\n")
  test.equal(host.json.decode(read("config.json")).nested.name, "x: y")
  test.truthy(read("config.json"):find('\n  "layers": [', 1, true))
  test.equal(read("config.yaml"), table.concat({"layers:", "  - 1", "  - 2", "list:", "  -", "    a: 1", '  - "yes"',
    "lr: 1.0e-05", "nested:", '  name: "x: y"', '  "on": true', ""}, "\n"))
  test.equal(read("files/one.txt"), "one")
  test.equal(read("all/b/c.txt"), "c")
  test.equal(read("tree/b/c.txt"), "c")
  host.file.remove(run:get_artifact_uri():match("^(.*)/[^/]+/artifacts$"))
end)

case("a scope ends its run as FINISHED, FAILED on an error, KILLED when stopped", function()
  local ids = {}
  do
    local run <close> = mlflow.start_run()
    ids.FINISHED = run.info.run_id
  end
  pcall(function()
    local run <close> = mlflow.start_run()
    ids.FAILED = run.info.run_id
    error("boom")
  end)
  pcall(function()
    local run <close> = mlflow.start_run()
    ids.KILLED = run.info.run_id
    error({kind = "interrupted"})
  end)
  for status, id in pairs(ids) do test.equal(mlflow.get_run(id).info.status, status) end
  test.falsy(mlflow.active_run())
end)

case("nested runs know their parent; an error ends them innermost first", function()
  local outer = mlflow.start_run{run_name = "outer"}
  test.raises("Run with UUID " .. outer.info.run_id .. " is already active. To start a new run, first end the current "
    .. "run with mlflow.end_run(). To start a nested run", mlflow.start_run)
  local inner
  pcall(function()
    local closed <close> = mlflow.start_run{run_name = "inner", nested = true}
    inner = closed
    test.equal(mlflow.active_run(), inner)
    mlflow.log_metric("deep", 1)
    mlflow.start_run{nested = true}  -- forgotten by the script
    error("boom")
  end)
  test.equal(mlflow.active_run(), outer)
  test.equal(inner.info.status, "FAILED")
  test.equal(mlflow.last_active_run(), outer)  -- it is still active
  local stored = mlflow.get_run(inner.info.run_id)
  test.equal(stored.data.tags["mlflow.parentRunId"], outer.info.run_id)
  test.equal(stored.data.metrics.deep, 1.0)
  local third = mlflow.start_run{nested = true}
  outer:end_run("KILLED")
  test.equal(third.info.status, "KILLED")
  test.falsy(mlflow.active_run())
end)

case("mlflow.X logs to the innermost run, and starts one when there is none", function()
  mlflow.log_param("lr", 0.1)
  local run = mlflow.active_run()
  mlflow.log_metric("loss", 1, 1)
  mlflow.log_metrics{a = 1}
  mlflow.log_params{b = 2}
  mlflow.set_tag("t", "u")
  mlflow.set_tags{v = "w"}
  mlflow.delete_tag("v")
  test.equal(mlflow.get_artifact_uri("x"), run.info.artifact_uri .. "/x")
  mlflow.end_run("FAILED")
  local data = mlflow.get_run(run.info.run_id).data
  test.equal(data.params, {lr = "0.1", b = "2"})
  test.equal(data.metrics, {loss = 1.0, a = 1.0})
  test.equal(data.tags.t, "u")
  test.falsy(data.tags.v)
  mlflow.end_run()  -- none is active: nothing happens
end)

case("experiments by name and by id", function()
  local made = mlflow.set_experiment("fashion")
  test.equal(made.experiment_id, "1")
  test.equal(mlflow.set_experiment("fashion").experiment_id, "1")
  do
    local run <close> = mlflow.start_run()
    test.equal(run.info.experiment_id, "1")
  end
  do
    local run <close> = mlflow.start_run{experiment_id = 0}
    test.equal(run.info.experiment_id, "0")
  end
  test.equal(mlflow.set_experiment{experiment_id = "0"}.name, "Default")
  test.raises("no experiment with id '77'", mlflow.set_experiment, {experiment_id = "77"})
  test.raises("no experiment with id '77'", mlflow.start_run, {experiment_id = "77"})
  test.raises("exactly one of", mlflow.set_experiment)
end)

case("a run is resumed by its id", function()
  local run = mlflow.start_run{run_name = "again"}
  run:log_metric("loss", 1, 0)
  run:end_run()
  local id = run.info.run_id
  do
    local more <close> = mlflow.start_run{run_id = id, tags = {resumed = "yes"}}
    test.equal(more.info.run_name, "again")
    test.equal(mlflow.get_run(id).info.status, "RUNNING")
    more:log_metric("loss", 0.5, 1)
  end
  local stored = mlflow.get_run(id)
  test.equal(stored.info.status, "FINISHED")
  test.equal(stored.data.metrics.loss, 0.5)
  test.equal(stored.data.tags.resumed, "yes")
  test.raises("no run with id 'ffff", mlflow.start_run, {run_id = ("f"):rep(32)})
end)

case("another value of a param is an event, and the first one stays", function()
  local events = {}
  mlflow.on("error", function(event) events[#events + 1] = event end)
  local run <close> = mlflow.start_run()
  run:log_param("lr", 0.1)
  run:log_param("lr", 0.1)
  mlflow.flush()
  test.equal(#events, 0)
  run:log_param("lr", 0.2)
  mlflow.flush()
  test.equal(#events, 1)
  test.equal(events[1].kind, "tracking")
  test.equal(events[1].run_id, run.info.run_id)
  test.truthy(tostring(events[1]):find("already logged with value='0.1'", 1, true))
  test.equal(run.data.params.lr, "0.1")
end)

case("misuse is refused at the call, with what is allowed", function()
  local run = mlflow.start_run()
  local function refused(pattern, fn, ...)
    test.equal(test.raises(pattern, fn, ...).kind, "usage")
  end
  refused("invalid metric name 'a%*b': names may only contain alphanumerics", run.log_metric, run, "a*b", 1)
  refused("must not resolve to other names", run.log_param, run, "../x", 1)
  refused("251 characters", run.set_tag, run, ("k"):rep(251), 1)
  refused("argument 'key' must be a string, got nil", run.log_metric, run, nil, 1)
  local number = "the value of 'loss' must be a number or a tensor of one element, got "
  refused(number .. 'string "x"', run.log_metric, run, "loss", "x")
  refused(number .. "boolean true", run.log_metric, run, "loss", true)
  refused("argument 'step' must be an integer, got number 1.5", run.log_metric, run, "loss", 1, 1.5)
  refused("unknown keyword string \"stp\", expected one of dataset, model_id, step, timestamp", run.log_metric, run, "loss", 1, {stp = 1})
  refused("argument 'value' is missing", run.log_param, run, "p")
  refused("has no text to log", run.log_param, run, "p", print)
  refused("argument 'metrics' must be a table", run.log_metrics, run, 3)
  refused("invalid artifact path '../x'", run.log_text, run, "x", "../x")
  refused("bad status 'DONE'", run.end_run, run, "done")
  refused("unknown keyword string \"nmae\"", mlflow.start_run, {nmae = "x", nested = true})
  refused("mlflow has no 'log_metrc' .*did you mean 'log_metric'", function() return mlflow.log_metrc end)
  refused("unknown event string \"eror\"", mlflow.on, "eror", print)
  test.equal(test.raises("no file 'nothing.txt'", run.log_artifact, run, "nothing.txt").kind, "io")
  run:end_run()
  refused("has ended %(FINISHED%)", run.log_metric, run, "loss", 1)
  run:end_run("FAILED")  -- the first end stands
  test.equal(run.info.status, "FINISHED")
end)

test.case("addresses that are not supported say why", function()
  local function refused(pattern, uri)
    test.equal(test.raises(pattern, mlflow.set_tracking_uri, uri).kind, "tracking")
  end
  refused("names a file store: MLflow has retired it", "file:///tmp/mlruns")
  refused("names a file store", "./mlruns")
  refused("sqlite:///, http:// and https:// are", "postgresql://host/db")
  mlflow.set_tracking_uri("sqlite:///no/such/folder/mlflow.db")
  test.raises("there is no folder", mlflow.start_run)
  mlflow.set_tracking_uri("")
  test.truthy(mlflow.get_tracking_uri():find("^sqlite:////.*/mlflow%.db$"))
end)

case("NaN and infinities are metrics", function()
  local run <close> = mlflow.start_run()
  run:log_metrics{nan = 0 / 0, inf = math.huge, ninf = -math.huge}
  local metrics = run.data.metrics
  test.truthy(metrics.nan ~= metrics.nan)
  test.equal(metrics.inf, 1.7976931348623157e308)
  test.equal(metrics.ninf, -1.7976931348623157e308)
end)

case("a failing event handler does not reach the script", function()
  mlflow.on("error", function() error("handler") end)
  local run <close> = mlflow.start_run()
  run:log_param("p", 1)
  run:log_param("p", 2)
  test.truthy(mlflow.flush())
end)

case("flush is a method of a run too", function()
  local run <close> = mlflow.start_run()
  run:log_metric("loss", 1)
  test.equal(run:flush(), true)
  test.equal(run:flush(20), true)
  test.raises("argument 'seconds' must be a number, got string \"x\"", run.flush, run, "x")
end)

case("several values at once are all logged, or none", function()
  local run <close> = mlflow.start_run()
  test.raises("zz%(%%%)", run.log_metrics, run, {a = 1, ["zz(%)"] = 2}, 3)
  test.raises("log_metric", run.log_metrics, run, {a = 1, z = "high"}, 3)
  test.raises("zz%(%%%)", run.log_params, run, {a = 1, ["zz(%)"] = 2})
  test.raises("must be a string", run.log_params, run, {a = 1, [2] = 2})
  test.raises("zz%(%%%)", run.set_tags, run, {a = 1, ["zz(%)"] = 2})
  local data = mlflow.get_run(run.info.run_id).data
  test.equal({data.metrics, data.params, data.tags.a}, {{}, {}, nil})
end)

case("a picture of a series leaves the script's random numbers alone", function()
  local run <close> = mlflow.start_run()
  math.randomseed(7)
  local want = math.random()
  math.randomseed(7)
  run:log_image(require("torch").zeros(2, 2), {key = "k"})
  test.equal(math.random(), want)
end)

case("events go on after one that could not be told", function()
  local failures = require "mlflow.failures"
  local heard, told = failures.heard, {}
  mlflow.on("error", function(event) told[#told + 1] = event.message end)
  local run <close> = mlflow.start_run()
  run:log_param("p", 1)
  run:log_param("p", 2)
  failures.heard = function() error("stopped") end
  local ok = pcall(function() for _ = 1, 200 do run:flush() host.sleep(0.01) end end)
  failures.heard = heard
  test.falsy(ok)
  run:log_param("q", 1)
  run:log_param("q", 2)
  run:flush()
  mlflow.active_run():flush()
  local text = table.concat(told, "\n")
  test.truthy(text:find("key='p'", 1, true) and text:find("key='q'", 1, true))
end)
