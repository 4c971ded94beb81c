-- A run that is logged to: every method returns in microseconds, a thread of the host does the storing.
local keywords = require "host.keywords"
local text = require "mlflow.text"
local track = require "native.track"
local vm = require "native.vm"

local Run = {}
Run.__index = Run
Run.__name = "Run"

local deliver = function() end  -- set by mlflow/init.lua: events to those who asked
local finish

--- Ties the class to the module's stack of active runs and its events.
---@private
function Run.connect(hooks)
  deliver, finish = hooks.deliver, hooks.finish
end

--- Wraps a native run.
---@private
function Run.new(handle, read)
  local run = {_handle = handle}
  run.info = setmetatable({}, {
    __index = function(_, name) return track.info(handle)[name] end,
    __pairs = function() return pairs(track.info(handle)) end,
  })
  run.data = setmetatable({}, {
    __index = function(_, name) return read(track.info(handle).run_id).data[name] end,
  })
  return setmetatable(run, Run)
end

Run.__tostring = function(run) return tostring(run._handle) end

-- How a run ends whose scope is left: as the host names the end of the script when no scope ends the run.
local function status_after(err)
  if err ~= nil then
    local ok, kind = pcall(function() return err.kind end)
    if not ok or kind ~= "interrupted" then return "FAILED" end
    local code = vm.exit_code()
    if code == nil then return "KILLED" end
    if code ~= 0 then return vm.stop_wished() and "KILLED" or "FAILED" end
  end
  return vm.stop_wished() and "KILLED" or "FINISHED"
end

Run.__close = function(run, err)
  if not track.ended(run._handle) then finish(run, status_after(err)) end
end

local function expect_table(name, argument, value)
  if type(value) == "table" then return end
  vm.raise("usage", ("mlflow.%s: argument '%s' must be a table of name -> value, got %s")
    :format(name, argument, vm.describe(value)))
end

local function expect_string(name, argument, value)
  if type(value) == "string" then return end
  vm.raise("usage", ("mlflow.%s: argument '%s' must be a string, got %s"):format(name, argument, vm.describe(value)))
end

local point_defaults = {step = keywords.none, timestamp = keywords.none}

--- Logs one value of a metric. The time is that of the call.
---@param key string
---@param value number|Tensor a number, or a tensor of one element
---@param step integer|{step: integer, timestamp: integer}|nil default 0; timestamp in ms since 1970
---@example local run <close> = mlflow.start_run()
--- for epoch = 0, 2 do run:log_metric("loss", 0.5 ^ epoch, epoch) end
function Run:log_metric(key, value, step)
  deliver()
  if type(step) == "table" then
    local given = keywords.check("mlflow.log_metric", step, point_defaults)
    track.log_metric(self._handle, key, value, given.step, given.timestamp)
  else
    track.log_metric(self._handle, key, value, step)
  end
end

--- Logs several metrics at one step.
---@param metrics table<string, number|Tensor>
---@param step integer|{step: integer, timestamp: integer}|nil default 0
---@example local run <close> = mlflow.start_run()
--- run:log_metrics({loss = 0.5, accuracy = 0.9}, 0)
function Run:log_metrics(metrics, step)
  deliver()
  expect_table("log_metrics", "metrics", metrics)
  local timestamp
  if type(step) == "table" then
    local given = keywords.check("mlflow.log_metrics", step, point_defaults)
    step, timestamp = given.step, given.timestamp
  end
  for key, value in text.ordered(metrics) do track.log_metric(self._handle, key, value, step, timestamp) end
end

--- Logs a parameter; its text is as Python's str() writes the value. A parameter keeps its first value: another one
--- is an event, see `mlflow.on`.
---@param key string
---@param value any
function Run:log_param(key, ...)
  deliver()
  if select("#", ...) == 0 then vm.raise("usage", "mlflow.log_param: argument 'value' is missing") end
  track.log_param(self._handle, key, text.str((...)))
end

--- Logs several parameters.
---@param params table<string, any>
function Run:log_params(params)
  deliver()
  expect_table("log_params", "params", params)
  for key, value in text.ordered(params) do track.log_param(self._handle, key, text.str(value)) end
end

--- Sets a tag; an old value is replaced.
---@param key string
---@param value any
function Run:set_tag(key, ...)
  deliver()
  if select("#", ...) == 0 then vm.raise("usage", "mlflow.set_tag: argument 'value' is missing") end
  track.set_tag(self._handle, key, text.str((...)))
end

--- Sets several tags.
---@param tags table<string, any>
function Run:set_tags(tags)
  deliver()
  expect_table("set_tags", "tags", tags)
  for key, value in text.ordered(tags) do track.set_tag(self._handle, key, text.str(value)) end
end

--- Deletes a tag.
---@param key string
function Run:delete_tag(key)
  deliver()
  track.delete_tag(self._handle, key)
end

--- Logs a file as an artifact, or a folder under its own name. The call takes a snapshot: the file may be removed or
--- replaced right after it. A file of more than 1 MiB must not be rewritten in place before it is stored (`flush`);
--- if it was, an event says so. No such file: an io error.
---@param local_path string
---@param artifact_path string|nil folder in the run's artifacts
function Run:log_artifact(local_path, artifact_path)
  deliver()
  track.log_artifact(self._handle, local_path, artifact_path)
end

--- Logs all files below a folder as artifacts.
---@param local_dir string
---@param artifact_path string|nil folder in the run's artifacts
function Run:log_artifacts(local_dir, artifact_path)
  deliver()
  track.log_artifacts(self._handle, local_dir, artifact_path)
end

--- Logs a string as an artifact.
---@param content string
---@param artifact_file string "notes/readme.txt"
function Run:log_text(content, artifact_file)
  deliver()
  track.log_text(self._handle, content, artifact_file)
end

--- Logs a table as an artifact: as YAML if the name ends with .yml or .yaml, else as JSON.
---@param dictionary table
---@param artifact_file string "config.yaml"
function Run:log_dict(dictionary, artifact_file)
  deliver()
  expect_table("log_dict", "dictionary", dictionary)
  expect_string("log_dict", "artifact_file", artifact_file)
  local yaml = artifact_file:match("%.ya?ml$")
  track.log_text(self._handle, yaml and text.yaml(dictionary) or text.json(dictionary), artifact_file)
end

--- Waits until all that was logged is stored and would survive a power cut.
---@param seconds number|nil at most, default 60
---@return true|nil done nil: not within that time, or a server refuses who asks; what is not stored is kept on disk
---@return string|nil message
function Run.flush(_, seconds)
  if seconds ~= nil and type(seconds) ~= "number" then
    vm.raise("usage", ("mlflow.flush: argument 'seconds' must be a number, got %s"):format(vm.describe(seconds)))
  end
  local done, waiting, held = track.flush(seconds or 60)
  deliver()
  if done and held == 0 then return true end
  if done then
    return nil, ("mlflow.flush: the server refuses %d records, which `trainhost sync` sends later"):format(held)
  end
  return nil, ("mlflow.flush: %d records are not stored yet"):format(waiting)
end

--- Returns where the run's artifacts, or one of them, are.
---@param artifact_path string|nil
---@return string
function Run:get_artifact_uri(artifact_path)
  local uri = self.info.artifact_uri
  return artifact_path and uri .. "/" .. artifact_path or uri
end

--- Waits until a tracking server has the run, and returns the id that it has there. Until then `info.run_id` is an id of
--- this process; with mlflow.db that is the id.
---@param seconds number|nil at most, default 60
---@return string|nil run_id nil: not within that time, or the server refuses the run
---@return string|nil message
---@example local run <close> = mlflow.start_run()
--- run:wait_id() == run.info.run_id  --> true
function Run:wait_id(seconds)
  if seconds ~= nil and type(seconds) ~= "number" then
    vm.raise("usage", ("mlflow.wait_id: argument 'seconds' must be a number, got %s"):format(vm.describe(seconds)))
  end
  local known = track.wait_id(self._handle, seconds or 60)
  deliver()
  if known then return self.info.run_id end
  return nil, "mlflow.wait_id: the tracking server has not taken the run yet"
end

--- Ends the run, and the runs nested in it that are still active.
---@param status string|nil FINISHED (default), FAILED or KILLED
function Run:end_run(status)
  finish(self, status or "FINISHED")
end

return Run
