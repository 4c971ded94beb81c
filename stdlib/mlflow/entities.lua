-- mlflow.entities: what is read from a store and given to a client, as tables with MLflow's names.
local json = require "native.json"
local signature = require "torch.signature"

local entities = {
  ViewType = {ACTIVE_ONLY = 1, DELETED_ONLY = 2, ALL = 3},
  RunStatus = {RUNNING = "RUNNING", SCHEDULED = "SCHEDULED", FINISHED = "FINISHED", FAILED = "FAILED",
    KILLED = "KILLED"},
  LifecycleStage = {ACTIVE = "active", DELETED = "deleted"},
  LoggedModelStatus = {PENDING = "PENDING", READY = "READY", FAILED = "FAILED"},
}

-- --- What a script makes

local function class(name, spec, text)
  local meta = {__name = name, __tostring = text}
  local parse, _, _, names = signature("mlflow.entities." .. name, spec)
  return function(...)
    local values, made = table.pack(parse(...)), {}
    for i, key in ipairs(names) do made[key] = values[i] end
    return setmetatable(made, meta)
  end
end

local function pair_text(name)
  return function(self) return ("<%s: key='%s', value='%s'>"):format(name, self.key, tostring(self.value)) end
end

--- A point of a metric, for `MlflowClient:log_batch`.
---@param key string
---@param value number
---@param timestamp? integer ms since 1970, default now
---@param step? integer default 0
---@param model_id? string
---@param dataset_name? string
---@param dataset_digest? string
---@return table
entities.Metric = class("Metric", "key, value, timestamp=nil, step=0, model_id=nil, dataset_name=nil, "
  .. "dataset_digest=nil", function(self)
  return ("<Metric: key='%s', step=%s, value=%s, timestamp=%s>"):format(self.key, self.step, self.value, self.timestamp)
end)

--- A parameter, for `MlflowClient:log_batch`.
---@param key string
---@param value any
---@return table
entities.Param = class("Param", "key, value", pair_text("Param"))

--- A tag of a run, for `MlflowClient:log_batch`.
---@param key string
---@param value any
---@return table
entities.RunTag = class("RunTag", "key, value", pair_text("RunTag"))

--- A tag of an input, for `DatasetInput`.
---@param key string
---@param value string
---@return table
entities.InputTag = class("InputTag", "key, value", pair_text("InputTag"))

--- A dataset that a run has read, for `MlflowClient:log_inputs`.
---@param dataset table of mlflow.data, or of another run
---@param tags? table[] InputTags
---@return table
entities.DatasetInput = class("DatasetInput", "dataset, tags=nil")

-- --- What comes from a store

-- An absent value may also be written as null.
local function present(value)
  if value ~= json.null then return value end
end

-- int64 comes as a number or as digits.
local function integer(value)
  value = present(value)
  return value and math.tointeger(tonumber(value)) or nil
end

local words = {NaN = 0 / 0, Infinity = math.huge, ["-Infinity"] = -math.huge}
local function number(value)
  if words[value] then return words[value] end
  return value + 0.0
end

local function map(list, read)
  local values = {}
  for _, item in ipairs(list or {}) do
    local value = item.value
    if read then value = read(value) end
    values[item.key] = value
  end
  return values
end

local Run = {__name = "Run", __tostring = function(self)
  return ("Run('%s', %s, %s)"):format(self.info.run_name, self.info.run_id, self.info.status)
end}

local Experiment = {__name = "Experiment", __tostring = function(self)
  return ("Experiment('%s', %s, %s)"):format(self.name, self.experiment_id, self.lifecycle_stage)
end}

---@private
function entities.info_of(from)
  return {run_id = from.run_id, run_name = present(from.run_name) or "", experiment_id = from.experiment_id,
    user_id = present(from.user_id) or "", status = from.status, start_time = integer(from.start_time),
    end_time = integer(from.end_time), artifact_uri = present(from.artifact_uri),
    lifecycle_stage = from.lifecycle_stage}
end

local function dataset_of(from)
  return {name = from.name, digest = from.digest, source_type = from.source_type, source = from.source,
    schema = present(from.schema), profile = present(from.profile)}
end

---@private
function entities.run_of(from)
  local data, inputs, outputs = from.data or {}, from.inputs or {}, from.outputs or {}
  local datasets, model_inputs, model_outputs = {}, {}, {}
  for i, input in ipairs(inputs.dataset_inputs or {}) do
    local tags = {}
    for k, tag in ipairs(input.tags or {}) do tags[k] = entities.InputTag(tag.key, tag.value) end
    datasets[i] = entities.DatasetInput(dataset_of(input.dataset), {tags = tags})
  end
  for i, model in ipairs(inputs.model_inputs or {}) do model_inputs[i] = {model_id = model.model_id} end
  for i, model in ipairs(outputs.model_outputs or {}) do
    model_outputs[i] = {model_id = model.model_id, step = integer(model.step) or 0}
  end
  return setmetatable({
    info = entities.info_of(from.info),
    data = {metrics = map(data.metrics, number), params = map(data.params), tags = map(data.tags)},
    inputs = {dataset_inputs = datasets, model_inputs = model_inputs},
    outputs = {model_outputs = model_outputs},
  }, Run)
end

local LoggedModel = {__name = "LoggedModel", __tostring = function(self)
  return ("LoggedModel('%s', %s, %s)"):format(self.name, self.model_id, self.status)
end}

local statuses = {LOGGED_MODEL_PENDING = "PENDING", LOGGED_MODEL_READY = "READY", LOGGED_MODEL_UPLOAD_FAILED = "FAILED"}

---@private
function entities.logged_model_of(from)
  local info, data, metrics = from.info, from.data or {}, {}
  for i, metric in ipairs(data.metrics or {}) do
    metrics[i] = entities.Metric(metric.key, number(metric.value or 0.0), integer(metric.timestamp), integer(metric.step) or 0,
      {model_id = info.model_id, dataset_name = present(metric.dataset_name), dataset_digest = present(metric.dataset_digest)})
    metrics[i].run_id = present(metric.run_id)
  end
  return setmetatable({model_id = info.model_id, experiment_id = info.experiment_id, name = info.name,
    artifact_location = info.artifact_uri, creation_timestamp = integer(info.creation_timestamp_ms),
    last_updated_timestamp = integer(info.last_updated_timestamp_ms), model_type = present(info.model_type),
    source_run_id = present(info.source_run_id), status = statuses[info.status] or "UNSPECIFIED",
    status_message = present(info.status_message), tags = map(info.tags), params = map(data.params), metrics = metrics,
    model_uri = "models:/" .. info.model_id}, LoggedModel)
end

local ModelVersion = {__name = "ModelVersion", __tostring = function(self)
  return ("ModelVersion('%s', %s)"):format(self.name, self.version)
end}

---@private
function entities.model_version_of(from)
  return setmetatable({name = from.name, version = from.version, creation_timestamp = integer(from.creation_timestamp),
    last_updated_timestamp = integer(from.last_updated_timestamp), current_stage = from.current_stage,
    description = present(from.description), source = present(from.source), run_id = present(from.run_id),
    run_link = present(from.run_link), user_id = present(from.user_id), status = from.status or "READY",
    status_message = present(from.status_message), tags = map(from.tags), aliases = from.aliases or {},
    model_id = present(from.model_id)}, ModelVersion)
end

local RegisteredModel = {__name = "RegisteredModel", __tostring = function(self)
  return ("RegisteredModel('%s')"):format(self.name)
end}

---@private
function entities.registered_model_of(from)
  local versions, aliases = {}, {}
  for i, version in ipairs(from.latest_versions or {}) do versions[i] = entities.model_version_of(version) end
  for _, alias in ipairs(from.aliases or {}) do aliases[alias.alias] = alias.version end
  return setmetatable({name = from.name, creation_timestamp = integer(from.creation_timestamp),
    last_updated_timestamp = integer(from.last_updated_timestamp), description = present(from.description),
    latest_versions = versions, aliases = aliases, tags = map(from.tags)}, RegisteredModel)
end

---@private
function entities.metric_of(from)
  return entities.Metric(from.key, number(from.value or 0.0), integer(from.timestamp), integer(from.step) or 0)
end

---@private
function entities.experiment_of(from)
  return setmetatable({experiment_id = from.experiment_id, name = from.name,
    artifact_location = present(from.artifact_location), lifecycle_stage = from.lifecycle_stage,
    creation_time = integer(from.creation_time), last_update_time = integer(from.last_update_time),
    tags = map(from.tags)}, Experiment)
end

return entities
