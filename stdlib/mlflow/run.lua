-- A run that is logged to: every method returns in microseconds, a thread of the host does the storing.
local failures = require "mlflow.failures"
local json = require "native.json"
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

--- Wraps a native run; `goes_on`: its store has it already.
---@private
function Run.new(handle, read, goes_on)
  local run = {_handle = handle, _params = {}, _goes_on = goes_on, _tables = {}, _named_tables = not goes_on and {} or nil}
  run.info = setmetatable({}, {
    __index = function(_, name) return track.info(handle)[name] end,
    __pairs = function() return pairs(track.info(handle)) end,
  })
  run.data = setmetatable({}, {
    __index = function(_, name) return read(track.info(handle).run_id).data[name] end,
  })
  failures.know(run)
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

local function check_keys(name, values)
  for key in pairs(values) do
    expect_string(name, "key", key)
    track.check_key(name:match("_(%a+)$"), key)
  end
end

local point_defaults = {step = keywords.none, timestamp = keywords.none, model_id = keywords.none,
  dataset = keywords.none}

-- What a metric is of: a step, or a table with more of it. A dataset that it is measured on is one of the run's inputs.
local function point_of(self, name, step)
  if type(step) ~= "table" then return step end
  local given = keywords.check("mlflow." .. name, step, point_defaults)
  local dataset = given.dataset
  if given.model_id ~= nil then expect_string(name, "model_id", given.model_id) end
  if dataset ~= nil then self:log_input(dataset) end
  return given.step, given.timestamp, given.model_id, dataset and dataset.name .. "\n" .. dataset.digest
end

-- A metric at the step of a model that the run has made is one of the model, and of each of several.
local function log_points(self, keys, values, number, timestamp, model_id, dataset)
  local ids = model_id == nil and self._models and self._models[number or 0]
  if ids then timestamp = timestamp or require("mlflow.places").now() end
  for i, key in ipairs(keys) do
    if not ids then track.log_metric(self._handle, key, values[i], number, timestamp, model_id, dataset) end
    for _, id in ipairs(ids or {}) do track.log_metric(self._handle, key, values[i], number, timestamp, id, dataset) end
  end
end

--- Takes note of a model that the run has made.
---@private
function Run:_made(model_id, step)
  self._models = self._models or {}
  self._models[step] = self._models[step] or {}
  table.insert(self._models[step], model_id)
end

--- Logs one value of a metric. The time is that of the call.
---@param key string
---@param value number|Tensor a number, or a tensor of one element
---@param step integer|{step: integer, timestamp: integer, model_id: string, dataset: Dataset}|nil default 0; timestamp
--- in ms since 1970; the model and the dataset (of mlflow.data) that the metric measures
---@example local run <close> = mlflow.start_run()
--- for epoch = 0, 2 do run:log_metric("loss", 0.5 ^ epoch, epoch) end
function Run:log_metric(key, value, step)
  deliver()
  if self._models then return log_points(self, {key}, {value}, point_of(self, "log_metric", step)) end
  track.log_metric(self._handle, key, value, point_of(self, "log_metric", step))
end

--- Logs several metrics at one step: all of them, or none where a key or a value is wrong.
---@param metrics table<string, number|Tensor>
---@param step integer|{step: integer, timestamp: integer, model_id: string, dataset: Dataset}|nil default 0
---@example local run <close> = mlflow.start_run()
--- run:log_metrics({loss = 0.5, accuracy = 0.9}, 0)
function Run:log_metrics(metrics, step)
  deliver()
  expect_table("log_metrics", "metrics", metrics)
  local keys, values = {}, {}  -- all of them are right before the first is logged
  for key, value in text.ordered(metrics) do
    keys[#keys + 1], values[#values + 1] = key, track.metric_value(key, value)
  end
  log_points(self, keys, values, point_of(self, "log_metrics", step))
end

--- Logs a dataset that the run reads.
---@param dataset Dataset of mlflow.data.from_tensor
---@param context? string|{context: string, tags: table} what for: "training", "eval"
---@param tags? table<string, any>
---@example local torch = require "torch"
--- local run <close> = mlflow.start_run()
--- run:log_input(mlflow.data.from_tensor(torch.ones(2, 3), {name = "ones"}), "training")
function Run:log_input(dataset, context, tags)
  deliver()
  if type(context) == "table" then
    local given = keywords.check("mlflow.log_input", context, {context = keywords.none, tags = keywords.none})
    context, tags = given.context, given.tags
  end
  if tags ~= nil then expect_table("log_input", "tags", tags) end
  track.log_inputs(self._handle, json.encode{require("mlflow.data").input("mlflow.log_input", dataset, context, tags)})
end

--- Logs several datasets that the run reads.
---@param datasets Dataset[]
---@param contexts? string[] of each dataset
---@param tags_list? table[] of each dataset
function Run:log_inputs(datasets, contexts, tags_list)
  deliver()
  expect_table("log_inputs", "datasets", datasets)
  if keywords.is(contexts) then
    local given = keywords.check("mlflow.log_inputs", contexts, {contexts = keywords.none, tags_list = keywords.none})
    contexts, tags_list = given.contexts, given.tags_list
  end
  contexts, tags_list = contexts or {}, tags_list or {}
  if #contexts > #datasets or #tags_list > #datasets then
    vm.raise("usage", "`mlflow.log_inputs` requires `datasets`, `contexts`, `tags_list` to be non-empty list and have the "
      .. "same length.")
  end
  local list = {}
  for i, dataset in ipairs(datasets) do
    list[i] = require("mlflow.data").input("mlflow.log_inputs", dataset, contexts[i] or nil, tags_list[i] or nil)
  end
  if #list > 0 then track.log_inputs(self._handle, json.encode(list)) end
end

-- A parameter keeps its first value. The store tells of another one, once; the same again it need not be given, and that a
-- third one comes it need not tell again.
local function log_param(self, key, value)
  local param, known = text.str(value), type(key) == "string" and self._params[key]
  if known and not track.ended(self._handle) then
    if known.value == param or known.told then return end
    known.told = true
  end
  track.log_param(self._handle, key, param)
  if not known then self._params[key] = {value = param} end
end

--- Logs a parameter; its text is as Python's str() writes the value. A parameter keeps its first value: another one
--- is put aside with a warning, and is an event, see `mlflow.on`. What changes is a metric or a tag.
---@param key string
---@param value any
function Run:log_param(key, ...)
  deliver()
  if select("#", ...) == 0 then vm.raise("usage", "mlflow.log_param: argument 'value' is missing") end
  log_param(self, key, (...))
end

--- Logs several parameters: all of them, or none where a key is wrong.
---@param params table<string, any>
function Run:log_params(params)
  deliver()
  expect_table("log_params", "params", params)
  check_keys("log_param", params)
  for key, value in text.ordered(params) do log_param(self, key, value) end
end

--- Sets a tag; an old value is replaced.
---@param key string
---@param value any
function Run:set_tag(key, ...)
  deliver()
  if select("#", ...) == 0 then vm.raise("usage", "mlflow.set_tag: argument 'value' is missing") end
  track.set_tag(self._handle, key, text.str((...)))
end

--- Sets several tags: all of them, or none where a key is wrong.
---@param tags table<string, any>
function Run:set_tags(tags)
  deliver()
  expect_table("set_tags", "tags", tags)
  check_keys("set_tag", tags)
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
  track.log_text(self._handle, text.dict(dictionary, artifact_file), artifact_file)
end

local image_defaults = {artifact_file = keywords.none, key = keywords.none, step = keywords.none,
  timestamp = keywords.none}

--- Logs a picture: as one file, or with `key` and `step` as one of a series, which MLflow's pages show by step.
---@param image Tensor [height, width] or [height, width, 1, 3 or 4]: bool, integers 0 to 255 or floats 0 to 1
---@param artifact_file string|{artifact_file: string, key: string, step: integer, timestamp: integer} "dir/image.png"
---@example local torch = require "torch"
--- local run <close> = mlflow.start_run()
--- run:log_image(torch.rand(8, 8, 3), "noise.png")
--- run:log_image(torch.rand(8, 8, 3), {key = "noise", step = 3})
function Run:log_image(image, artifact_file)
  deliver()
  local given = {artifact_file = artifact_file}
  if type(artifact_file) == "table" then
    given = keywords.check("mlflow.log_image", artifact_file, image_defaults)
  end
  local pictures = require "mlflow.pictures"
  local files, is_series = pictures.files(image, given.artifact_file, given.key, given.step, given.timestamp)
  pictures.write(self._handle, files)
  if is_series then self:set_tag("mlflow.loggedImages", true) end
end

--- Logs a figure: what train.plot draws (a history, or series by name), a Tensor as a picture, or the text of an SVG or
--- HTML file.
---@param figure table|Tensor|string
---@param artifact_file string "loss.svg", "plots/loss.png"
---@param options? table of train.plot
---@example local run <close> = mlflow.start_run()
--- run:log_figure({loss = {3, 2, 1}}, "loss.svg")
function Run:log_figure(figure, artifact_file, options)
  deliver()
  expect_string("log_figure", "artifact_file", artifact_file)
  track.log_text(self._handle, require("mlflow.pictures").figure(figure, artifact_file, options), artifact_file)
end

--- Logs rows of a table as JSON; those of before stay, above the new ones. A run that goes on waits
--- for its store, two seconds at most, the first time that it logs to a table.
---@param data table<string, any[]> the values of each column, or one row {column = value}
---@param artifact_file string "results.json"
---@example local run <close> = mlflow.start_run()
--- run:log_table({input = {"a", "b"}, score = {0.5, 0.25}}, "results.json")
function Run:log_table(data, artifact_file)
  deliver()
  require("mlflow.tables").log(self, data, artifact_file)
end

--- Logs a model of the run, as a LoggedModel: its weights (model.safetensors), the script that made it, its signature. It is
--- READY when the call returns; if its files cannot be stored it is FAILED, and the call an error. Metrics of the run at
--- the model's step are the model's too. It waits for the store.
---@param model Module|table a module, or a state dict
---@param options? table name = "model"; registered_model_name: makes it the next version of that model of the registry;
--- signature: of mlflow.models.infer_signature, by default what the model makes of input_example (a tensor), or false;
--- params, tags: of the model; step = 0; metadata: a table for MLmodel; model_type: any text
---@return table info {model_id, model_uri, name, run_id, registered_model_version ...}
---@example local run <close> = mlflow.start_run()
--- local info = run:log_model(torch.nn.Linear(2, 1), {name = "line", input_example = torch.ones(1, 2)})
--- mlflow.get_logged_model(info.model_id).status  --> READY
function Run:log_model(model, options, training)
  deliver()
  return require("mlflow.models").log(self, model, options, training)
end

--- Notes that something went wrong: a line on the console, the tag trainhost.last_error, and a line {epoch, step, text,
--- retries, time} in the artifact errors.jsonl (errors-TIME.jsonl of a run that goes on at a server). The same again at the
--- same epoch and step counts as a retry.
---@param message string
---@param at {epoch: integer, step: integer, retries: integer}|nil default: where the training is that is logged
---@example local run <close> = mlflow.start_run()
--- run:log_error("the sensor gave no data", {epoch = 3})
function Run:log_error(message, at)
  deliver()
  failures.record(self, message, failures.check(message, at))
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
