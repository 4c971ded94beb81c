-- LoggedModels: run:log_model, mlflow.load_model, and a client's calls of them.
local test = require "test"
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"
local nn = torch.nn

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

local function is_same(net, other) return torch.equal(net.weight, other.weight) and torch.equal(net.bias, other.bias) end

case("a model is a LoggedModel of its run, and loaded by each of its addresses", function(client)
  local net = nn.Linear(2, 1)
  local run <close> = mlflow.start_run()
  local info = run:log_model(net, {name = "line", registered_model_name = "lines", params = {width = 2}, tags = {team = "blue"},
    step = 3, metadata = {a = 1}, model_type = "regressor"})
  local model = mlflow.get_logged_model(info.model_id)
  test.equal({model.name, model.status, model.source_run_id, model.model_type, model.params.width, model.tags.team},
    {"line", "READY", run.info.run_id, "regressor", "2", "blue"})
  test.equal(model.tags["mlflow.modelVersions"], '[{"name":"lines","version":1}]')
  local output = mlflow.get_run(run.info.run_id).outputs.model_outputs[1]
  test.equal({output.model_id, output.step}, {info.model_id, 3})
  client:set_registered_model_alias("lines", "champion", 1)
  client:transition_model_version_stage("lines", 1, "production")
  for _, uri in ipairs {info.model_uri, "runs:/" .. run.info.run_id .. "/line", "models:/lines/1", "models:/lines/latest",
    "models:/lines/Production", "models:/lines@champion", model.artifact_location} do
    test.truthy(is_same(mlflow.load_model(uri, {into = nn.Linear(2, 1)}), net), uri)
  end
  test.truthy(mlflow.artifacts.load_text("runs:/" .. run.info.run_id .. "/line/MLmodel"):find("a: 1", 1, true))
  test.equal(mlflow.artifacts.load_text("models:/lines@champion/MLmodel"), mlflow.artifacts.load_text(info.model_uri .. "/MLmodel"))
end)

case("without a run the model is of none", function()
  local info = mlflow.log_model(nn.Linear(1, 1))
  test.equal({info.run_id, mlflow.get_logged_model(info.model_id).source_run_id, mlflow.active_run()}, {})
end)

case("an example makes the signature, and the model stays as it was", function()
  local net = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5))
  net[1]:eval()
  local run <close> = mlflow.start_run()
  local info = run:log_model(net, {input_example = torch.ones(4, 2)})
  test.equal({net.training, net[0].training, net[1].training}, {true, true, false})
  local shapes = {}
  for _, side in ipairs {"inputs", "outputs"} do
    shapes[side] = host.json.decode(info.signature[side])[1]["tensor-spec"].shape
  end
  test.equal(shapes, {inputs = {-1, 2}, outputs = {-1, 3}})
  local folder = mlflow.get_logged_model(info.model_id).artifact_location
  test.equal(host.json.decode(host.file.read(folder .. "/serving_input_example.json")).inputs, torch.ones(4, 2):tolist())
  local named = mlflow.models.infer_signature({a = torch.ones(1, 2), b = torch.zeros(3)}, torch.zeros(1))
  test.equal(host.json.decode(named.inputs)[2].name, "b")
  test.falsy(run:log_model(net, {input_example = torch.ones(4, 2), signature = false}).signature)
  test.falsy(run:log_model(net).signature)
end)

case("metrics at the model's step are the model's, before and after it was logged", function(client)
  local run <close> = mlflow.start_run()
  run:log_metric("before", 1, 2)
  run:log_metric("before", 2, 3)
  local first, second = run:log_model(nn.Linear(1, 1), {step = 2}), run:log_model(nn.Linear(1, 1), {step = 2})
  run:log_metrics({after = 3}, 2)
  run:log_metric("after", 4, 5)
  run:log_metric("named", 5, {step = 9, model_id = first.model_id})
  for model_id, expected in pairs {[first.model_id] = "after=3.0 before=1.0 named=5.0", [second.model_id] = "after=3.0 before=1.0"} do
    local list = {}
    mlflow.flush(20)
    for i, metric in ipairs(client:get_logged_model(model_id).metrics) do list[i] = metric.key .. "=" .. metric.value end
    table.sort(list)
    test.equal(table.concat(list, " "), expected)
  end
  test.equal({#mlflow.get_metric_history(run.info.run_id, "before"), #mlflow.get_metric_history(run.info.run_id, "after")}, {2, 2})
end)

case("a model whose files cannot be stored is FAILED, and the call an error", function(_, folder)
  local experiment = mlflow.MlflowClient():create_experiment("full", folder .. "/files")
  host.file.mkdir(folder .. "/files")
  host.file.write_atomic(folder .. "/files/models", "in the way")
  local run <close> = mlflow.start_run {experiment_id = experiment}
  test.raises("models", run.log_model, run, nn.Linear(1, 1))
  local models = mlflow.search_logged_models {experiment_ids = {experiment}}
  test.equal({#models, models[1].status, #mlflow.get_run(run.info.run_id).outputs.model_outputs}, {1, "FAILED", 0})
end)

case("of several models of a name a run's address is that of the largest step", function()
  local run <close> = mlflow.start_run()
  local nets = {}
  for i, step in ipairs {1, 5, 3} do
    nets[i] = nn.Linear(1, 1)
    run:log_model(nets[i], {step = step})
  end
  test.truthy(is_same(mlflow.load_model("runs:/" .. run.info.run_id .. "/model", {into = nn.Linear(1, 1)}), nets[2]))
end)

case("LoggedModels are made, changed and deleted by a client", function(client)
  local params = {}
  for i = 1, 250 do params["p" .. i] = i end
  local made = client:create_logged_model("0", {name = "a", params = params, tags = {x = 1}})
  test.equal({made.status, made.params.p250, made.tags.x}, {"PENDING", "250", "1"})
  client:log_model_params(made.model_id, {late = true, p1 = 1})
  test.raises("cannot be changed", client.log_model_params, client, made.model_id, {p1 = 2})
  client:set_logged_model_tags(made.model_id, {x = 2, ["a b"] = 3})
  client:delete_logged_model_tag(made.model_id, "a b")
  test.raises("No tag with key", client.delete_logged_model_tag, client, made.model_id, "a b")
  test.equal(client:finalize_logged_model(made.model_id, "READY").status, "READY")
  local found = client:get_logged_model(made.model_id)
  test.equal({found.params.late, found.tags.x, found.tags["a b"]}, {"True", "2"})
  client:delete_logged_model(made.model_id)
  test.raises("not found", client.get_logged_model, client, made.model_id)
  test.equal(#mlflow.search_logged_models(), 0)
  test.raises("Invalid model name", client.create_logged_model, client, "0", "a/b")
  test.raises("Invalid model status", client.finalize_logged_model, client, made.model_id, "DONE")
  test.raises("must be the id of a LoggedModel", client.get_logged_model, client, "../x")
end)

case("LoggedModels are searched by attributes, metrics, params and tags", function(client)
  local run <close> = mlflow.start_run()
  for i, name in ipairs {"a", "b", "c"} do
    local info = run:log_model(nn.Linear(1, 1), {name = name, step = i, params = {lr = i / 10}, tags = {odd = i % 2 == 1}})
    run:log_metric("loss", i, {step = i, model_id = info.model_id})
  end
  mlflow.flush(20)
  local function names(...)
    local list = {}
    for i, model in ipairs(client:search_logged_models({"0"}, ...)) do list[i] = model.name end
    table.sort(list)
    return table.concat(list)
  end
  test.equal(names("metrics.loss >= 2"), "bc")
  test.equal(names("params.lr = '0.1' AND status = 'READY'"), "a")
  test.equal(names("tags.odd = 'True' AND name IN ('a', 'b')"), "a")
  test.equal(names("name LIKE '%' AND creation_timestamp > 0"), "abc")
  test.equal(names("source_run_id = '" .. run.info.run_id .. "'"), "abc")
  local function first(order_by) return client:search_logged_models({"0"}, {order_by = order_by, max_results = 1})[1].name end
  test.equal({first {{field_name = "metrics.loss", ascending = false}}, first {{field_name = "metrics.loss"}},
    first {{field_name = "name"}}}, {"c", "a", "a"})
  local page = client:search_logged_models({"0"}, {max_results = 2})
  test.equal({#page, #client:search_logged_models({"0"}, {max_results = 2, page_token = page.token})}, {2, 1})
  test.raises("Invalid attribute key", client.search_logged_models, client, {"0"}, "color = 'red'")
  test.raises("Invalid order by field name", client.search_logged_models, client, {"0"}, {order_by = {{field_name = "color"}}})
end)

case("mistakes are told before anything is made", function()
  local run <close> = mlflow.start_run()
  local net = nn.Linear(1, 1)
  test.raises("expected a module", run.log_model, run, 1)
  test.raises("Invalid model name", run.log_model, run, net, {name = "a/b"})
  test.raises("step must be an integer", run.log_model, run, net, {step = 0.5})
  test.raises("Names cannot contain", run.log_model, run, net, {registered_model_name = "a:b"})
  test.raises("signature must be", run.log_model, run, net, {signature = 1})
  test.raises("unknown keyword", run.log_model, run, net, {nane = "a"})
  test.equal(#mlflow.search_logged_models(), 0)
  run:log_model(net)
  local uri = "runs:/" .. run.info.run_id .. "/model"
  test.raises("need a module to be loaded into", mlflow.load_model, uri)
  test.raises("size mismatch", mlflow.load_model, uri, {into = nn.Linear(2, 1)})
  test.raises("Unable to find a logged_model", mlflow.load_model, "runs:/" .. run.info.run_id .. "/other", {into = net})
  test.raises("not found", mlflow.load_model, "models:/m-0", {into = net})
  test.raises("Invalid model URI", mlflow.load_model, "models:/a/b/c", {into = net})
end)
