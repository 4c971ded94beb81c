-- Where runs go: the store that the tracking URI names, and the experiment in it.
local keywords = require "host.keywords"
local track = require "native.track"
local vm = require "native.vm"

local places = {}

local chosen_uri, opened_uri  -- what set_tracking_uri was given; what the store is open for
local active_experiment       -- set by set_experiment

local function fail(message, hint) vm.raise("tracking", message, hint) end

local scratch  -- the folder of the runs of a dry run

-- A store of its own, which is gone when the script ends.
local function open_scratch()
  if not scratch then
    local host = require "host"
    scratch = os.tmpname()
    os.remove(scratch)
    host.file.mkdir(scratch)
  end
  track.open("sqlite:///" .. scratch .. "/mlflow.db", scratch .. "/mlruns")
end

--- Opens the store of the next run, if it is not. In a dry run it is one that nobody sees.
---@private
function places.open()
  local dry = require("host").dry_run()
  local uri = places.get_tracking_uri()
  if dry then uri = "dry run of " .. uri end
  if uri == opened_uri then return end
  if dry then
    open_scratch()
    require("host.overlay").tell("what is logged to " .. places.get_tracking_uri())
  else
    track.open(uri)
  end
  opened_uri = uri
end

--- Removes what a dry run has made.
---@private
function places.clean()
  if scratch then require("host").file.remove(scratch) end
  scratch = nil
end

--- Chooses where runs are kept: "sqlite:///runs/mlflow.db", or the tracking server "http://host:5000". Without it
--- MLFLOW_TRACKING_URI decides, else ./mlflow.db. Runs that are active stay where they are. A server that is away ends
--- no script: what is logged waits in .trainhost/runs and is sent when it is back, by the next start with that server or
--- by `trainhost sync` if the process has ended before; files that were logged wait there too. Of MLflow's environment
--- variables for servers these count: MLFLOW_TRACKING_USERNAME and _PASSWORD (or ~/.mlflow/credentials), _TOKEN,
--- _INSECURE_TLS, _SERVER_CERT_PATH, _CLIENT_CERT_PATH, MLFLOW_WORKSPACE, MLFLOW_HTTP_REQUEST_TIMEOUT, _MAX_RETRIES,
--- _BACKOFF_FACTOR, _BACKOFF_JITTER, MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER,
--- MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT.
---@param uri string
function places.set_tracking_uri(uri)
  if type(uri) ~= "string" then
    vm.raise("usage", ("mlflow.set_tracking_uri: argument 'uri' must be a string, got %s"):format(vm.describe(uri)))
  end
  local resolved = uri ~= "" and track.resolve(uri) or nil
  if resolved ~= chosen_uri then active_experiment = nil end
  chosen_uri = resolved
end

--- Returns where runs are kept, as an absolute URI.
---@return string
function places.get_tracking_uri()
  return chosen_uri or track.resolve(vm.getenv("MLFLOW_TRACKING_URI"))
end

-- An id may be given as a number.
local function text_of(id) return math.type(id) == "integer" and tostring(id) or id end

local function find_by_id(id, where)
  local found = track.find_experiment(nil, id)
  if not found and require("host").dry_run() then return track.experiment("experiment " .. id) end
  if not found then fail(("%s: no experiment with id '%s' exists"):format(where, id)) end
  return found
end

local function use_experiment(experiment)
  if experiment.lifecycle_stage ~= "active" then
    fail(("mlflow: cannot set the deleted experiment '%s' as the active experiment"):format(experiment.name),
      "restore it, or permanently delete it to create a new one")
  end
  active_experiment = experiment
  return experiment
end

--- Chooses the experiment of the next runs by its name, which is made if there is none, or by its id.
---@param experiment_name string|{experiment_name: string, experiment_id: string}
---@return {experiment_id: string, name: string, artifact_location: string, lifecycle_stage: string}
---@example mlflow.set_experiment("fashion"); mlflow.set_experiment{experiment_id = "1"}
function places.set_experiment(experiment_name, experiment_id)
  local name, id = experiment_name, experiment_id
  if type(experiment_name) == "table" then
    local given = keywords.check("mlflow.set_experiment", experiment_name,
      {experiment_name = keywords.none, experiment_id = keywords.none})
    name, id = given.experiment_name, given.experiment_id
  end
  id = text_of(id)
  if (name == nil) == (id == nil) then
    vm.raise("usage", "mlflow.set_experiment: must specify exactly one of: experiment_id or experiment_name")
  end
  if name ~= nil and (type(name) ~= "string" or name == "") then
    vm.raise("usage", ("mlflow.set_experiment: the name must be a non-empty string, got %s"):format(vm.describe(name)))
  end
  places.open()
  return use_experiment(id and find_by_id(id, "mlflow.set_experiment") or track.experiment(name))
end

--- The experiment of a run: the one that it names, else set_experiment's, the environment's, Default.
---@param named? string|integer an id
---@return string id
---@private
function places.experiment_of(named)
  if named ~= nil then
    if require("host").dry_run() then return find_by_id(text_of(named), "mlflow.start_run").experiment_id end
    return text_of(named)
  end
  if active_experiment then return active_experiment.experiment_id end
  local name, id = vm.getenv("MLFLOW_EXPERIMENT_NAME"), vm.getenv("MLFLOW_EXPERIMENT_ID")
  if name and name ~= "" then
    local experiment = track.experiment(name)
    if id and id ~= "" and id ~= experiment.experiment_id then
      fail(("mlflow: MLFLOW_EXPERIMENT_ID '%s' does not match the id '%s' of MLFLOW_EXPERIMENT_NAME '%s'")
        :format(id, experiment.experiment_id, name))
    end
    return experiment.experiment_id
  end
  if id and id ~= "" then return find_by_id(id, "mlflow: MLFLOW_EXPERIMENT_ID").experiment_id end
  return "0"
end

--- The experiment that set_experiment has chosen, nil if none.
---@return table?
---@private
function places.active() return active_experiment end

--- Which store a call is for that names one: nil is the open one, as it is in a dry run, whatever is named.
---@param uri? string
---@return string?
---@private
function places.other(uri)
  if uri == nil or uri == places.get_tracking_uri() or require("host").dry_run() then return nil end
  return uri
end

--- Now, in ms since 1970.
---@return integer
---@private
function places.now() return math.floor(vm.time() * 1000) end

--- Has a store been opened?
---@return boolean
---@private
function places.is_open() return opened_uri ~= nil end

return places
