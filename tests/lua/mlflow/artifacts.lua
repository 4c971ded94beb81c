-- mlflow.artifacts, and pictures, figures and tables of a run.
local test = require "test"
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"

local function case(name, fn)
  test.case(name, function()
    local folder = test.tmpdir()
    mlflow.set_tracking_uri("sqlite:///" .. folder .. "/mlflow.db")
    mlflow.set_experiment{experiment_id = mlflow.create_experiment("files", folder .. "/files")}
    fn(folder)
    while mlflow.active_run() do mlflow.end_run() end
    test.truthy(mlflow.flush(20))
  end)
end

local function paths(items)
  local list = {}
  for i, item in ipairs(items) do list[i] = item.path .. (item.is_dir and "/" or "") end
  return table.concat(list, " ")
end

case("artifacts are listed and fetched by run and by URI", function(folder)
  local run <close> = mlflow.start_run()
  run:log_text("one", "one.txt")
  run:log_text("two", "sub/deep/two.txt")
  run:log_dict({a = {1, 2}}, "config.json")
  local id = run.info.run_id
  local artifacts, client = mlflow.artifacts, mlflow.MlflowClient()
  test.equal(paths(artifacts.list_artifacts{run_id = id}), "config.json one.txt sub/")
  test.equal(paths(artifacts.list_artifacts("runs:/" .. id .. "/sub")), "sub/deep/")
  test.equal(paths(client:list_artifacts(id, "sub/deep")), "sub/deep/two.txt")
  test.equal(client:list_artifacts(id, "sub/deep")[1].file_size, 3)
  test.equal(#client:list_artifacts(id, "nosuch"), 0)
  test.equal(artifacts.load_text("runs:/" .. id .. "/sub/deep/two.txt"), "two")
  test.equal(artifacts.load_text(run:get_artifact_uri("one.txt")), "one")
  test.equal(artifacts.load_dict("runs:/" .. id .. "/config.json").a[2], 2)
  test.equal(artifacts.download_artifacts{run_id = id, artifact_path = "sub"}, run:get_artifact_uri("sub"))
  local got = artifacts.download_artifacts{run_id = id, artifact_path = "sub", dst_path = folder .. "/got"}
  test.equal(host.file.read(got .. "/deep/two.txt"), "two")
  got = artifacts.download_artifacts("runs:/" .. id, {dst_path = folder .. "/all"})
  test.equal(host.file.read(got .. "/one.txt"), "one")
  test.raises("No such artifact: 'nosuch'", client.download_artifacts, client, id, "nosuch")
  test.raises("invalid artifact path '%.%./x'", client.list_artifacts, client, id, "../x")
  test.raises("Exactly one of", artifacts.list_artifacts)
  test.raises("Registered Model with name=x not found", artifacts.load_text, "models:/x/1")
  test.raises("Unable to form a JSON object", artifacts.load_dict, "runs:/" .. id .. "/one.txt")
end)

case("a client stores artifacts of any run", function(folder)
  local client = mlflow.MlflowClient()
  local id = client:create_run("0").info.run_id
  client:log_text(id, "hello", "notes/hello.txt")
  client:log_dict(id, {a = 1}, "c.yml")
  host.file.mkdir(folder .. "/tree/b")
  host.file.write_atomic(folder .. "/tree/b/c.txt", "c")
  client:log_artifact(id, folder .. "/tree", "in")
  client:log_artifacts(id, folder .. "/tree")
  local root = "runs:/" .. id .. "/"
  test.equal(mlflow.artifacts.load_text(root .. "notes/hello.txt"), "hello")
  test.equal(mlflow.artifacts.load_text(root .. "c.yml"), "a: 1\n")
  test.equal(mlflow.artifacts.load_text(root .. "in/tree/b/c.txt"), "c")
  test.equal(mlflow.artifacts.load_text(root .. "b/c.txt"), "c")
  host.file.remove(client:get_run(id).info.artifact_uri:match("^(.*)/[^/]+/artifacts$"))
end)

case("pictures are PNG files, alone or by step", function()
  local run <close> = mlflow.start_run()
  run:log_image(torch.rand(4, 6, 3), "noise.png")
  run:log_image(torch.tensor({{0, 255}, {128, 3}}), "bytes.png")
  run:log_image(torch.rand(4, 6), {key = "a/b", step = 7, timestamp = 5})
  local client, id = mlflow.MlflowClient(), run.info.run_id
  local list = paths(client:list_artifacts(id, "images"))
  test.truthy(list:find("images/a~b+step+7+timestamp+5+", 1, true))
  test.truthy(list:find("%+compressed%.webp images/.*%x%.png$") or list:find("%x%.png .*%+compressed%.webp$"))
  test.equal(mlflow.artifacts.load_text("runs:/" .. id .. "/noise.png"):sub(2, 4), "PNG")
  test.equal(mlflow.get_run(id).data.tags["mlflow.loggedImages"], "True")
  test.raises("`artifact_file` parameter cannot be used", run.log_image, run, torch.rand(2, 2),
    {artifact_file = "x.png", key = "k"})
  test.raises("exactly one of `artifact_file` or `key`", run.log_image, run, torch.rand(2, 2))
  test.raises("contains invalid characters", run.log_image, run, torch.rand(2, 2), {key = "a*b"})
  test.raises("acceptable range %[0, 255%]", run.log_image, run, torch.tensor({{300}}), "x.png")
  test.raises("1, 3, or 4 channels", run.log_image, run, torch.rand(2, 2, 2), "x.png")
  test.raises("Unsupported image object type: string", run.log_image, run, "x", "x.png")
end)

case("figures are what train.plot draws, pictures and texts", function()
  local run <close> = mlflow.start_run()
  local root = "runs:/" .. run.info.run_id .. "/"
  run:log_figure({loss = {3, 2, 1}}, "loss.svg", {title = "falling"})
  run:log_figure(torch.rand(4, 4), "picture.png")
  run:log_figure("<svg/>", "plots/own.svg")
  test.truthy(mlflow.artifacts.load_text(root .. "loss.svg"):find("falling", 1, true))
  test.equal(mlflow.artifacts.load_text(root .. "picture.png"):sub(2, 4), "PNG")
  test.equal(mlflow.artifacts.load_text(root .. "plots/own.svg"), "<svg/>")
  test.raises("a figure is what train.plot draws", run.log_figure, run, 3, "x.svg")
end)

case("rows are added to a table", function()
  local ids = {}
  for i = 1, 2 do
    local run <close> = mlflow.start_run()
    ids[i] = run.info.run_id
    run:log_table({input = {"a", "b"}, score = torch.tensor{0.5, 0.25}}, "t/results.json")
    mlflow.log_table({input = "c", more = i}, "t/results.json")
  end
  local read = mlflow.artifacts.load_dict("runs:/" .. ids[1] .. "/t/results.json")
  test.equal(table.concat(read.columns, " "), "input score more")
  test.equal(read.data[2][2], 0.25)
  local tag = mlflow.get_run(ids[1]).data.tags["mlflow.loggedArtifacts"]
  test.equal(tag, '[{"path": "t/results.json", "type": "table"}]')
  local one = mlflow.load_table("t/results.json", {ids[1]}, {"run_id"})
  test.equal(one.input, {"a", "b", "c"})
  test.equal(one.more[3], 1)
  test.equal(one.run_id[1], ids[1])
  test.equal(#mlflow.load_table("t/results.json").input, 6)
  local run <close> = mlflow.start_run()
  test.raises("'%.json' extension", run.log_table, run, {a = {1}}, "x.csv")
  test.raises("same length", run.log_table, run, {a = {1}, b = {1, 2}}, "x.json")
  test.raises("No runs found", mlflow.load_table, "nosuch.json")
end)

case("a table is read once, and only where its run goes on", function()
  local ask, artifacts = require "mlflow.ask", require "mlflow.artifacts"
  local find, list, asked = ask.find, artifacts.list, 0
  ask.find = function(...)
    asked = asked + 1
    return find(...)
  end
  local function rows(id)
    ask.find = find
    return mlflow.load_table("t.json", {run_ids = {id}}).a
  end
  local run = mlflow.start_run()
  local row = {a = {{"nested"}}}
  run:log_table(row, "t.json")
  row.a[1][1] = "changed"
  run:log_table({a = {2}}, "t.json")
  test.equal(asked, 0)
  run:end_run()
  run = mlflow.start_run {run_id = run.info.run_id}
  run:log_table({a = {3}}, "t.json")
  test.truthy(asked > 0)
  asked = 0
  run:log_table({a = {4}}, "t.json")
  test.equal(asked, 0)
  test.equal(rows(run.info.run_id), {{"nested"}, 2, 3, 4})
  -- Its store does not tell: what it has is kept.
  run:end_run()
  run = mlflow.start_run {run_id = run.info.run_id}
  artifacts.list = function() error("nobody there", 0) end
  run:log_table({a = {5}}, "t.json")
  run:log_table({a = {6}}, "t.json")
  artifacts.list = list
  test.equal(rows(run.info.run_id), {{"nested"}, 2, 3, 4})
  local found = {}
  for _, item in ipairs(artifacts.list_artifacts {run_id = run.info.run_id}) do found[#found + 1] = item.path:gsub("%d+", "N") end
  test.equal(found, {"errors.jsonl", "t-N.json", "t.json"})
end)
