-- Reading and changing what a store has, of the tracking URI that is set: MlflowClient's calls as functions of mlflow.
local places = require "mlflow.places"
local signature = require "torch.signature"
local vm = require "native.vm"
local Client = require "mlflow.client"

local search = {}

local PAGE <const> = 10000  -- runs that are asked for at once

local function client() return Client() end

-- All pages of what `more(count, token)` returns, up to `most`.
local function all(most, page, more)
  local found, token = {}, nil
  repeat
    local count = most and math.min(page, most - #found) or page
    if count < 1 then break end
    local items = more(count, token)
    table.move(items, 1, #items, #found + 1, found)
    token = items.token
  until not token
  return found
end

--- Reads a run back from the store, all that was logged so far included; data.metrics holds the latest value of each
--- key. A tracking error if there is none.
---@param run_id string
---@return {info: table, data: {metrics: table, params: table, tags: table}, inputs: table, outputs: table} Run
---@example local run <close> = mlflow.start_run()
--- run:log_metric("loss", 0.5)
--- mlflow.get_run(run.info.run_id).data.metrics.loss  --> 0.5
function search.get_run(run_id) return client():get_run(run_id) end

--- Reads the run in which a run is nested; nil if it is in none.
---@param run_id string
---@return table|nil Run
function search.get_parent_run(run_id) return client():get_parent_run(run_id) end

--- Reads all points of a metric back, by their time.
---@param run_id string
---@param key string
---@return table[] points {key, value, step, timestamp} each
function search.get_metric_history(run_id, key) return client():get_metric_history(run_id, key) end

--- Deletes a run; it can be restored until `mlflow gc` removes it.
---@param run_id string
function search.delete_run(run_id) client():delete_run(run_id) end

local parse_runs = signature("mlflow.search_runs", "experiment_ids=nil, filter_string=\"\", run_view_type=1, "
  .. "max_results=100000, order_by=nil, output_format=\"list\", search_all_experiments=false, experiment_names=nil")

--- Searches runs, with the filters of `MlflowClient:search_runs`. Without experiments it looks in the active one.
---@param experiment_ids? string[]
---@param filter_string? string "metrics.loss < 0.3 AND params.optimizer = 'adam' AND tags.`my tag` LIKE 'a%'"
---@param run_view_type? integer default 1: a value of mlflow.entities.ViewType
---@param max_results? integer default 100000
---@param order_by? string[] {"metrics.loss ASC", "start_time DESC"}; then by start_time DESC and run_id
---@param output_format? string "list" alone: there is no pandas here
---@param search_all_experiments? boolean default false; counts where no experiment is named
---@param experiment_names? string[] in place of the ids
---@return table[] Runs
---@example local best = mlflow.search_runs{order_by = {"metrics.loss ASC"}, max_results = 1}[1]
function search.search_runs(...)
  local ids, filter, view, most, order_by, format, everywhere, names = parse_runs(...)
  if format == "pandas" then
    vm.raise("usage", "mlflow.search_runs: there is no pandas here, output_format is \"list\": a table of runs")
  elseif format ~= "list" then
    vm.raise("usage", ("mlflow.search_runs: Unsupported output format: %s. Supported string value is 'list'")
      :format(vm.describe(format)))
  end
  if type(ids) == "string" or math.type(ids) == "integer" then ids = {ids} end
  if type(names) == "string" then names = {names} end
  local has_ids, has_names = ids ~= nil and #ids > 0, names ~= nil and #names > 0
  if has_ids and has_names then
    vm.raise("usage", "mlflow.search_runs: Only experiment_ids or experiment_names can be used, but not both")
  end
  local asked = client()
  if has_names then
    ids = {}
    for _, name in ipairs(names) do
      local experiment = asked:get_experiment_by_name(name)
      if experiment then ids[#ids + 1] = experiment.experiment_id
      else require("native.log").warn("mlflow.search_runs: Cannot retrieve experiment by name " .. name) end
    end
  elseif not has_ids then
    ids = {}
    if everywhere then
      for i, experiment in ipairs(search.search_experiments()) do ids[i] = experiment.experiment_id end
    else
      places.open()
      ids[1] = places.experiment_of()
    end
  end
  return all(most, PAGE, function(count, token)
    return asked:search_runs(ids, filter or "", view, count, order_by, token)
  end)
end

local parse_experiments = signature("mlflow.search_experiments",
  "view_type=1, max_results=nil, filter_string=nil, order_by=nil")

--- Searches experiments by `name`, `creation_time`, `last_update_time` and `tags.KEY`.
---@param view_type? integer default 1: a value of mlflow.entities.ViewType
---@param max_results? integer default all
---@param filter_string? string "name LIKE 'mnist%'"
---@param order_by? string[] default creation_time DESC
---@return table[] Experiments
---@example for _, experiment in ipairs(mlflow.search_experiments()) do print(experiment.name) end
function search.search_experiments(...)
  local view, most, filter, order_by = parse_experiments(...)
  return all(most, 1000, function(count, token)
    return client():search_experiments(view, count, filter, order_by, token)
  end)
end

--- Reads an experiment; a tracking error if there is none.
---@param experiment_id string
---@return table Experiment
function search.get_experiment(experiment_id) return client():get_experiment(experiment_id) end

--- Reads the experiment of a name; nil if there is none.
---@param name string
---@return table|nil Experiment
function search.get_experiment_by_name(name) return client():get_experiment_by_name(name) end

--- Makes an experiment, which is not active yet; a tracking error if the name is taken.
---@param name string
---@param artifact_location? string
---@param tags? table<string, any>
---@return string experiment_id
function search.create_experiment(...) return client():create_experiment(...) end

--- Deletes an experiment and its runs; they can be restored until `mlflow gc` removes them.
---@param experiment_id string
function search.delete_experiment(experiment_id) client():delete_experiment(experiment_id) end

-- The experiment of the next run.
local function active_experiment()
  places.open()
  return places.experiment_of()
end

--- Sets a tag of the active experiment.
---@param key string
---@param value any
function search.set_experiment_tag(key, value) client():set_experiment_tag(active_experiment(), key, value) end

--- Sets several tags of the active experiment.
---@param tags table<string, any>
function search.set_experiment_tags(tags)
  if type(tags) ~= "table" then
    vm.raise("usage", ("mlflow.set_experiment_tags: argument 'tags' must be a table, got %s"):format(vm.describe(tags)))
  end
  for key, value in require("mlflow.text").ordered(tags) do search.set_experiment_tag(key, value) end
end

--- Deletes a tag of the active experiment.
---@param key string
function search.delete_experiment_tag(key) client():delete_experiment_tag(active_experiment(), key) end

return search
