-- Models of runs and of the registry: logged, registered, loaded.
local artifacts = require "mlflow.artifacts"
local ask = require "mlflow.ask"
local Client = require "mlflow.client"
local keywords = require "host.keywords"
local model_folder = require "mlflow.model_folder"
local model_uri = require "mlflow.model_uri"
local places = require "mlflow.places"
local signature = require "torch.signature"
local track = require "native.track"
local vm = require "native.vm"

local is_module <const> = require("torch.nn.module").is_module

local models = {infer_signature = model_folder.infer_signature}

local function usage(where, message, hint) vm.raise("usage", ("mlflow.%s: %s"):format(where, message), hint) end

-- --- Registering

local parse_register = signature("mlflow.register_model", "model_uri, name, await_registration_for=300, tags=nil")

--- Registers a model: makes the next version of a registered model, which is made if there is none.
---@param model_uri string "models:/m-ID" of a LoggedModel, "runs:/ID/name", "models:/name/1", or where the files are
---@param name string
---@param await_registration_for? number not looked at: a version is there when the call returns
---@param tags? table<string, any> of the version
---@return table ModelVersion {name, version ...}
---@example local run <close> = mlflow.start_run()
--- local info = run:log_model(torch.nn.Linear(2, 1), {name = "line"})
--- mlflow.register_model(info.model_uri, "lines").version  --> 1
function models.register_model(...)
  local uri, name, _, tags = parse_register(...)
  if type(name) ~= "string" then usage("register_model", "argument 'name' must be a string, got " .. vm.describe(name)) end
  local client = Client()
  local root, path, about = model_uri.place(client, uri)
  if not ask.find("registered-models/get", {name = name}) then
    local ok, err = pcall(client.create_registered_model, client, name)
    -- Another process may have made it since.
    if not ok and not ask.find("registered-models/get", {name = name}) then error(err, 0) end
  end
  local source = uri
  if about.model_id then source = "models:/" .. about.model_id
  elseif uri:find("^runs:") then source = path == "" and root or root .. "/" .. path
  elseif uri:find("^models:") then
    local version = model_uri.version_of(client, uri)
    source = ("models:/%s/%s"):format(version.name, version.version)
  end
  return client:create_model_version(name, source, {run_id = about.run_id, tags = tags, model_id = about.model_id})
end

-- --- Logging

local none <const> = keywords.none
local DEFAULTS <const> = {name = "model", registered_model_name = none, signature = none, input_example = none, params = none,
  tags = none, step = 0, metadata = none, model_type = none, artifact_path = none}

local function check(model, options)
  local o = keywords.check("mlflow.log_model", options, DEFAULTS)
  if type(model) ~= "table" and not is_module(model) then
    usage("log_model", "expected a module, or a state dict, got " .. vm.describe(model))
  end
  o.name = o.artifact_path or o.name
  if type(o.name) ~= "string" or o.name == "" or o.name:find("[/:.%%\"']") then
    usage("log_model", ("Invalid model name (%s) provided. Model name must be a non-empty string and cannot contain the "
      .. "following characters: ('/', ':', '.', '%%', '\"', \"'\")"):format(vm.describe(o.name)))
  end
  if math.type(o.step) ~= "integer" then usage("log_model", "step must be an integer, got " .. vm.describe(o.step)) end
  local registered = o.registered_model_name
  if registered ~= nil and (type(registered) ~= "string" or registered == "" or registered:find("[/:]")) then
    usage("log_model", ("Invalid model name '%s'. Names cannot contain '/' or ':'."):format(tostring(registered)))
  end
  for _, name in ipairs {"params", "tags", "metadata"} do
    if o[name] ~= nil and type(o[name]) ~= "table" then
      usage("log_model", ("%s must be a table of name -> value, got %s"):format(name, vm.describe(o[name])))
    end
  end
  o.signature = model_folder.signature_of(model, o)
  return o
end

-- The points of the run at the model's step are the model's too.
local function link_metrics(client, run_id, model_id, step)
  local points = {}
  for key in pairs(client:get_run(run_id).data.metrics) do
    for _, point in ipairs(client:get_metric_history(run_id, key)) do
      if point.step == step then
        point.model_id = model_id
        points[#points + 1] = point
      end
    end
  end
  if points[1] then client:log_batch(run_id, {metrics = points}) end
end

-- The run, as its store knows it.
local function id_of(run, seconds)
  local id, message = run:wait_id(seconds)
  if not id then vm.raise("tracking", message) end
  return id
end

local CALLS <const>, FILES <const> = 10, 60  -- seconds that a training waits for a server: for its answers, for the files

---Logs a model; what Run:log_model and the callback do.
---@private
---@param run table? nil: the model is of no run
---@param model userdata|table
---@param options? table
---@param training? table {write = fun(folder): more of the folder, is_final}; a training waits for a short time alone, and but
---for its final model it logs the metrics afterwards
---@return table info
function models.log(run, model, options, training)
  local o, client = check(model, options), Client()
  local function wait(seconds)
    if training then track.wait_at_most(seconds) end
  end
  local _ <close> = setmetatable({}, {__close = function() track.wait_at_most(nil) end})
  places.open()
  wait(CALLS)
  local run_id = run and id_of(run, training and CALLS)
  local experiment_id = run and run.info.experiment_id or places.experiment_of()
  local made = client:create_logged_model(experiment_id, {name = o.name, source_run_id = run_id, tags = o.tags, params = o.params,
    model_type = o.model_type})
  local ok, err = pcall(model_folder.staged, function(folder)
    model_folder.write(folder, model, o, {run_id = run_id, model_id = made.model_id, artifact_path = made.artifact_location})
    if training then training.write(folder) end
    wait(FILES)
    client:log_model_artifacts(made.model_id, folder)
  end)
  wait(CALLS)
  if not ok then
    pcall(client.finalize_logged_model, client, made.model_id, "FAILED")
    error(err, 0)
  end
  client:finalize_logged_model(made.model_id, "READY")
  if run then
    client:log_outputs(run_id, {{model_id = made.model_id, step = o.step}})
    run:_made(made.model_id, o.step)
    if not training then link_metrics(client, run_id, made.model_id, o.step)
    elseif training.is_final then pcall(link_metrics, client, run_id, made.model_id, o.step) end
  end
  local version
  if o.registered_model_name then
    version = models.register_model("models:/" .. made.model_id, o.registered_model_name, {tags = o.tags}).version
  end
  return {model_id = made.model_id, model_uri = "models:/" .. made.model_id, name = o.name, run_id = run_id, step = o.step,
    model_uuid = made.model_id, artifact_path = made.artifact_location, signature = o.signature, metadata = o.metadata,
    params = o.params or {}, tags = o.tags or {}, registered_model_version = version}
end

--- Logs a model as that of the active run, if there is one: see `Run:log_model`.
---@param model Module
---@param options? table
---@return table info
function models.log_model(model, options) return models.log(require("mlflow").active_run(), model, options) end

-- --- Loading

--- Fetches the weights of a model and loads them into a module, which is returned.
---@param uri string "runs:/ID/name", "models:/m-ID", "models:/name/1", "models:/name/latest" or "models:/name@alias"
---@param options {into: Module, dst_path: string, strict: boolean} the module; a folder to keep the files in; strict = true
---@return Module
---@example local net = torch.nn.Linear(2, 1)
--- local run <close> = mlflow.start_run()
--- local info = run:log_model(net, {name = "line", registered_model_name = "line of the example"})
--- local same = mlflow.load_model("models:/line of the example/1", {into = torch.nn.Linear(2, 1)})
--- torch.equal(same.weight, net.weight)  --> true
function models.load_model(uri, options)
  local o = keywords.check("mlflow.load_model", options, {into = none, dst_path = none, strict = true})
  if not is_module(o.into) then
    usage("load_model", "the weights need a module to be loaded into, got into = " .. vm.describe(o.into),
      "mlflow.load_model(uri, {into = net})")
  end
  local client = Client()
  local root, path = model_uri.place(client, uri)
  local folder = artifacts.all(root, path, o.dst_path)
  o.into:load_state_dict(model_folder.weights(folder, uri), {strict = o.strict})
  return o.into
end

-- --- A client's calls, of the tracking URI that is set

for _, name in ipairs {"create_logged_model", "finalize_logged_model", "get_logged_model", "delete_logged_model", "log_model_params",
  "set_logged_model_tags", "delete_logged_model_tag", "set_model_version_tag", "search_registered_models",
  "search_model_versions"} do
  models[name] = function(...)
    local client = Client()
    return client[name](client, ...)
  end
end

local parse_search = signature("mlflow.search_logged_models", "experiment_ids=nil, filter_string=nil, datasets=nil, "
  .. "max_results=nil, order_by=nil, output_format=\"list\"")

--- Searches LoggedModels, in the active experiment where none is named: see `MlflowClient:search_logged_models`.
---@param experiment_ids? string[]
---@param filter_string? string
---@param datasets? table[]
---@param max_results? integer default all
---@param order_by? table[]
---@param output_format? string "list" alone
---@return table[] LoggedModels
function models.search_logged_models(...)
  local ids, filter, datasets, most, order_by, format = parse_search(...)
  if format ~= "list" then usage("search_logged_models", 'there is no pandas here, output_format is "list": a table of models') end
  places.open()
  ids = ids or {places.experiment_of()}
  local client, found, token = Client(), {}, nil
  repeat
    local page = client:search_logged_models(ids, filter, datasets, most and math.min(most - #found, 1000) or 1000, order_by, token)
    table.move(page, 1, #page, #found + 1, found)
    token = page.token
  until not token or most and #found >= most
  return found
end

return models
