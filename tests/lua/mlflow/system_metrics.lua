-- System metrics of a run: when they are logged, under which names, by which steps.
local test = require "test"
local mlflow = require "mlflow"

local CPU <const> = "system/cpu_utilization_percentage"

local function reset()
  mlflow.disable_system_metrics_logging()
  mlflow.set_system_metrics_sampling_interval(nil)
  mlflow.set_system_metrics_samples_before_logging(nil)
  mlflow.set_system_metrics_node_id(nil)
end

-- Into a folder of its own; no settings are left before and after.
local function case(name, f)
  test.case(name, function()
    local before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("sqlite:///" .. test.tmpdir() .. "/mlflow.db")
    reset()
    mlflow.set_system_metrics_sampling_interval(0.01)
    local ok, err = pcall(f)
    while mlflow.active_run() do mlflow.end_run() end
    reset()
    mlflow.set_tracking_uri(before)
    if not ok then error(err, 0) end
  end)
end

-- Waits until a run has so many points of a metric; returns their steps.
local function steps(run, key, count)
  local deadline, points = os.time() + 60
  repeat
    points = mlflow.get_metric_history(run.info.run_id, key)
    test.truthy(os.time() < deadline)
  until #points >= count
  local found = {}
  for i, point in ipairs(points) do found[i] = point.step end
  return found
end

local function keys(run)
  local found = {}
  for key in pairs(mlflow.get_run(run.info.run_id).data.metrics) do found[#found + 1] = key end
  table.sort(found)
  return found
end

case("a run logs what the machine does, from step 0 until it ends", function()
  local run = mlflow.start_run{log_system_metrics = true}
  test.equal(table.move(steps(run, CPU, 3), 1, 3, 1, {}), {0, 1, 2})
  run:end_run()
  local count = #mlflow.get_metric_history(run.info.run_id, CPU)
  test.equal(mlflow.get_run(run.info.run_id).info.status, "FINISHED")
  local metrics = mlflow.get_run(run.info.run_id).data.metrics
  test.truthy(metrics[CPU] >= 0 and metrics[CPU] <= 100)
  test.truthy(metrics["system/system_memory_usage_percentage"] > 0)
  test.truthy(metrics["system/network_receive_megabytes"] >= 0)
  local tenths = metrics["system/disk_usage_megabytes"] * 10
  test.near(tenths, math.floor(tenths + 0.5), 1e-4)
  test.equal(#mlflow.get_metric_history(run.info.run_id, CPU), count)
end)

case("nothing is logged unless it is asked for", function()
  local off = mlflow.start_run()
  mlflow.enable_system_metrics_logging()
  local opted_out = mlflow.start_run{nested = true, log_system_metrics = false}
  local on = mlflow.start_run{nested = true}
  test.truthy(#steps(on, CPU, 1) > 0)
  test.equal(keys(off), {})
  test.equal(keys(opted_out), {})
end)

case("a node has its name in the metrics, samples their mean", function()
  mlflow.enable_system_metrics_logging()
  mlflow.set_system_metrics_node_id("n0")
  mlflow.set_system_metrics_samples_before_logging(2)
  local run = mlflow.start_run()
  test.equal(steps(run, "system/n0/cpu_utilization_percentage", 2)[2], 1)
  for _, key in ipairs(keys(run)) do test.truthy(key:find("^system/n0/")) end
end)

case("a run that goes on counts on", function()
  local run = mlflow.start_run{log_system_metrics = true}
  steps(run, CPU, 2)
  run:end_run()
  local before = steps(run, CPU, 2)
  local again = mlflow.start_run{run_id = run.info.run_id, log_system_metrics = true}
  local all = steps(again, CPU, #before + 2)
  for i, step in ipairs(all) do test.equal(step, i - 1) end
end)

case("what is no setting is refused", function()
  local function refused(pattern, f, ...) test.equal(test.raises(pattern, f, ...).kind, "usage") end
  refused("keyword 'log_system_metrics' must be true, false or nil, got string \"yes\"", mlflow.start_run,
    {log_system_metrics = "yes"})
  refused("must be a number of seconds above 0, got number 0", mlflow.set_system_metrics_sampling_interval, 0)
  refused("got number nan", mlflow.set_system_metrics_sampling_interval, 0 / 0)
  refused("'interval' .* got string", mlflow.set_system_metrics_sampling_interval, "often")
  refused("'samples' must be a whole number above 0, got number 1.5", mlflow.set_system_metrics_samples_before_logging,
    1.5)
  refused("'node_id' must be a string", mlflow.set_system_metrics_node_id, 3)
  refused("metric", mlflow.set_system_metrics_node_id, "a\nb")
  test.equal(mlflow.active_run(), nil)
end)
