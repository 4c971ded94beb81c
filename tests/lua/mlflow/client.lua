-- mlflow.MlflowClient and the functions that read and change a store: runs, experiments, searches.
local test = require "test"
local host = require "host"
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

local function names(runs)
  local list = {}
  for i, run in ipairs(runs) do list[i] = run.info.run_name end
  return table.concat(list, " ")
end

-- a, b, c with loss 1, 2, 3.
local function three(client)
  for i, name in ipairs{"a", "b", "c"} do
    local run = client:create_run("0", {run_name = name, start_time = 1000 * i, tags = {kind = i % 2 == 0 and "even" or "odd"}})
    client:log_batch(run.info.run_id, {{key = "loss", value = i, step = 0}}, {{key = "lr", value = 0.1 * i}})
  end
end

case("runs are found by filters, latest first", function(client)
  three(client)
  test.equal(names(mlflow.search_runs()), "c b a")
  test.equal(names(mlflow.search_runs{filter_string = "metrics.loss >= 2"}), "c b")
  test.equal(names(mlflow.search_runs{filter_string = "tags.kind = 'odd' AND params.lr LIKE '0.1%'"}), "a")
  test.equal(names(mlflow.search_runs{order_by = {"metrics.loss ASC"}, max_results = 2}), "a b")
  test.equal(names(mlflow.search_runs{filter_string = "run_name = 'x' "}), "")
end)

case("what was logged a moment ago is found", function()
  local run <close> = mlflow.start_run{run_name = "now"}
  for step = 0, 99 do run:log_metric("loss", step, step) end
  test.equal(names(mlflow.search_runs{filter_string = "metrics.loss = 99"}), "now")
  test.equal(#mlflow.get_metric_history(run.info.run_id, "loss"), 100)
  test.equal(mlflow.get_run(run.info.run_id).data.metrics.loss, 99.0)
end)

case("pages go on where the one before ended", function(client)
  three(client)
  local first = client:search_runs({"0"}, {max_results = 2})
  test.equal(names(first), "c b")
  local second = client:search_runs({"0"}, {max_results = 2, page_token = first.token})
  test.equal(names(second), "a")
  test.falsy(second.token)
  test.raises("Invalid page token", client.search_runs, client, {"0"}, {page_token = "?"})
  test.raises("Invalid value 0 for parameter 'max_results'", client.search_runs, client, {"0"}, {max_results = 0})
end)

case("a filter that is none says what is wrong with it", function(client)
  local function refused(pattern, filter)
    local err = test.raises(pattern, client.search_runs, client, {"0"}, filter)
    test.equal(err.kind, "usage")
  end
  refused("Invalid clause%(s%) in filter string: 'OR'", "metrics.a = 1 OR metrics.b = 2")
  refused("Expected 'Identifier' found 'metrics.val/loss'.*backticks", "metrics.val/loss > 1")
  refused("Expected numeric value type for metric. Found '1'", "metrics.a = '1'")
  refused("Expected a quoted string value for parameter .*Got value 0.1", "params.lr = 0.1")
  refused("Invalid comparator '==' not one of", "metrics.a == 1")
  refused("Invalid entity type 'foo'", "foo.bar = 1")
  refused("Invalid attribute key 'nosuch' specified. Valid keys are", "nosuch = 'x'")
  refused("multiple expression", "metrics.a = 1; metrics.b = 2")
  test.raises("Invalid order_by clause 'metrics.a b c'", client.search_runs, client, {"0"}, {order_by = {"metrics.a b c"}})
end)

case("a filter cannot leave its place", function(client)
  three(client)
  test.equal(#mlflow.search_runs{filter_string = [[tags.kind = "x' OR '1' = '1"]]}, 0)
  test.equal(#mlflow.search_runs{filter_string = "tags.`kind' OR '1'='1` = 'odd'"}, 0)
  test.equal(#mlflow.search_runs{filter_string = [[run_name = "'; DROP TABLE runs; --"]]}, 0)
  test.equal(#mlflow.search_runs(), 3)
end)

case("search_runs chooses its experiments by id, by name, all or the active one", function(client)
  local one = mlflow.create_experiment("one")
  client:create_run(one, {run_name = "in one"})
  client:create_run("0", {run_name = "in default"})
  test.equal(names(mlflow.search_runs()), "in default")
  test.equal(names(mlflow.search_runs{one}), "in one")
  test.equal(names(mlflow.search_runs{experiment_names = {"one", "nosuch"}}), "in one")
  test.equal(#mlflow.search_runs{search_all_experiments = true}, 2)
  mlflow.set_experiment("one")
  test.equal(names(mlflow.search_runs()), "in one")
  test.raises("but not both", mlflow.search_runs, {experiment_ids = {"0"}, experiment_names = {"one"}})
  test.raises("there is no pandas here", mlflow.search_runs, {output_format = "pandas"})
end)

case("deleted runs are out of sight until they are restored", function(client)
  three(client)
  local id = mlflow.search_runs()[1].info.run_id
  mlflow.delete_run(id)
  local ViewType = mlflow.entities.ViewType
  test.equal(names(mlflow.search_runs()), "b a")
  test.equal(names(mlflow.search_runs{run_view_type = ViewType.DELETED_ONLY}), "c")
  test.equal(#mlflow.search_runs{run_view_type = ViewType.ALL}, 3)
  test.raises("must be in the 'active' state", client.log_param, client, id, "a", 1)
  test.raises("deleted state", mlflow.start_run, {run_id = id})
  test.raises("deleted state", mlflow.start_run, {parent_run_id = id})
  client:restore_run(id)
  test.equal(names(mlflow.search_runs()), "c b a")
  test.raises("unknown view type number 9", mlflow.search_runs, {run_view_type = 9})
end)

case("a client logs to any run and waits for it", function(client)
  local id = client:create_run("0", {tags = {a = 1}}).info.run_id
  client:log_metric(id, "loss", 0.5, {step = 2})
  client:log_metric(id, "bad", 0 / 0)
  client:log_param(id, "config", {a = {1, 2}})
  client:set_tag(id, "t", true)
  client:delete_tag(id, "a")
  client:update_run(id, {name = "renamed"})
  client:set_terminated(id, "FAILED")
  local run = client:get_run(id)
  test.equal(run.info.status, "FAILED")
  test.equal(run.info.run_name, "renamed")
  test.equal(run.data.metrics.loss, 0.5)
  test.truthy(run.data.metrics.bad ~= run.data.metrics.bad)
  test.equal(run.data.params.config, "{'a': [1, 2]}")
  test.equal(run.data.tags.t, "True")
  test.falsy(run.data.tags.a)
  test.equal(client:get_metric_history(id, "loss")[1].step, 2)
  test.raises("already logged with value", client.log_param, client, id, "config", 1)
  test.raises("No tag with name: a", client.delete_tag, client, id, "a")
  test.raises("Run with id=nope not found", client.get_run, client, "nope")
  test.raises("invalid metric name", client.log_metric, client, id, "a*b", 1)
  test.raises("argument 'run_id' is missing", client.get_run, client)
  test.raises("must be a number", client.log_batch, client, id, {{key = "m", value = "x"}})
end)

case("a client has a store of its own", function(client, folder)
  local other = mlflow.MlflowClient("sqlite:///" .. folder .. "/other.db")
  local id = other:create_run("0").info.run_id
  test.equal(other:get_run(id).info.status, "RUNNING")
  test.raises("not found", client.get_run, client, id)
  test.truthy(tostring(other):find("other.db", 1, true))
end)

case("experiments are made, named, marked, deleted and restored", function(client, folder)
  local id = mlflow.create_experiment("one", {tags = {kind = "a"}, artifact_location = folder .. "/files"})
  local experiment = mlflow.get_experiment(id)
  test.equal(experiment.name, "one")
  test.equal(experiment.artifact_location, folder .. "/files")
  test.equal(experiment.tags, {kind = "a"})
  test.raises("Experiment%(name=one%) already exists", mlflow.create_experiment, "one")
  test.raises("Invalid experiment name", mlflow.create_experiment, "")
  client:rename_experiment(id, "two")
  test.falsy(mlflow.get_experiment_by_name("one"))
  test.equal(mlflow.get_experiment_by_name("two").experiment_id, id)
  mlflow.set_experiment("two")
  mlflow.set_experiment_tags{team = "blue", n = 1}
  mlflow.delete_experiment_tag("n")
  test.equal(mlflow.get_experiment(id).tags, {kind = "a", team = "blue"})
  local run = client:create_run(id).info.run_id
  mlflow.delete_experiment(id)
  test.equal(client:get_run(run).info.lifecycle_stage, "deleted")
  test.equal(#mlflow.search_experiments(), 1)
  test.raises("Cannot rename a non%-active experiment", client.rename_experiment, client, id, "three")
  test.raises("must be in the 'active' state", client.set_experiment_tag, client, id, "a", 1)
  client:restore_experiment(id)
  test.equal(client:get_run(run).info.lifecycle_stage, "active")
  test.equal(mlflow.search_experiments{filter_string = "tags.team = 'blue'"}[1].name, "two")
  test.equal(mlflow.search_experiments{order_by = {"name DESC"}}[1].name, "two")
  test.raises("No Experiment with id=77", mlflow.get_experiment, "77")
end)

case("a nested run has a parent", function()
  local outer <close> = mlflow.start_run()
  local inner <close> = mlflow.start_run{nested = true}
  test.equal(mlflow.get_parent_run(inner.info.run_id).info.run_id, outer.info.run_id)
  test.falsy(mlflow.get_parent_run(outer.info.run_id))
end)

case("a folder is logged as a run logs it: links are no way around in it", function(client, folder)
  local tree = folder .. "/tree"
  host.file.mkdir(tree .. "/a")
  host.file.write_atomic(tree .. "/a/x.txt", "x")
  os.execute(("ln -s .. '%s/a/up'"):format(tree))
  local id = client:create_run("0").info.run_id
  client:log_artifacts(id, tree, "deep")
  local found = {}
  for _, item in ipairs(client:list_artifacts(id, "deep/a")) do found[#found + 1] = item.path end
  test.equal(found, {"deep/a/x.txt"})
end)
