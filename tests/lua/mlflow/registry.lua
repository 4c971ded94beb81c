-- The model registry: registered models, versions, aliases, stages, tags, searches.
local test = require "test"
local mlflow = require "mlflow"

-- Each case has a store of its own.
local function case(name, fn)
  test.case(name, function()
    local folder = test.tmpdir()
    mlflow.set_tracking_uri("sqlite:///" .. folder .. "/mlflow.db")
    fn(mlflow.MlflowClient(), folder)
    while mlflow.active_run() do mlflow.end_run() end
    test.truthy(mlflow.flush(20))
  end)
end

local function list(items, field)
  local values = {}
  for i, item in ipairs(items) do values[i] = item[field] end
  return table.concat(values, " ")
end

-- "m" with `count` versions.
local function with_versions(client, count)
  client:create_registered_model("m")
  for i = 1, count do client:create_model_version("m", "/models/" .. i) end
end

case("registered models are made, described, tagged, renamed and deleted", function(client)
  local made = client:create_registered_model("a", {tags = {team = "blue"}, description = "the first"})
  test.equal({made.name, made.description, made.tags.team}, {"a", "the first", "blue"})
  test.raises("already exists", client.create_registered_model, client, "a")
  test.raises("Names cannot contain", client.create_registered_model, client, "a/b")
  test.raises("Missing value", client.create_registered_model, client, " ")
  client:set_registered_model_tag("a", "n", 1)
  client:set_registered_model_tag("a", "n", 2)
  client:delete_registered_model_tag("a", "team")
  client:delete_registered_model_tag("a", "nosuch")  -- as Python's
  test.equal(client:update_registered_model("a", "better").description, "better")
  client:create_model_version("a", "/models/a", {tags = {k = "v"}})
  client:set_registered_model_alias("a", "best", 1)
  test.equal(client:rename_registered_model("a", "b").name, "b")
  test.raises("not found", client.get_registered_model, client, "a")
  local renamed = client:get_registered_model("b")
  test.equal({renamed.tags.n, renamed.tags.team, renamed.aliases.best, #renamed.latest_versions}, {"2", nil, "1", 1})
  test.equal(client:get_model_version("b", 1).tags.k, "v")
  client:create_registered_model("c")
  test.raises("already exists", client.rename_registered_model, client, "c", "b")
  client:delete_registered_model("b")
  test.raises("not found", client.get_model_version, client, "b", 1)
  test.equal(list(client:search_registered_models(), "name"), "c")
end)

case("versions count up, and a number is never given again", function(client)
  with_versions(client, 2)
  client:delete_model_version("m", 2)
  test.raises("not found", client.get_model_version, client, "m", 2)
  local third = client:create_model_version("m", "/models/3", {description = "third", tags = {k = 1}})
  test.equal({third.version, third.source, third.status, third.current_stage, third.description, third.tags.k},
    {"3", "/models/3", "READY", "None", "third", "1"})
  test.equal(client:get_model_version_download_uri("m", "3"), "/models/3")
  test.equal(client:update_model_version("m", 3, "better").description, "better")
  client:set_model_version_tag("m", 3, "k", 2)
  client:set_model_version_tag("m", {key = "of stage", value = "x", stage = "None"})
  test.equal(client:get_model_version("m", 3).tags, {k = "2", ["of stage"] = "x"})
  client:delete_model_version_tag("m", 3, "k")
  test.equal(client:get_model_version("m", 3).tags.k, nil)
  test.raises("not found", client.create_model_version, client, "nosuch", "/x")
  test.raises("must be an integer", client.get_model_version, client, "m", "one")
  test.equal(client:copy_model_version("models:/m/3", "copy").version, "1")
  test.equal(client:get_model_version_download_uri("copy", 1), "/models/3")
end)

case("an alias is of one version", function(client)
  with_versions(client, 2)
  client:set_registered_model_alias("m", "champion", 1)
  client:set_registered_model_alias("m", "champion", 2)
  client:set_registered_model_alias("m", "old", 1)
  test.equal(client:get_model_version_by_alias("m", "champion").version, "2")
  test.equal(client:get_model_version("m", 2).aliases, {"champion"})
  test.equal(client:get_registered_model("m").aliases, {champion = "2", old = "1"})
  test.equal(client:get_model_version_by_alias("m", "latest").version, "2")
  client:delete_registered_model_alias("m", "champion")
  test.raises("alias champion not found", client.get_model_version_by_alias, client, "m", "champion")
  client:delete_model_version("m", 1)
  test.raises("alias old not found", client.get_model_version_by_alias, client, "m", "old")
  test.raises("is reserved", client.set_registered_model_alias, client, "m", "latest", 2)
  test.raises("is reserved", client.set_registered_model_alias, client, "m", "v12", 2)
  test.raises("Invalid alias name", client.set_registered_model_alias, client, "m", "a b", 2)
  test.raises("not found", client.set_registered_model_alias, client, "m", "a", 9)
end)

case("stages", function(client)
  with_versions(client, 3)
  client:transition_model_version_stage("m", 1, "Production")
  client:transition_model_version_stage("m", 2, "production", true)
  test.equal({client:get_model_version("m", 1).current_stage, client:get_model_version("m", 2).current_stage},
    {"Archived", "Production"})
  test.equal(list(client:get_latest_versions("m"), "version"), "1 2 3")
  test.equal(list(client:get_latest_versions("m", {"Production", "None"}), "version"), "2 3")
  test.equal(client:get_model_version_stages("m", 1), {"None", "Staging", "Production", "Archived"})
  test.raises("Invalid Model Version stage", client.transition_model_version_stage, client, "m", 1, "Live")
  test.raises("not an Active stage", client.transition_model_version_stage, client, "m", 1, "Archived", true)
end)

case("searches", function(client)
  for _, name in ipairs {"b", "a", "C"} do client:create_registered_model(name, {tags = {team = name == "a" and "red" or "blue"}}) end
  for i = 1, 3 do client:create_model_version("a", "/models/" .. i, {tags = {odd = i % 2}, run_id = i == 2 and "r2" or nil}) end
  test.equal(list(client:search_registered_models(), "name"), "C a b")
  test.equal(list(client:search_registered_models("tags.team = 'blue'"), "name"), "C b")
  test.equal(list(client:search_registered_models("name ILIKE 'c'"), "name"), "C")
  test.equal(list(client:search_registered_models("name IN ('a', 'b')", {order_by = {"name DESC"}}), "name"), "b a")
  local page = client:search_registered_models {max_results = 2}
  test.equal(list(client:search_registered_models {max_results = 2, page_token = page.token}, "name"), "b")
  test.equal(list(client:search_model_versions("name = 'a'", {order_by = {"version_number ASC"}}), "version"), "1 2 3")
  test.equal(list(client:search_model_versions("version_number >= 2 AND tags.odd = '1'"), "version"), "3")
  test.equal(list(client:search_model_versions("run_id IN ('r2', 'r3')"), "version"), "2")
  test.equal(list(client:search_model_versions("source_path LIKE '%/1'"), "version"), "1")
  test.equal(#mlflow.search_model_versions(), 3)
  test.raises("Invalid attribute key", client.search_registered_models, client, "color = 'red'")
  test.raises("comparison with a list", client.search_model_versions, client, "source_path IN ('a')")
  test.raises("Invalid attribute key", client.search_model_versions, client, {order_by = {"run_id"}})
  test.raises("max_results", client.search_registered_models, client, {max_results = 1001})
end)

case("a model of a run is registered by its address", function(client)
  local torch = require "torch"
  local run <close> = mlflow.start_run()
  local info = run:log_model(torch.nn.Linear(1, 1))
  local first = mlflow.register_model("runs:/" .. run.info.run_id .. "/model", "m", {tags = {k = 1}})
  test.equal({first.version, first.source, first.run_id, first.tags.k}, {"1", info.model_uri, run.info.run_id, "1"})
  test.equal(mlflow.register_model(info.model_uri, "m").version, "2")
  test.equal(mlflow.register_model("models:/m/1", "copy").source, "models:/m/1")
  test.equal(client:get_model_version_download_uri("copy", 1), info.artifact_path)
  test.equal(mlflow.get_logged_model(info.model_id).tags["mlflow.modelVersions"],
    '[{"name":"m","version":1},{"name":"m","version":2}]')
  run:log_text("flavors: {}", "plain/MLmodel")
  mlflow.flush(20)
  test.equal(mlflow.register_model("runs:/" .. run.info.run_id .. "/plain", "plain").source, run.info.artifact_uri .. "/plain")
  test.raises("Unable to find a logged_model", mlflow.register_model, "runs:/" .. run.info.run_id .. "/nosuch", "m")
end)
