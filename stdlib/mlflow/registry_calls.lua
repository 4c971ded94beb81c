-- MlflowClient's calls of the model registry: registered models, their versions, aliases, stages and tags.
local ask = require "mlflow.ask"
local entities = require "mlflow.entities"
local json = require "native.json"
local text = require "mlflow.text"
local vm = require "native.vm"

local STAGES <const> = {"None", "Staging", "Production", "Archived"}

-- What the registry is asked: its names and the answer.
local function registered(self, path, request)
  return entities.registered_model_of(ask.must(path, request, self.tracking_uri).registered_model)
end

local function versioned(self, path, request)
  return entities.model_version_of(ask.must(path, request, self.tracking_uri).model_version)
end

-- A page of what a search finds.
local function page_of(answer, list, read)
  local found = {}
  for i, item in ipairs(answer[list] or {}) do found[i] = read(item) end
  if answer.next_page_token ~= "" then found.token = answer.next_page_token end
  return found
end

---@private
---@param method fun(name: string, spec: string|nil, f: function)
---@param of table what all calls of a client read their arguments with
return function(method, of)
  local function named(where, name) return of.expect(where, "name", "string", name) end
  -- A version is a number, or its digits.
  local function number(where, version)
    if math.type(version) == "integer" then return tostring(version) end
    if type(version) ~= "string" or not version:find("^%d+$") then
      vm.raise("usage", ("MlflowClient.%s: Parameter 'version' must be an integer, got %s"):format(where, vm.describe(version)))
    end
    return version
  end

  --- Makes a registered model; a tracking error if the name is taken.
  ---@param name string without "/" and ":"
  ---@param tags? table<string, any>
  ---@param description? string
  ---@return table RegisteredModel {name, description, tags, aliases, latest_versions, creation_timestamp ...}
  method("create_registered_model", "name, tags=nil, description=nil", function(self, name, tags, description)
    return registered(self, "registered-models/create", {name = named("create_registered_model", name),
      tags = of.pairs_of("create_registered_model", "tags", tags), description = description})
  end)

  --- Renames a registered model; its versions, tags and aliases follow.
  ---@param name string
  ---@param new_name string
  ---@return table RegisteredModel
  method("rename_registered_model", "name, new_name", function(self, name, new_name)
    return registered(self, "registered-models/rename", {name = named("rename_registered_model", name), new_name = new_name})
  end)

  --- Changes the description of a registered model.
  ---@param name string
  ---@param description? string
  ---@return table RegisteredModel
  method("update_registered_model", "name, description=nil", function(self, name, description)
    return registered(self, "PATCH registered-models/update",
      {name = named("update_registered_model", name), description = description or ""})
  end)

  --- Deletes a registered model and its versions, for good.
  ---@param name string
  method("delete_registered_model", "name", function(self, name)
    ask.must("DELETE registered-models/delete", {name = named("delete_registered_model", name)}, self.tracking_uri)
  end)

  --- Reads a registered model, with the latest version of each stage; a tracking error if there is none.
  ---@param name string
  ---@return table RegisteredModel
  method("get_registered_model", "name", function(self, name)
    return registered(self, "registered-models/get", {name = named("get_registered_model", name)})
  end)

  --- Searches registered models by `name` and `tags.KEY`.
  ---@param filter_string? string "name LIKE 'mnist%' AND tags.team = 'blue'"
  ---@param max_results? integer default 100, at most 1000
  ---@param order_by? string[] of name, creation_timestamp, last_updated_timestamp; default name ASC
  ---@param page_token? string
  ---@return table[] RegisteredModels its field `token` is of the next page
  method("search_registered_models", "filter_string=nil, max_results=100, order_by=nil, page_token=nil",
    function(self, filter, max_results, order_by, token)
      return page_of(ask.must("GET registered-models/search", {filter = filter, max_results = max_results,
        order_by = of.orders("search_registered_models", order_by), page_token = token}, self.tracking_uri),
        "registered_models", entities.registered_model_of)
    end)

  --- Reads the latest version of each stage.
  ---@param name string
  ---@param stages? string[] default all
  ---@return table[] ModelVersions
  method("get_latest_versions", "name, stages=nil", function(self, name, stages)
    return page_of(ask.must("POST registered-models/get-latest-versions", {name = named("get_latest_versions", name),
      stages = stages and json.array(stages)}, self.tracking_uri), "model_versions", entities.model_version_of)
  end)

  --- Sets a tag of a registered model.
  ---@param name string
  ---@param key string
  ---@param value any
  method("set_registered_model_tag", nil, function(self, name, key, value)
    ask.must("registered-models/set-tag",
      {name = named("set_registered_model_tag", name), key = key, value = text.str(value)}, self.tracking_uri)
  end)

  --- Deletes a tag of a registered model, if there is one.
  ---@param name string
  ---@param key string
  method("delete_registered_model_tag", "name, key", function(self, name, key)
    ask.must("DELETE registered-models/delete-tag", {name = named("delete_registered_model_tag", name), key = key},
      self.tracking_uri)
  end)

  --- Makes the next version of a registered model.
  ---@param name string
  ---@param source string where its files are: "models:/<model_id>", "models:/<name>/<version>", "runs:/ID/path", a path or URI
  ---@param run_id? string the run that made it
  ---@param tags? table<string, any>
  ---@param run_link? string
  ---@param description? string
  ---@param await_creation_for? number not looked at: a version is there when the call returns
  ---@param model_id? string the LoggedModel that it is
  ---@return table ModelVersion {name, version, source, run_id, status, current_stage, description, tags, aliases ...}
  method("create_model_version", "name, source, run_id=nil, tags=nil, run_link=nil, description=nil, await_creation_for=300, "
    .. "model_id=nil", function(self, name, source, run_id, tags, run_link, description, _, model_id)
    named("create_model_version", name)
    of.expect("create_model_version", "source", "string", source)
    model_id = model_id or source:match("^models:/([^/@]+)$")
    return versioned(self, "model-versions/create", {name = name, source = source, run_id = run_id,
      tags = of.pairs_of("create_model_version", "tags", tags), run_link = run_link, description = description,
      model_id = model_id})
  end)

  --- Makes a version of another registered model, which is made if there is none, of the files of one that there is.
  ---@param src_model_uri string "models:/name/1", "models:/name@alias"
  ---@param dst_name string
  ---@return table ModelVersion
  method("copy_model_version", "src_model_uri, dst_name", function(self, uri, name)
    local from = require("mlflow.model_uri").version_of(self, uri)
    if not from then
      vm.raise("usage", ("MlflowClient.copy_model_version: Unsupported source model URI: '%s'. The `copy_model_version` API "
        .. "only copies models stored in the 'models:/' scheme."):format(tostring(uri)))
    end
    if not ask.find("registered-models/get", {name = named("copy_model_version", name)}, self.tracking_uri) then
      self:create_registered_model(name)
    end
    return self:create_model_version(name, ("models:/%s/%s"):format(from.name, from.version), {run_id = from.run_id,
      tags = from.tags, description = from.description})
  end)

  --- Changes the description of a version.
  ---@param name string
  ---@param version integer|string
  ---@param description? string
  ---@return table ModelVersion
  method("update_model_version", "name, version, description=nil", function(self, name, version, description)
    return versioned(self, "PATCH model-versions/update", {name = named("update_model_version", name),
      version = number("update_model_version", version), description = description or ""})
  end)

  --- Moves a version to a stage. MLflow advises aliases in place of stages.
  ---@param name string
  ---@param version integer|string
  ---@param stage string "None", "Staging", "Production" or "Archived"
  ---@param archive_existing_versions boolean default false; true: those that are there now become Archived
  ---@return table ModelVersion
  method("transition_model_version_stage", "name, version, stage, archive_existing_versions=false",
    function(self, name, version, stage, archive)
      return versioned(self, "model-versions/transition-stage", {name = named("transition_model_version_stage", name),
        version = number("transition_model_version_stage", version), stage = stage, archive_existing_versions = archive})
    end)

  --- Deletes a version and its aliases; its number is not given again. The files stay.
  ---@param name string
  ---@param version integer|string
  method("delete_model_version", "name, version", function(self, name, version)
    ask.must("DELETE model-versions/delete",
      {name = named("delete_model_version", name), version = number("delete_model_version", version)}, self.tracking_uri)
  end)

  --- Reads a version; a tracking error if there is none.
  ---@param name string
  ---@param version integer|string
  ---@return table ModelVersion
  method("get_model_version", "name, version", function(self, name, version)
    return versioned(self, "model-versions/get",
      {name = named("get_model_version", name), version = number("get_model_version", version)})
  end)

  --- Says where the files of a version are.
  ---@param name string
  ---@param version integer|string
  ---@return string uri
  method("get_model_version_download_uri", "name, version", function(self, name, version)
    return ask.must("model-versions/get-download-uri", {name = named("get_model_version_download_uri", name),
      version = number("get_model_version_download_uri", version)}, self.tracking_uri).artifact_uri
  end)

  --- Searches versions by `name`, `version_number`, `run_id`, `source_path` and `tags.KEY`.
  ---@param filter_string? string "name = 'mnist' AND version_number > 3"
  ---@param max_results? integer default 10000, at most 200000
  ---@param order_by? string[] of name, version_number, creation_timestamp, last_updated_timestamp; default the latest change first
  ---@param page_token? string
  ---@return table[] ModelVersions its field `token` is of the next page
  method("search_model_versions", "filter_string=nil, max_results=10000, order_by=nil, page_token=nil",
    function(self, filter, max_results, order_by, token)
      return page_of(ask.must("GET model-versions/search", {filter = filter, max_results = max_results,
        order_by = of.orders("search_model_versions", order_by), page_token = token}, self.tracking_uri),
        "model_versions", entities.model_version_of)
    end)

  --- Returns the stages that there are.
  ---@param name string
  ---@param version integer|string
  ---@return string[]
  method("get_model_version_stages", "name, version", function() return table.move(STAGES, 1, #STAGES, 1, {}) end)

  -- The version that is meant: itself, or the latest one of a stage.
  local function version_or_stage(self, where, name, version, stage)
    if (version == nil) == (stage == nil) then
      vm.raise("usage", ("MlflowClient.%s: version and stage cannot be set together, and one of them must be set"):format(where))
    end
    if version then return number(where, version) end
    local latest = self:get_latest_versions(name, {stages = {stage}})[1]
    if not latest then vm.raise("tracking", ("mlflow: could not find any model version for %s stage"):format(stage)) end
    return latest.version
  end

  --- Sets a tag of a version.
  ---@param name string
  ---@param version? integer|string
  ---@param key string
  ---@param value any
  ---@param stage? string in place of the version: the latest one of it
  method("set_model_version_tag", "name, version=nil, key=nil, value=nil, stage=nil",
    function(self, name, version, key, value, stage)
      ask.must("model-versions/set-tag", {name = named("set_model_version_tag", name), key = key, value = text.str(value),
        version = version_or_stage(self, "set_model_version_tag", name, version, stage)}, self.tracking_uri)
    end)

  --- Deletes a tag of a version, if there is one.
  ---@param name string
  ---@param version? integer|string
  ---@param key string
  ---@param stage? string in place of the version: the latest one of it
  method("delete_model_version_tag", "name, version=nil, key=nil, stage=nil", function(self, name, version, key, stage)
    ask.must("DELETE model-versions/delete-tag", {name = named("delete_model_version_tag", name), key = key,
      version = version_or_stage(self, "delete_model_version_tag", name, version, stage)}, self.tracking_uri)
  end)

  --- Gives a version a name of its own within its model; another version that has the alias loses it.
  ---@param name string
  ---@param alias string letters, digits, _ and -; not "latest", not "v1"
  ---@param version integer|string
  ---@example local client = mlflow.MlflowClient()
  --- client:create_registered_model("digits")
  --- client:create_model_version("digits", "/models/digits")
  --- client:set_registered_model_alias("digits", "champion", 1)
  --- client:get_model_version_by_alias("digits", "champion").version  --> 1
  method("set_registered_model_alias", "name, alias, version", function(self, name, alias, version)
    ask.must("registered-models/alias", {name = named("set_registered_model_alias", name), alias = alias,
      version = number("set_registered_model_alias", version)}, self.tracking_uri)
  end)

  --- Deletes an alias, if there is one.
  ---@param name string
  ---@param alias string
  method("delete_registered_model_alias", "name, alias", function(self, name, alias)
    ask.must("DELETE registered-models/alias", {name = named("delete_registered_model_alias", name), alias = alias},
      self.tracking_uri)
  end)

  --- Reads the version that has an alias; a tracking error if none has.
  ---@param name string
  ---@param alias string "latest" is the highest version
  ---@return table ModelVersion
  method("get_model_version_by_alias", "name, alias", function(self, name, alias)
    return versioned(self, "GET registered-models/alias",
      {name = named("get_model_version_by_alias", name), alias = of.expect("get_model_version_by_alias", "alias", "string", alias)})
  end)
end
