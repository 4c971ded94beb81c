-- MlflowClient's calls of LoggedModels: models that runs have made, with their params, tags, metrics and files.
local artifacts = require "mlflow.artifacts"
local ask = require "mlflow.ask"
local entities = require "mlflow.entities"
local file = require "native.file"
local json = require "native.json"
local places = require "mlflow.places"
local track = require "native.track"
local vm = require "native.vm"

local MOST <const> = 100  -- params in one call
local STATUSES <const> = {READY = "LOGGED_MODEL_READY", FAILED = "LOGGED_MODEL_UPLOAD_FAILED", PENDING = "LOGGED_MODEL_PENDING"}

---@private
---@param method fun(name: string, spec: string|nil, f: function)
---@param of table what all calls of a client read their arguments with
return function(method, of)
  local function path(where, model_id, rest)
    of.expect(where, "model_id", "string", model_id)
    if model_id == "" or model_id:find("[^%w_-]") then
      of.usage(("%s: model_id must be the id of a LoggedModel, got %s"):format(where, vm.describe(model_id)))
    end
    return "logged-models/" .. model_id .. (rest or "")
  end

  --- Makes a LoggedModel, which is PENDING until it is finalized.
  ---@param experiment_id string
  ---@param name? string without / : . % and quotes; default a random one
  ---@param source_run_id? string the run that makes it
  ---@param tags? table<string, any>
  ---@param params? table<string, any>
  ---@param model_type? string
  ---@return table LoggedModel {model_id, name, status, artifact_location, source_run_id, params, tags, metrics, model_uri ...}
  method("create_logged_model", "experiment_id, name=nil, source_run_id=nil, tags=nil, params=nil, model_type=nil",
    function(self, experiment_id, name, run_id, tags, params, model_type)
      local all = of.pairs_of("create_logged_model", "params", params)
      local first = json.array(table.move(all, 1, math.min(#all, MOST), 1, {}))
      local made = ask.must("logged-models", {experiment_id = of.id_of("create_logged_model", experiment_id), name = name,
        source_run_id = run_id, tags = of.pairs_of("create_logged_model", "tags", tags), params = first,
        model_type = model_type}, self.tracking_uri).model
      for at = MOST + 1, #all, MOST do
        ask.must(path("create_logged_model", made.info.model_id, "/params"), {model_id = made.info.model_id,
          params = table.move(all, at, math.min(#all, at + MOST - 1), 1, {})}, self.tracking_uri)
      end
      if #all > MOST then return self:get_logged_model(made.info.model_id) end
      return entities.logged_model_of(made)
    end)

  --- Reads a LoggedModel; a tracking error if there is none.
  ---@param model_id string
  ---@return table LoggedModel
  method("get_logged_model", "model_id", function(self, model_id)
    local at = path("get_logged_model", model_id)
    return entities.logged_model_of(ask.must("GET " .. at, {}, self.tracking_uri).model)
  end)

  --- Says that the files of a LoggedModel are there, or that they never will be.
  ---@param model_id string
  ---@param status string "READY" or "FAILED"
  ---@return table LoggedModel
  method("finalize_logged_model", "model_id, status", function(self, model_id, status)
    local written = STATUSES[status]
    if not written then
      of.usage(("finalize_logged_model: Invalid model status: %s. Expected statuses: READY, FAILED"):format(vm.describe(status)))
    end
    return entities.logged_model_of(ask.must("PATCH " .. path("finalize_logged_model", model_id),
      {model_id = model_id, status = written}, self.tracking_uri).model)
  end)

  --- Deletes a LoggedModel; its files stay until `mlflow gc` removes them.
  ---@param model_id string
  method("delete_logged_model", "model_id", function(self, model_id)
    ask.must("DELETE " .. path("delete_logged_model", model_id), {}, self.tracking_uri)
  end)

  --- Logs params of a LoggedModel; one that it has keeps its value.
  ---@param model_id string
  ---@param params table<string, any>
  method("log_model_params", nil, function(self, model_id, params)
    local all = of.pairs_of("log_model_params", "params", params)
    for at = 1, #all, MOST do
      ask.must(path("log_model_params", model_id, "/params"), {model_id = model_id,
        params = table.move(all, at, math.min(#all, at + MOST - 1), 1, {})}, self.tracking_uri)
    end
  end)

  --- Sets tags of a LoggedModel.
  ---@param model_id string
  ---@param tags table<string, any>
  method("set_logged_model_tags", nil, function(self, model_id, tags)
    ask.must("PATCH " .. path("set_logged_model_tags", model_id, "/tags"),
      {model_id = model_id, tags = of.pairs_of("set_logged_model_tags", "tags", tags)}, self.tracking_uri)
  end)

  --- Deletes a tag of a LoggedModel; a tracking error if there is none.
  ---@param model_id string
  ---@param key string
  method("delete_logged_model_tag", "model_id, key", function(self, model_id, key)
    of.expect("delete_logged_model_tag", "key", "string", key)
    local encoded = key:gsub("[^%w_.~-]", function(c) return ("%%%02X"):format(c:byte()) end)
    ask.must("DELETE " .. path("delete_logged_model_tag", model_id, "/tags/" .. encoded),
      {model_id = model_id, tag_key = key}, self.tracking_uri)
  end)

  --- Searches LoggedModels by `name`, `model_id`, `status`, `source_run_id`, `creation_timestamp` ..., `metrics.KEY`,
  --- `params.KEY` and `tags.KEY`.
  ---@param experiment_ids string[]
  ---@param filter_string? string "metrics.accuracy > 0.9 AND params.lr = '0.1'"
  ---@param datasets? table[] {dataset_name =, dataset_digest =} each: those that metrics are measured on
  ---@param max_results? integer default 100
  ---@param order_by? table[] {field_name = "metrics.accuracy", ascending = false, dataset_name =, dataset_digest =} each
  ---@param page_token? string
  ---@return table[] LoggedModels the latest first; its field `token` is of the next page
  method("search_logged_models", "experiment_ids, filter_string=nil, datasets=nil, max_results=nil, order_by=nil, "
    .. "page_token=nil", function(self, experiment_ids, filter, datasets, max_results, order_by, token)
    if type(experiment_ids) ~= "table" then experiment_ids = {experiment_ids} end
    local ids, models = json.array {}, {}
    for i, id in ipairs(experiment_ids) do ids[i] = of.id_of("search_logged_models", id) end
    for _, order in ipairs(order_by or {}) do
      if type(order) ~= "table" or type(order.field_name) ~= "string" then
        of.usage(("search_logged_models: `order_by` must be a list of {field_name = \"metrics.loss\", ascending = true}, got %s")
          :format(vm.describe(order)))
      end
    end
    local page = ask.must("logged-models/search", {experiment_ids = ids, filter = filter, max_results = max_results,
      datasets = datasets and json.array(datasets), order_by = order_by and json.array(order_by), page_token = token},
      self.tracking_uri)
    for i, model in ipairs(page.models or {}) do models[i] = entities.logged_model_of(model) end
    if page.next_page_token ~= "" then models.token = page.next_page_token end
    return models
  end)

  --- Says which models a run has made.
  ---@param run_id string
  ---@param models table[] {model_id =, step =} each
  method("log_outputs", "run_id, models", function(self, run_id, models)
    ask.must("runs/outputs", {run_id = run_id, models = json.array(models)}, self.tracking_uri)
  end)

  -- --- Files

  local function put_all(self, uri, folder, below)
    for _, name in ipairs(file.list(folder)) do
      local from, to = folder .. "/" .. name, of.below(below, name)
      if file.is_folder(from) then put_all(self, uri, from, to)
      else track.put_artifact(uri, to, from, nil, places.other(self.tracking_uri)) end
    end
  end

  --- Stores all files below a folder as those of a LoggedModel.
  ---@param model_id string
  ---@param local_dir string
  ---@param artifact_path? string folder in the model's files
  method("log_model_artifacts", "model_id, local_dir, artifact_path=nil", function(self, model_id, folder, below)
    put_all(self, self:get_logged_model(model_id).artifact_location,
      of.expect("log_model_artifacts", "local_dir", "string", folder), below)
  end)

  --- Stores a file as one of a LoggedModel.
  ---@param model_id string
  ---@param local_path string
  ---@param artifact_path? string folder in the model's files
  method("log_model_artifact", "model_id, local_path, artifact_path=nil", function(self, model_id, local_path, below)
    local name = of.expect("log_model_artifact", "local_path", "string", local_path):match("([^/]+)/*$")
    track.put_artifact(self:get_logged_model(model_id).artifact_location, of.below(below, name), local_path, nil,
      places.other(self.tracking_uri))
  end)

  --- Lists the files of a LoggedModel, or those of one of its folders.
  ---@param model_id string
  ---@param path? string
  ---@return table[] {path =, is_dir =, file_size =} each
  method("list_logged_model_artifacts", "model_id, path=nil", function(self, model_id, below)
    return artifacts.list(self:get_logged_model(model_id).artifact_location, below, self.tracking_uri)
  end)
end
