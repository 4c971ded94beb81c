-- System metrics: whether a run is watched, how often, under which names; a thread of the host does the watching.
local track = require "native.track"
local vm = require "native.vm"

local system_metrics = {}

local chosen = {}  -- by the script, above MLflow's environment variables

-- A variable of MLflow's, as `read` understands it; nil where it is not set.
local function variable(name, expected, read)
  local given = vm.getenv("MLFLOW_" .. name)
  if not given or not given:find("%S") then return nil end
  local value = read(given)
  if value == nil then
    vm.raise("usage", ("mlflow.start_run: the environment variable MLFLOW_%s must be %s, got '%s'"):format(name,
      expected, given))
  end
  return value
end

local words <const> = {["true"] = true, ["1"] = true, ["false"] = false, ["0"] = false}
local function boolean(text) return words[text:lower():match("^%s*(.-)%s*$")] end

local function is_seconds(value) return type(value) == "number" and value >= 0 and value <= 1e9 end
local function seconds(text)
  local value = tonumber(text)
  return is_seconds(value) and value or nil
end

local function count(text)
  local value = math.tointeger(tonumber(text))
  return value and value >= 0 and value or nil
end

-- 0 and "" stand for what is usual, as in Python.
local function set(value) return value ~= 0 and value ~= "" and value or nil end

local function check_node(node_id) track.check_key("metric", "system/" .. node_id .. "/cpu_utilization_percentage") end

--- How the next run is watched; nil: it is not.
---@param wished any what start_run was given
---@return {interval: number, samples: integer, node: string|nil}|nil
---@private
function system_metrics.plan(wished)
  if wished ~= nil and type(wished) ~= "boolean" then
    vm.raise("usage", ("mlflow.start_run: keyword 'log_system_metrics' must be true, false or nil, got %s")
      :format(vm.describe(wished)))
  end
  if wished == nil then wished = chosen.enabled end
  if wished == nil then wished = variable("ENABLE_SYSTEM_METRICS_LOGGING", "true, false, 1 or 0", boolean) end
  if not wished then return nil end
  local node = chosen.node or set(vm.getenv("MLFLOW_SYSTEM_METRICS_NODE_ID"))
  if node then check_node(node) end
  return {
    interval = chosen.interval or set(variable("SYSTEM_METRICS_SAMPLING_INTERVAL", "a number of seconds", seconds)) or 10,
    samples = chosen.samples
      or set(variable("SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING", "a whole number", count)) or 1,
    node = node,
  }
end

-- After those that a run has already.
local function next_step(handle)
  local ok, answer = pcall(require("mlflow.ask").find, "runs/get", {run_id = track.info(handle).run_id})
  local step = 0
  for _, metric in ipairs(ok and answer and answer.run.data.metrics or {}) do
    if metric.key:find("^system/") then step = math.max(step, math.tointeger(tonumber(metric.step or 0)) + 1) end
  end
  return step
end

--- Has a run watched until it ends.
---@private
function system_metrics.watch(handle, plan, is_resumed)
  track.monitor(handle, plan.interval, plan.samples, plan.node, is_resumed and next_step(handle) or 0)
end

--- Has the runs that are started from now on watched, but for those with log_system_metrics = false.
function system_metrics.enable_system_metrics_logging() chosen.enabled = true end

--- Has only those runs watched that are started with log_system_metrics = true.
function system_metrics.disable_system_metrics_logging() chosen.enabled = false end

--- Sets how often the runs that are started from now on are watched.
---@param interval number|nil seconds; nil: MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL, else 10
---@example mlflow.set_system_metrics_sampling_interval(2)
function system_metrics.set_system_metrics_sampling_interval(interval)
  if interval ~= nil and not (is_seconds(interval) and interval > 0) then
    vm.raise("usage", ("mlflow.set_system_metrics_sampling_interval: argument 'interval' must be a number of seconds "
      .. "above 0, got %s"):format(vm.describe(interval)))
  end
  chosen.interval = interval
end

--- Sets of how many samples the mean is logged.
---@param samples integer|nil nil: MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING, else 1
---@example mlflow.set_system_metrics_samples_before_logging(3)
function system_metrics.set_system_metrics_samples_before_logging(samples)
  if samples ~= nil and not (type(samples) == "number" and math.tointeger(samples) and samples > 0) then
    vm.raise("usage", ("mlflow.set_system_metrics_samples_before_logging: argument 'samples' must be a whole number "
      .. "above 0, got %s"):format(vm.describe(samples)))
  end
  chosen.samples = samples and math.tointeger(samples)
end

--- Names this machine, where several log to one run: "n0" makes system/n0/cpu_utilization_percentage.
---@param node_id string|nil nil: MLFLOW_SYSTEM_METRICS_NODE_ID, else none
---@example mlflow.set_system_metrics_node_id("n0")
function system_metrics.set_system_metrics_node_id(node_id)
  if node_id ~= nil and type(node_id) ~= "string" then
    vm.raise("usage", ("mlflow.set_system_metrics_node_id: argument 'node_id' must be a string, got %s")
      :format(vm.describe(node_id)))
  end
  if node_id then check_node(node_id) end
  chosen.node = set(node_id)
end

return system_metrics
