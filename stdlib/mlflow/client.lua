-- mlflow.MlflowClient: experiments and runs of any store, read and changed by their ids; every call waits for its answer.
local artifacts = require "mlflow.artifacts"
local ask = require "mlflow.ask"
local entities = require "mlflow.entities"
local file = require "native.file"
local json = require "native.json"
local keywords = require "host.keywords"
local places = require "mlflow.places"
local signature = require "torch.signature"
local text = require "mlflow.text"
local track = require "native.track"
local vm = require "native.vm"

local MOST <const> = {metrics = 1000, params = 100, tags = 100}  -- in one call

local Client = {__name = "MlflowClient"}
Client.__index = Client
Client.__tostring = function(self) return ("MlflowClient('%s')"):format(self.tracking_uri) end

local function usage(message, hint) vm.raise("usage", "MlflowClient." .. message, hint) end

-- Defines a method: its arguments as Python has them, by position or by name; by position alone where the last one is a
-- value, which may be a table.
local function method(name, spec, f)
  local parse = spec and signature("MlflowClient." .. name, spec) or function(...) return ... end
  Client[name] = function(self, ...)
    if getmetatable(self) ~= Client then usage(name .. ": call it with ':'", "client:" .. name .. "(...)") end
    return f(self, parse(...))
  end
end

local function expect(name, argument, kind, value)
  if type(value) ~= kind then
    usage(("%s: argument '%s' must be a %s, got %s"):format(name, argument, kind, vm.describe(value)))
  end
  return value
end

-- Ids are strings; numbers are taken too.
local function id_of(name, value)
  if math.type(value) == "integer" then return tostring(value) end
  return expect(name, "experiment_id", "string", value)
end

-- {a = 1} as [{key, value}], in the order of the table, which must be one.
local function pairs_of(name, argument, values)
  local list = json.array{}
  if values == nil then return list end
  expect(name, argument, "table", values)
  for key, value in text.ordered(values) do list[#list + 1] = {key = text.str(key), value = text.str(value)} end
  return list
end

local views = {[1] = "ACTIVE_ONLY", [2] = "DELETED_ONLY", [3] = "ALL", ACTIVE_ONLY = "ACTIVE_ONLY",
  DELETED_ONLY = "DELETED_ONLY", ALL = "ALL"}
local function view(name, value)
  return views[value] or usage(("%s: unknown view type %s, expected a value of mlflow.entities.ViewType: 1 or "
    .. "\"ACTIVE_ONLY\", 2 or \"DELETED_ONLY\", 3 or \"ALL\""):format(name, vm.describe(value)))
end

local function orders(name, order_by)
  if order_by == nil then return nil end
  if type(order_by) == "string" then order_by = {order_by} end
  return json.array(table.move(expect(name, "order_by", "table", order_by), 1, #order_by, 1, {}))
end

-- Metrics as MLflow's JSON has them.
local function point(metric)
  if type(metric) ~= "table" or metric.key == nil then
    usage(("log_batch: a metric must be {key =, value =, timestamp =, step =}, got %s"):format(vm.describe(metric)))
  end
  local value = metric.value
  if type(value) == "userdata" then value = value:item() end
  if type(value) ~= "number" then
    usage(("log_batch: the value of '%s' must be a number or a tensor of one element, got %s")
      :format(tostring(metric.key), vm.describe(metric.value)))
  end
  if value ~= value then value = "NaN"
  elseif value == math.huge then value = "Infinity"
  elseif value == -math.huge then value = "-Infinity" end
  return {key = metric.key, value = value, timestamp = metric.timestamp or places.now(), step = metric.step or 0,
    model_id = metric.model_id, dataset_name = metric.dataset_name, dataset_digest = metric.dataset_digest}
end

-- --- Runs

--- Reads a run: {info, data = {metrics, params, tags}, inputs = {dataset_inputs}, outputs}; a tracking error if there is
--- none.
---@param run_id string
---@return table Run
method("get_run", "run_id", function(self, run_id)
  expect("get_run", "run_id", "string", run_id)
  return entities.run_of(ask.must("runs/get", {run_id = run_id}, self.tracking_uri).run)
end)

--- Reads the run in which a run is nested; nil if it is in none.
---@param run_id string
---@return table|nil Run
method("get_parent_run", "run_id", function(self, run_id)
  local parent = self:get_run(run_id).data.tags["mlflow.parentRunId"]
  return parent and self:get_run(parent) or nil
end)

--- Reads all points of a metric, by their time.
---@param run_id string
---@param key string
---@return table[] Metrics {key, value, timestamp, step}
method("get_metric_history", "run_id, key", function(self, run_id, key)
  expect("get_metric_history", "run_id", "string", run_id)
  expect("get_metric_history", "key", "string", key)
  local points, token = {}, nil
  repeat
    local page = ask.must("metrics/get-history",
      {run_id = run_id, metric_key = key, max_results = 25000, page_token = token}, self.tracking_uri)
    for _, item in ipairs(page.metrics or {}) do points[#points + 1] = entities.metric_of(item) end
    token = page.next_page_token
  until not token or token == ""
  return points
end)

--- Searches runs with MLflow's filters: comparisons joined by AND of `metrics.loss`, `params.lr`, `tags.team`,
--- `attributes.status`, `dataset.name` by = != < <= > >= LIKE ILIKE IN NOT IN IS NULL IS NOT NULL. Keys with other
--- characters than letters, digits, _ and . stand in backticks; texts stand in quotes.
---@param experiment_ids string[]|string|integer
---@param filter_string string default "": all
---@param run_view_type integer default 1: a value of mlflow.entities.ViewType
---@param max_results integer default 1000, at most 50000
---@param order_by? string[] {"metrics.loss ASC", "start_time DESC"}; then by start_time DESC and run_id
---@param page_token? string the `token` of the page before
---@return table[] runs its field `token` is of the next page, nil if there is none
method("search_runs", "experiment_ids, filter_string=\"\", run_view_type=1, max_results=1000, order_by=nil, "
  .. "page_token=nil", function(self, experiment_ids, filter, view_type, max_results, order_by, token)
  if type(experiment_ids) ~= "table" then experiment_ids = {experiment_ids} end
  local ids, runs = {}, {}
  for i, id in ipairs(experiment_ids) do ids[i] = id_of("search_runs", id) end
  if #ids == 0 then return runs end
  local page = ask.must("runs/search", {experiment_ids = ids, filter = expect("search_runs", "filter_string", "string",
    filter or ""), run_view_type = view("search_runs", view_type), max_results = max_results,
    order_by = orders("search_runs", order_by), page_token = token}, self.tracking_uri)
  for i, run in ipairs(page.runs or {}) do runs[i] = entities.run_of(run) end
  if page.next_page_token ~= "" then runs.token = page.next_page_token end
  return runs
end)

--- Makes a run, which is RUNNING until `set_terminated`. It is not active: `mlflow.start_run` makes active ones.
---@param experiment_id string
---@param start_time? integer ms since 1970, default now
---@param tags? table<string, any>
---@param run_name? string default a random one
---@return table Run
method("create_run", "experiment_id, start_time=nil, tags=nil, run_name=nil", function(self, id, start_time, tags, name)
  tags = pairs_of("create_run", "tags", tags)
  local user = "unknown"
  for _, tag in ipairs(tags) do
    if tag.key == "mlflow.user" then user = tag.value end
  end
  return entities.run_of(ask.must("runs/create", {experiment_id = id_of("create_run", id), user_id = user,
    start_time = start_time or places.now(), tags = tags, run_name = name or ""}, self.tracking_uri).run)
end)

--- Changes a run's status or its name.
---@param run_id string
---@param status? string
---@param name? string
method("update_run", "run_id, status=nil, name=nil", function(self, run_id, status, name)
  ask.must("runs/update", {run_id = run_id, status = status, run_name = name}, self.tracking_uri)
end)

--- Ends a run.
---@param run_id string
---@param status? string default "FINISHED"
---@param end_time? integer ms since 1970, default now
method("set_terminated", "run_id, status=nil, end_time=nil", function(self, run_id, status, end_time)
  ask.must("runs/update", {run_id = run_id, status = status or "FINISHED", end_time = end_time or places.now()},
    self.tracking_uri)
end)

--- Deletes a run; it can be restored until `mlflow gc` removes it.
---@param run_id string
method("delete_run", "run_id", function(self, run_id) ask.must("runs/delete", {run_id = run_id}, self.tracking_uri) end)

--- Takes the deletion of a run back.
---@param run_id string
method("restore_run", "run_id", function(self, run_id) ask.must("runs/restore", {run_id = run_id}, self.tracking_uri) end)

--- Logs metrics, params and tags, as many as there are. A param with another value than it has is an error.
---@param run_id string
---@param metrics? table[] {key =, value =, timestamp =, step =} each, or mlflow.entities.Metric
---@param params? table[] {key =, value =} each, or mlflow.entities.Param
---@param tags? table[] {key =, value =} each, or mlflow.entities.RunTag
---@example local client = mlflow.MlflowClient()
--- local id = client:create_run("0").info.run_id
--- client:log_batch(id, {{key = "loss", value = 0.5, step = 1}}, {{key = "lr", value = 0.1}})
--- client:get_run(id).data.params.lr  --> 0.1
method("log_batch", "run_id, metrics=nil, params=nil, tags=nil", function(self, run_id, metrics, params, tags)
  expect("log_batch", "run_id", "string", run_id)
  local lists = {metrics = {}, params = {}, tags = {}}
  for i, metric in ipairs(metrics or {}) do lists.metrics[i] = point(metric) end
  for what, given in pairs{params = params or {}, tags = tags or {}} do
    for i, item in ipairs(given) do
      if type(item) ~= "table" or item.key == nil then
        usage(("log_batch: %s must be a list of {key =, value =}, got %s"):format(what, vm.describe(item)))
      end
      lists[what][i] = {key = item.key, value = text.str(item.value)}
    end
  end
  local at = {metrics = 0, params = 0, tags = 0}
  while at.metrics < #lists.metrics or at.params < #lists.params or at.tags < #lists.tags do
    local request, room = {run_id = run_id}, 1000
    for _, what in ipairs{"params", "tags", "metrics"} do
      local count = math.min(#lists[what] - at[what], MOST[what], room)
      if count > 0 then request[what] = table.move(lists[what], at[what] + 1, at[what] + count, 1, {}) end
      at[what], room = at[what] + count, room - count
    end
    ask.must("runs/log-batch", request, self.tracking_uri)
  end
end)

--- Logs one point of a metric.
---@param run_id string
---@param key string
---@param value number|Tensor
---@param timestamp? integer ms since 1970, default now
---@param step? integer default 0
---@param dataset_name? string
---@param dataset_digest? string
---@param model_id? string
method("log_metric", "run_id, key, value, timestamp=nil, step=0, dataset_name=nil, dataset_digest=nil, model_id=nil",
  function(self, run_id, key, value, timestamp, step, dataset_name, dataset_digest, model_id)
    self:log_batch(run_id, {metrics = {{key = key, value = value, timestamp = timestamp, step = step,
      dataset_name = dataset_name, dataset_digest = dataset_digest, model_id = model_id}}})
  end)

--- Logs a parameter; another value than it has is an error.
---@param run_id string
---@param key string
---@param value any
---@return any value
method("log_param", nil, function(self, run_id, key, value)
  self:log_batch(run_id, {params = {{key = key, value = value}}})
  return value
end)

--- Sets a tag.
---@param run_id string
---@param key string
---@param value any
method("set_tag", nil, function(self, run_id, key, value)
  ask.must("runs/set-tag", {run_id = run_id, key = key, value = text.str(value)}, self.tracking_uri)
end)

--- Deletes a tag; a tracking error if there is none.
---@param run_id string
---@param key string
method("delete_tag", "run_id, key", function(self, run_id, key)
  ask.must("runs/delete-tag", {run_id = run_id, key = key}, self.tracking_uri)
end)

--- Logs the datasets that a run has read.
---@param run_id string
---@param datasets? table[] mlflow.entities.DatasetInput
method("log_inputs", "run_id, datasets=nil", function(self, run_id, datasets)
  local list = require("mlflow.data").inputs("MlflowClient.log_inputs", datasets)
  if #list > 0 then ask.must("runs/log-inputs", {run_id = run_id, datasets = list}, self.tracking_uri) end
end)

-- --- Experiments

--- Reads an experiment; a tracking error if there is none.
---@param experiment_id string
---@return table Experiment {experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time,
--- tags}
method("get_experiment", "experiment_id", function(self, id)
  return entities.experiment_of(
    ask.must("experiments/get", {experiment_id = id_of("get_experiment", id)}, self.tracking_uri).experiment)
end)

--- Reads the experiment of a name, deleted ones too; nil if there is none.
---@param name string
---@return table|nil Experiment
method("get_experiment_by_name", "name", function(self, name)
  expect("get_experiment_by_name", "name", "string", name)
  local found = ask.find("experiments/get-by-name", {experiment_name = name}, self.tracking_uri)
  return found and entities.experiment_of(found.experiment) or nil
end)

--- Searches experiments by `name`, `creation_time`, `last_update_time`, `experiment_id` and `tags.KEY`.
---@param view_type integer default 1: a value of mlflow.entities.ViewType
---@param max_results integer default 1000
---@param filter_string? string "name LIKE 'mnist%' AND tags.team = 'blue'"
---@param order_by? string[] default creation_time DESC, experiment_id ASC
---@param page_token? string
---@return table[] experiments its field `token` is of the next page
method("search_experiments", "view_type=1, max_results=1000, filter_string=nil, order_by=nil, page_token=nil",
  function(self, view_type, max_results, filter, order_by, token)
    local page = ask.must("experiments/search", {view_type = view("search_experiments", view_type),
      max_results = max_results, filter = filter, order_by = orders("search_experiments", order_by),
      page_token = token}, self.tracking_uri)
    local found = {}
    for i, experiment in ipairs(page.experiments or {}) do found[i] = entities.experiment_of(experiment) end
    if page.next_page_token ~= "" then found.token = page.next_page_token end
    return found
  end)

--- Makes an experiment; a tracking error if the name is taken.
---@param name string
---@param artifact_location? string default a folder of its own below mlruns, or what the server chooses
---@param tags? table<string, any>
---@return string experiment_id
method("create_experiment", "name, artifact_location=nil, tags=nil", function(self, name, location, tags)
  if type(name) ~= "string" or name == "" then
    vm.raise("usage", ("mlflow: Invalid experiment name: %s"):format(vm.describe(name)))
  end
  return ask.must("experiments/create", {name = name, artifact_location = location,
    tags = pairs_of("create_experiment", "tags", tags)}, self.tracking_uri).experiment_id
end)

--- Deletes an experiment and its runs; they can be restored until `mlflow gc` removes them.
---@param experiment_id string
method("delete_experiment", "experiment_id", function(self, id)
  ask.must("experiments/delete", {experiment_id = id_of("delete_experiment", id)}, self.tracking_uri)
end)

--- Takes the deletion of an experiment and its runs back.
---@param experiment_id string
method("restore_experiment", "experiment_id", function(self, id)
  ask.must("experiments/restore", {experiment_id = id_of("restore_experiment", id)}, self.tracking_uri)
end)

--- Renames an experiment.
---@param experiment_id string
---@param new_name string
method("rename_experiment", "experiment_id, new_name", function(self, id, new_name)
  ask.must("experiments/update", {experiment_id = id_of("rename_experiment", id), new_name = new_name},
    self.tracking_uri)
end)

--- Sets a tag of an experiment.
---@param experiment_id string
---@param key string
---@param value any
method("set_experiment_tag", nil, function(self, id, key, value)
  ask.must("experiments/set-experiment-tag", {experiment_id = id_of("set_experiment_tag", id), key = key,
    value = text.str(value)}, self.tracking_uri)
end)

--- Deletes a tag of an experiment; a tracking error if there is none.
---@param experiment_id string
---@param key string
method("delete_experiment_tag", "experiment_id, key", function(self, id, key)
  ask.must("experiments/delete-experiment-tag", {experiment_id = id_of("delete_experiment_tag", id), key = key},
    self.tracking_uri)
end)

-- --- Artifacts

--- Lists the artifacts of a run, or those of one of its folders.
---@param run_id string
---@param path? string
---@return table[] {path =, is_dir =, file_size =} each, sorted by path
method("list_artifacts", "run_id, path=nil", function(self, run_id, path)
  return artifacts.list(self:get_run(run_id).info.artifact_uri, path, self.tracking_uri)
end)

--- Fetches an artifact, or a folder of them, of a run.
---@param run_id string
---@param path string
---@param dst_path? string a folder, made if there is none; default a temporary one, or where a local store keeps it
---@return string local_path
method("download_artifacts", "run_id, path, dst_path=nil", function(self, run_id, path, dst_path)
  return artifacts.fetch(self:get_run(run_id).info.artifact_uri, path, dst_path, self.tracking_uri)
end)

-- Stores what is at a path under a name, and waits for it.
local function put(self, run_id, artifact_file, source, content)
  track.put_artifact(self:get_run(run_id).info.artifact_uri, artifact_file, source, content,
    places.other(self.tracking_uri))
end

local function below(folder, name) return folder and folder ~= "" and folder .. "/" .. name or name end

--- Logs all files below a folder as artifacts.
---@param run_id string
---@param local_dir string
---@param artifact_path? string folder in the run's artifacts
method("log_artifacts", "run_id, local_dir, artifact_path=nil", function(self, run_id, local_dir, artifact_path)
  for _, found in ipairs(track.files_below(expect("log_artifacts", "local_dir", "string", local_dir))) do
    put(self, run_id, below(artifact_path, found.relative), found.path)
  end
end)

--- Logs a file as an artifact, or a folder under its own name.
---@param run_id string
---@param local_path string
---@param artifact_path? string folder in the run's artifacts
method("log_artifact", "run_id, local_path, artifact_path=nil", function(self, run_id, local_path, artifact_path)
  expect("log_artifact", "local_path", "string", local_path)
  local target = below(artifact_path, file.absolute(local_path):match("([^/]+)/*$"))
  if file.is_folder(local_path) then return self:log_artifacts(run_id, local_path, target) end
  put(self, run_id, target, local_path)
end)

--- Logs a string as an artifact.
---@param run_id string
---@param text string
---@param artifact_file string "notes/readme.txt"
method("log_text", "run_id, text, artifact_file", function(self, run_id, content, artifact_file)
  put(self, run_id, artifact_file, nil, expect("log_text", "text", "string", content))
end)

--- Logs a table as an artifact: as YAML if the name ends with .yml or .yaml, else as JSON.
---@param run_id string
---@param dictionary table
---@param artifact_file string "config.yaml"
method("log_dict", "run_id, dictionary, artifact_file", function(self, run_id, dictionary, artifact_file)
  expect("log_dict", "artifact_file", "string", artifact_file)
  put(self, run_id, artifact_file, nil, text.dict(expect("log_dict", "dictionary", "table", dictionary), artifact_file))
end)

require "mlflow.registry_calls"(method, {expect = expect, pairs_of = pairs_of, orders = orders})
require "mlflow.logged_model_calls"(method, {expect = expect, pairs_of = pairs_of, id_of = id_of, below = below, usage = usage})

--- A client of a store.
---@param tracking_uri? string default where mlflow logs to now
---@return MlflowClient
---@example local client = mlflow.MlflowClient()
--- for _, run in ipairs(client:search_runs({"0"}, "metrics.loss < 0.3")) do print(run.info.run_name) end
return function(tracking_uri)
  if keywords.is(tracking_uri) then
    tracking_uri = keywords.check("MlflowClient", tracking_uri, {tracking_uri = keywords.none,
      registry_uri = keywords.none}).tracking_uri
  end
  if tracking_uri ~= nil then expect("new", "tracking_uri", "string", tracking_uri) end
  return setmetatable({tracking_uri = tracking_uri and track.resolve(tracking_uri) or places.get_tracking_uri()}, Client)
end
