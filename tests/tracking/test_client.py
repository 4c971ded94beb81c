# What the Lua client changes, the real one reads back, and the other way round: one story on a file and on the server.
import json
import math

import numpy
import pytest
from test_mlflow import mlflow
from mlflow import MlflowClient

STORY = """
local mlflow, torch, host = require "mlflow", require "torch", require "host"
mlflow.set_tracking_uri(given.uri)
local client = mlflow.MlflowClient()
local out = {}
out.experiment = client:create_experiment("made", {tags = {kind = "lua", n = 3}})
client:set_experiment_tag(out.experiment, "note", "a")
client:set_experiment_tag(out.experiment, "gone", 1)
client:delete_experiment_tag(out.experiment, "gone")
local passing = client:create_experiment("passing")
client:rename_experiment(passing, "renamed")
client:delete_experiment(passing)
client:restore_experiment(passing)
out.passing = passing
local run = client:create_run(out.experiment, {start_time = 1700000000000, tags = {team = "blue"}, run_name = "by client"})
local id = run.info.run_id
out.run = id
local metrics, params, tags = {}, {}, {}
for i = 1, 1100 do metrics[i] = {key = "loss", value = 1 / i, step = i, timestamp = 1700000000000 + i} end
for i = 1, 120 do params[i] = mlflow.entities.Param("p" .. i, i) end
for i = 1, 5 do tags[i] = mlflow.entities.RunTag("t" .. i, i) end
client:log_batch(id, metrics, params, tags)
client:log_metric(id, "nan", 0 / 0)
client:log_metric(id, "inf", math.huge, {step = 2})
client:log_param(id, "list", {1, 2.5, "a"})
client:set_tag(id, "t1", "changed")
client:delete_tag(id, "t2")
client:update_run(id, {name = "renamed run"})
client:log_text(id, "hello", "notes/hello.txt")
client:log_dict(id, {a = 1}, "config.json")
host.file.mkdir("tree/deep")
host.file.write_atomic("tree/deep/a b.txt", "deep")
client:log_artifact(id, "tree", "folder")
client:log_artifacts(id, "tree")
local set = mlflow.data.from_tensor(torch.arange(6):reshape(2, 3):to(torch.float32), {name = "six", source = "six.csv"})
client:log_inputs(id, {mlflow.entities.DatasetInput(set, {mlflow.entities.InputTag("mlflow.data.context", "train")})})
client:set_terminated(id, "FAILED", 1700000005000)
local deleted = client:create_run(out.experiment)
out.deleted = deleted.info.run_id
mlflow.delete_run(out.deleted)
out.refused = {}
local function refused(...)
  local ok, err = pcall(...)
  out.refused[#out.refused + 1] = ok and "no error" or tostring(err)
end
refused(client.create_experiment, client, "made")
refused(client.log_param, client, id, "list", "other")
refused(client.set_tag, client, out.deleted, "a", "b")
refused(client.get_run, client, ("0"):rep(32))
refused(client.get_experiment, client, "777")
refused(client.delete_tag, client, id, "nosuch")
refused(client.delete_experiment, client, "777")
refused(client.log_metric, client, id, "a*b", 1)
refused(client.create_run, client, "777")
out.nothing = #client:get_metric_history(("0"):rep(32), "loss")  -- as Python's
refused(client.download_artifacts, client, id, "nosuch.txt")
-- Logged through the queue, read without a flush.
mlflow.set_experiment{experiment_id = out.experiment}
local active <close> = mlflow.start_run{run_name = "active", description = "a *note*", tags = {a = 1}}
out.active = active:wait_id()
for step = 0, 9 do active:log_metric("m", step, {step = step, dataset = set}) end
active:log_input(set, "training")
active:log_inputs({mlflow.data.from_tensor({x = torch.ones(2, 2), y = torch.zeros(3)}, {name = "two", targets = torch.tensor({0, 1})})},
  {"eval"}, {{origin = "test"}})
active:log_image(torch.rand(40, 20, 3), "picture.png")
active:log_image(torch.rand(20, 40), {key = "series/x", step = 2, timestamp = 5})
active:log_image(torch.arange(4):reshape(2, 2):gt(1), {key = "series/x", step = 3})
active:log_figure({loss = {3, 2, 1}}, "plots/loss.svg")
active:log_table({input = {"a", "b"}, score = {0.5, 0.25}}, "tables/results.json")
active:log_table({input = {"c"}, score = {1}, more = {"m"}}, "tables/results.json")
out.points = #mlflow.get_metric_history(out.active, "m")
out.seen = mlflow.get_run(out.active).data.metrics.m
out.datasets = #mlflow.get_run(out.active).inputs.dataset_inputs
out.found = #mlflow.search_runs{experiment_ids = {out.experiment}, filter_string = "metrics.m = 9"}
out.table = mlflow.load_table("tables/results.json").input
out.text = mlflow.artifacts.load_text("runs:/" .. id .. "/notes/hello.txt")
out.dict = mlflow.artifacts.load_dict("runs:/" .. id .. "/config.json")
out.fetched = host.file.read(mlflow.artifacts.download_artifacts{run_id = id, artifact_path = "folder", dst_path = "got"}
  .. "/tree/deep/a b.txt")
local function paths(items)
  local list = {}
  for i, item in ipairs(items) do list[i] = {item.path, item.is_dir, item.file_size or host.json.null} end
  return list
end
out.listed = paths(client:list_artifacts(id))
out.below = paths(client:list_artifacts(id, "notes"))
out.uri = mlflow.get_artifact_uri("x")
do
  local child <close> = mlflow.start_run{nested = true}
  out.child = child:wait_id()
  out.parent = mlflow.get_parent_run(out.child).info.run_id
end
return out
"""


@pytest.fixture(scope="module", params=["file", "server"])
def told(request, trainhost, tmp_path_factory):
    """The store after the story, and what the story has seen."""
    folder = tmp_path_factory.mktemp("client")
    uri = f"sqlite:///{folder}/mlflow.db"
    if request.param == "server":
        uri = request.getfixturevalue("server").uri
    (folder / "given.json").write_text(json.dumps({"uri": uri}))
    (folder / "story.lua").write_text("""local host = require "host"
            local given = host.json.decode(host.file.read("given.json"))
            local out = (function() %s end)()
            host.file.write_atomic("out.json", host.json.encode(out))""" % STORY)
    trainhost.run("story.lua", cwd=folder)
    yield MlflowClient(tracking_uri=uri), json.loads((folder / "out.json").read_text()), uri


def test_experiments_of_lua(told):
    client, out, _ = told
    made = client.get_experiment_by_name("made")
    assert made.experiment_id == out["experiment"]
    assert {"kind": "lua", "n": "3", "note": "a"}.items() <= made.tags.items()
    assert "gone" not in made.tags
    assert client.get_experiment(out["passing"]).name == "renamed"
    assert client.get_experiment(out["passing"]).lifecycle_stage == "active"


def test_runs_of_lua(told):
    client, out, _ = told
    run = client.get_run(out["run"])
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("FAILED", 1700000000000, 1700000005000)
    assert run.info.run_name == run.data.tags["mlflow.runName"] == "renamed run"
    history = client.get_metric_history(out["run"], "loss")
    assert [(p.step, p.value, p.timestamp) for p in history] == [(i, 1 / i, 1700000000000 + i) for i in range(1, 1101)]
    assert math.isnan(run.data.metrics["nan"])
    assert run.data.metrics["inf"] > 1e300
    assert run.data.params == {**{f"p{i}": str(i) for i in range(1, 121)}, "list": str([1, 2.5, "a"])}
    assert {"team": "blue", "t1": "changed", "t3": "3"}.items() <= run.data.tags.items()
    assert "t2" not in run.data.tags
    assert client.get_run(out["deleted"]).info.lifecycle_stage == "deleted"
    assert client.get_run(out["child"]).data.tags["mlflow.parentRunId"] == out["parent"] == out["active"]
    assert client.get_run(out["active"]).data.tags["mlflow.note.content"] == "a *note*"


def test_lua_reads_its_own_writes(told):
    _, out, _ = told
    assert (out["points"], out["seen"], out["found"], out["datasets"]) == (10, 9.0, 1, 2)
    assert out["nothing"] == 0
    assert out["table"] == ["a", "b", "c"]
    assert (out["text"], out["dict"], out["fetched"]) == ("hello", {"a": 1}, "deep")
    assert out["uri"].endswith("/artifacts/x")


def test_refusals_are_mlflows(told):
    _, out, _ = told
    want = ["already exists", "hanging param values is not allowed", "must be in the 'active' state", "not found", "777", "No tag with name",
            "777", "", "777", "No such artifact"]
    assert len(out["refused"]) == len(want)
    for got, text in zip(out["refused"], want):
        assert text in got and got != "no error", out["refused"]


def test_artifacts_of_lua(told, tmp_path):
    client, out, uri = told
    assert out["listed"] == [[f.path, f.is_dir, f.file_size] for f in client.list_artifacts(out["run"])]
    assert out["below"] == [[f.path, f.is_dir, f.file_size] for f in client.list_artifacts(out["run"], "notes")]
    got = client.download_artifacts(out["run"], "", str(tmp_path))
    for path, content in {"notes/hello.txt": "hello", "folder/tree/deep/a b.txt": "deep", "deep/a b.txt": "deep"}.items():
        assert (tmp_path / path).read_text() == content, got
    import PIL.Image
    client.download_artifacts(out["active"], "", str(tmp_path))
    assert PIL.Image.open(tmp_path / "picture.png").size == (20, 40)
    images = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert len(images) == 4
    assert any(name.startswith("series~x+step+2+timestamp+5+") and name.endswith("+compressed.webp") for name in images)
    assert {PIL.Image.open(path).size for path in (tmp_path / "images").iterdir()} == {(40, 20), (256, 128), (2, 2), (256, 256)}
    assert client.get_run(out["active"]).data.tags["mlflow.loggedImages"] == "True"
    assert (tmp_path / "plots/loss.svg").read_text().startswith("<svg")
    mlflow.set_tracking_uri(uri)
    table = client.load_table(out["experiment"], "tables/results.json")
    assert table["input"].tolist() == ["a", "b", "c"]
    assert table["score"].tolist() == [0.5, 0.25, 1]
    assert list(table["more"][2:]) == ["m"]


def test_python_adds_to_a_table_of_lua(told):
    client, out, uri = told
    mlflow.set_tracking_uri(uri)
    client.log_table(out["active"], {"input": ["d"], "score": [2.0], "more": ["n"]}, "tables/results.json")
    assert client.load_table(out["experiment"], "tables/results.json")["input"].tolist() == ["a", "b", "c", "d"]


def test_datasets_of_lua_are_those_of_numpy(told):
    client, out, _ = told
    six = mlflow.data.from_numpy(numpy.arange(6, dtype="float32").reshape(2, 3), source="six.csv", name="six")
    want = six._to_mlflow_entity()
    (stored,) = client.get_run(out["run"]).inputs.dataset_inputs
    assert dict(stored.dataset) == dict(want)
    assert {tag.key: tag.value for tag in stored.tags} == {"mlflow.data.context": "train"}
    two = mlflow.data.from_numpy({"x": numpy.ones((2, 2), "float32"), "y": numpy.zeros(3, "float32")},
                                 targets=numpy.array([0, 1]), name="two")._to_mlflow_entity()
    inputs = {one.dataset.name: one for one in client.get_run(out["active"]).inputs.dataset_inputs}
    assert set(inputs) == {"six", "two"}
    got = inputs["two"].dataset
    assert (got.digest, got.schema, got.profile, got.source_type) == (two.digest, two.schema, two.profile, "code")
    assert {tag.key: tag.value for tag in inputs["two"].tags} == {"mlflow.data.context": "eval", "origin": "test"}


def test_a_metric_of_a_model_and_a_dataset(told, trainhost, tmp_path):
    client, out, uri = told
    model = client.create_logged_model(out["experiment"], name="net", source_run_id=out["active"])
    trainhost.lua("""local mlflow, torch = require "mlflow", require "torch"
        mlflow.set_tracking_uri("%s")
        local run <close> = mlflow.start_run("%s")
        local set = mlflow.data.from_tensor(torch.ones(2), {name = "held out"})
        run:log_metric("accuracy", 0.5, {step = 3, timestamp = 7, model_id = "%s", dataset = set})
        run:log_metrics({f1 = 0.25, recall = 1}, {step = 3, model_id = "%s"})
        run:log_metric("plain", 1, 1)""" % (uri, out["active"], model.model_id, model.model_id), cwd=tmp_path)
    metrics = {metric.key: metric for metric in client.get_logged_model(model.model_id).metrics}
    assert {key: (metric.value, metric.step) for key, metric in metrics.items()} == {
        "accuracy": (0.5, 3), "f1": (0.25, 3), "recall": (1, 3)}
    digest = mlflow.data.from_numpy(numpy.ones(2, "float32")).digest
    assert (metrics["accuracy"].dataset_name, metrics["accuracy"].dataset_digest) == ("held out", digest)
    run = client.get_run(out["active"])
    assert run.data.metrics["plain"] == 1 and run.data.metrics["accuracy"] == 0.5
    assert "held out" in {one.dataset.name for one in run.inputs.dataset_inputs}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool",
                                   "complex64"])
def test_digests_are_numpys(trainhost, dtype, tmp_path):
    values = numpy.array([[0.0, -0.0, 1.5, -2.0], [3, 100, 7, -1]]).clip(0 if dtype == "uint8" else None)
    array = values.astype(dtype)
    if dtype.startswith("float"):
        array[0, 2] = math.nan
    targets = numpy.arange(20_000).astype("int64")
    got = trainhost.lua("""local torch, mlflow = require "torch", require "mlflow"
        local x = torch.tensor({{0, -0.0, 1.5, -2.0}, {3, 100, 7, -1}}, {dtype = torch.float64})
        if "%s" == "uint8" then x = x:clamp(0) end
        x = x:to(torch.%s)
        if x:is_floating_point() then x[{0, 2}] = 0 / 0 end
        print(mlflow.data.from_tensor(x).digest, mlflow.data.from_tensor(x, {targets = torch.arange(20000)}).digest)"""
                        % (dtype, dtype), cwd=tmp_path).split()
    assert got == [mlflow.data.from_numpy(array).digest, mlflow.data.from_numpy(array, targets=targets).digest]
