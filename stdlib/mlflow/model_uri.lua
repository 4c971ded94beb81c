-- Addresses of models: runs:/ID/name, models:/m-ID, models:/name/1, models:/name/Production, models:/name@alias.
local artifacts = require "mlflow.artifacts"
local vm = require "native.vm"

local model_uri = {}

local function fail(message, hint) vm.raise("tracking", "mlflow: " .. message, hint) end

---The version of the registry that an address names.
---@param client table
---@param uri string
---@return table? ModelVersion nil: it names none
function model_uri.version_of(client, uri)
  local name, alias = uri:match("^models:/+([^/@]+)@([^/@]+)$")
  if name then return client:get_model_version_by_alias(name, alias) end
  local which
  name, which = uri:match("^models:/+([^/@]+)/([^/]+)$")
  if not name then return nil end
  if which:find("^%d+$") then return client:get_model_version(name, which) end
  if which:lower() == "latest" then return client:get_model_version_by_alias(name, "latest") end
  local found = client:get_latest_versions(name, {stages = {which}})[1]
  return found or fail(("No versions of model with name '%s' and stage '%s' found"):format(name, which))
end

---The LoggedModel that a run has made under a name: that of the largest step, of those the latest.
---@param client table
---@param run_id string
---@param name string
---@return table? LoggedModel
function model_uri.of_run(client, run_id, name)
  local run = client:get_run(run_id)
  local steps, best = {}, nil
  for _, output in ipairs(run.outputs.model_outputs) do steps[output.model_id] = output.step end
  if name:find("'", 1, true) then return nil end
  local token
  repeat
    local page = client:search_logged_models({run.info.experiment_id}, {filter_string = ("name = '%s'"):format(name),
      page_token = token})
    for _, model in ipairs(page) do
      local is_of_run = model.source_run_id == run.info.run_id
      if is_of_run and (not best or (steps[model.model_id] or 0) > (steps[best.model_id] or 0)) then best = model end
    end
    token = page.token
  until not token
  return best
end

---Where the files of a model are.
---@param client table
---@param uri string
---@return string root
---@return string path below it
---@return table? about {model_id, run_id}
function model_uri.place(client, uri)
  if type(uri) ~= "string" or uri == "" then
    vm.raise("usage", ("mlflow: the model's URI must be a string, got %s"):format(vm.describe(uri)),
      '"runs:/ID/model", "models:/m-ID", "models:/name/1" or "models:/name@alias"')
  end
  local run_id, name = uri:match("^runs:/+([^/]+)/(.-)/*$")
  if run_id then
    local root = client:get_run(run_id).info.artifact_uri
    for _, item in ipairs(artifacts.list(root, name, client.tracking_uri)) do
      if item.path == name .. "/MLmodel" then return root, name, {run_id = run_id} end
    end
    local model = model_uri.of_run(client, run_id, name)
    if not model then
      fail(("Unable to find a logged_model with artifact_path %s under run %s"):format(name, run_id))
    end
    return model.artifact_location, "", {model_id = model.model_id, run_id = model.source_run_id}
  end
  local model_id = uri:match("^models:/+([^/@]+)$")
  if model_id then
    local model = client:get_logged_model(model_id)
    return model.artifact_location, "", {model_id = model_id, run_id = model.source_run_id}
  end
  local version = model_uri.version_of(client, uri)
  if version then
    local where = client:get_model_version_download_uri(version.name, version.version)
    if where:find("^models:") or where:find("^runs:") then return model_uri.place(client, where) end
    return where, "", {run_id = version.run_id}
  end
  if uri:find("^models:") then
    vm.raise("usage", ("mlflow: Invalid model URI: '%s'"):format(uri), 'models:/m-ID, models:/name/1 or models:/name@alias')
  end
  return uri, "", {}
end

return model_uri
