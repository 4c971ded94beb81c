# LoggedModels and the registry: what Lua makes the real MLflow reads, and the other way round, on a file and on a server.
import json
import pathlib

import numpy
import pytest
from test_autolog import weights_of
from test_mlflow import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow_server import Server

LUA = """
local mlflow, torch, host = require "mlflow", require "torch", require "host"
mlflow.set_tracking_uri(given.uri)
local client = mlflow.MlflowClient()
mlflow.set_experiment("models")
torch.manual_seed(1)
local net = torch.nn.Sequential(torch.nn.Linear(4, 3))
local out = {weight = net[0].weight:tolist()}
local run <close> = mlflow.start_run()
out.run = run:wait_id()
run:log_metric("before", 0.25, 2)
run:log_metric("other", 0.5, 3)
local data = mlflow.data.from_tensor(torch.ones(2, 4), {name = "ones"})
local info = run:log_model(net, {name = "net", registered_model_name = "nets", input_example = torch.ones(2, 4), step = 2,
  params = {width = 4}, tags = {team = "blue"}, metadata = {note = "mine"}, model_type = "classifier"})
out.model = info.model_id
run:log_metric("after", 0.75, 2)
run:log_metric("measured", 1.5, {step = 7, model_id = info.model_id, dataset = data})
local second = run:log_model(net, {name = "net", step = 5})
out.second = second.model_id
out.registered = mlflow.register_model("runs:/" .. out.run .. "/net", "nets", {tags = {from = "run"}}).version
client:set_registered_model_alias("nets", "champion", 2)
client:set_registered_model_tag("nets", "kind", "linear")
client:set_model_version_tag("nets", 1, "checked", true)
client:update_registered_model("nets", "nets of the test")
client:update_model_version("nets", 1, "the first")
client:transition_model_version_stage("nets", 1, "Staging")
client:create_registered_model("before", {tags = {a = 1}})
client:create_model_version("before", info.model_uri)
client:rename_registered_model("before", "after")
client:create_registered_model("gone")
client:delete_registered_model("gone")
client:create_model_version("after", "models:/nets/1")
client:delete_model_version("after", 2)
out.copied = client:copy_model_version("models:/nets@champion", "copies").version
local open = client:create_logged_model(run.info.experiment_id, {name = "open", source_run_id = out.run})
client:finalize_logged_model(open.model_id, "FAILED")
local deleted = client:create_logged_model(run.info.experiment_id, {name = "deleted"})
client:delete_logged_model(deleted.model_id)
out.open, out.deleted = open.model_id, deleted.model_id
out.same = {}
for i, uri in ipairs {info.model_uri, "runs:/" .. out.run .. "/net", "models:/nets/1", "models:/nets@champion", "models:/nets/latest",
  "models:/nets/Staging", "models:/copies/1"} do
  out.same[i] = torch.equal(mlflow.load_model(uri, {into = torch.nn.Sequential(torch.nn.Linear(4, 3))})[0].weight, net[0].weight)
end
out.found = #client:search_logged_models({run.info.experiment_id}, "metrics.before = 0.25 AND params.width = '4'")
out.names = {}
for i, model in ipairs(client:search_registered_models("name LIKE '%e%'", {order_by = {"name ASC"}})) do out.names[i] = model.name end
out.versions = {}
for i, version in ipairs(client:search_model_versions("name = 'nets'", {order_by = {"version_number DESC"}})) do
  out.versions[i] = version.version
end
out.stages = {}
for i, version in ipairs(client:get_latest_versions("nets", {"Staging", "None"})) do out.stages[i] = version.version end
out.listed = #client:list_logged_model_artifacts(info.model_id)
out.refused = {}
local function refused(...)
  local ok, err = pcall(...)
  out.refused[#out.refused + 1] = ok and "no error" or tostring(err)
end
refused(client.create_registered_model, client, "nets")
refused(client.get_registered_model, client, "nosuch")
refused(client.get_model_version, client, "nets", 99)
refused(client.get_model_version_by_alias, client, "nets", "nosuch")
refused(client.get_logged_model, client, "m-" .. ("0"):rep(32))
refused(client.set_registered_model_alias, client, "nets", "latest", 1)
refused(client.transition_model_version_stage, client, "nets", 1, "Live")
return out
"""

# Reads what Python has registered.
BACK = """
local mlflow, torch = require "mlflow", require "torch"
mlflow.set_tracking_uri(given.uri)
local client = mlflow.MlflowClient()
local model, version = client:get_registered_model("python"), client:get_model_version_by_alias("python", "best")
local logged = mlflow.get_logged_model(given.model)
local out = {description = model.description, tag = model.tags.kind, version = version.version, source = version.source,
  version_tag = version.tags.k, stage = client:get_model_version("python", 1).current_stage, name = logged.name,
  status = logged.status, param = logged.params.p, model_tag = logged.tags.t, metric = logged.metrics[1].value,
  text = mlflow.artifacts.load_text("models:/python@best/note.txt")}
client:set_registered_model_alias("python", "best", 1)
out.next = mlflow.register_model("models:/" .. given.model, "python").version
local ok, err = pcall(mlflow.load_model, "models:/python/1", {into = torch.nn.Linear(1, 1)})
out.refused = tostring(err)
return out
"""


class Place:
    def __init__(self, trainhost, folder, uri):
        self.trainhost, self.folder, self.uri = trainhost, folder, uri
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def play(self, story, **given):
        (self.folder / "given.json").write_text(json.dumps({"uri": self.uri, **given}))
        (self.folder / "story.lua").write_text("""local host = require "host"
            local given = host.json.decode(host.file.read("given.json"))
            local out = (function() %s end)()
            host.file.write_atomic("out.json", host.json.encode(out))""" % story)
        self.trainhost.run("story.lua", cwd=self.folder)
        return json.loads((self.folder / "out.json").read_text())


@pytest.fixture(scope="module", params=["file", "server"])
def place(request, trainhost, tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    before = mlflow.get_tracking_uri()
    server = Server(folder).wait() if request.param == "server" else None
    uri = server.uri if server else f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    try:
        yield Place(trainhost, folder, uri)
    finally:
        mlflow.set_tracking_uri(before)
        if server:
            server.stop()


@pytest.fixture(scope="module")
def told(place):
    return place.client, place.play(LUA)


def test_a_model_of_lua(told):
    client, out = told
    model = client.get_logged_model(out["model"])
    assert (model.name, model.status, model.source_run_id, model.model_type) == ("net", "READY", out["run"], "classifier")
    assert model.params == {"width": "4"} and model.tags["team"] == "blue"
    assert [(one["name"], int(one["version"])) for one in json.loads(model.tags["mlflow.modelVersions"])] == [("nets", 1), ("before", 1)]
    metrics = {metric.key: metric for metric in model.metrics}
    assert {key: (metric.step, metric.value) for key, metric in metrics.items()} == {
        "before": (2, 0.25), "after": (2, 0.75), "measured": (7, 1.5)}
    assert metrics["measured"].dataset_name == "ones" and metrics["measured"].run_id == out["run"]
    assert {(one.model_id, one.step) for one in client.get_run(out["run"]).outputs.model_outputs} == {
        (out["model"], 2), (out["second"], 5)}
    for key in ("before", "after", "measured", "other"):  # none twice
        assert len(client.get_metric_history(out["run"], key)) == 1
    assert client.get_logged_model(out["open"]).status == "FAILED"
    with pytest.raises(MlflowException):
        client.get_logged_model(out["deleted"])


def test_the_files_of_a_model_of_lua(told):
    _, out = told
    for uri in (f"models:/{out['model']}", f"runs:/{out['run']}/net", "models:/nets/1", "models:/nets@champion", "models:/copies/1"):
        folder = pathlib.Path(mlflow.artifacts.download_artifacts(uri))
        assert numpy.allclose(weights_of(folder / "model.safetensors")["0.weight"], out["weight"])
        assert (folder / "code/story.lua").exists()
    about = Model.load(f"models:/{out['model']}")
    assert about.flavors["trainhost"]["data"] == "model.safetensors" and about.metadata == {"note": "mine"}
    info = mlflow.models.get_model_info("models:/nets/1")
    assert (info.model_id, info.run_id) == (out["model"], out["run"])
    assert info.signature.inputs.inputs[0].shape == (-1, 4) and info.signature.outputs.inputs[0].shape == (-1, 3)
    assert about.load_input_example().shape == (2, 4)


def test_the_registry_of_lua(told):
    client, out = told
    nets = client.get_registered_model("nets")
    assert (nets.description, nets.tags, {k: int(v) for k, v in nets.aliases.items()}) == (
        "nets of the test", {"kind": "linear"}, {"champion": 2})
    first, second = (client.get_model_version("nets", version) for version in (1, 2))
    assert (first.description, first.current_stage, first.source) == ("the first", "Staging", f"models:/{out['model']}")
    assert first.tags == {"team": "blue", "checked": "True"}
    assert (second.source, second.run_id, second.tags) == (f"models:/{out['second']}", out["run"], {"from": "run"})
    assert client.get_model_version_by_alias("nets", "champion").version == second.version
    assert client.get_registered_model("after").tags == {"a": "1"}
    assert [int(one.version) for one in client.search_model_versions("name = 'after'")] == [1]
    assert {one.name for one in client.search_registered_models()} == {"after", "copies", "nets"}


def test_what_lua_has_read(told):
    _, out = told
    assert out["same"] == [True] * 7
    assert (out["registered"], out["copied"], out["found"]) == ("2", "1", 1)
    assert (out["names"], out["versions"], sorted(out["stages"])) == (["after", "copies", "nets"], ["2", "1"], ["1", "2"])
    assert out["listed"] >= 5
    for message, text in zip(out["refused"], (
            "already exists", "Registered Model with name=nosuch not found", "Model Version (name=nets, version=99) not found",
            "alias nosuch not found", "not found", "is reserved", "Invalid Model Version stage"), strict=True):
        assert text in message


def test_what_python_registers_is_read_by_lua(place):
    client = place.client
    experiment = client.create_experiment("python")
    run = client.create_run(experiment)
    model = client.create_logged_model(experiment, name="made", source_run_id=run.info.run_id, tags={"t": "1"}, params={"p": "2"})
    (place.folder / "note.txt").write_text("of python")
    client.log_model_artifact(model.model_id, str(place.folder / "note.txt"))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_metric(run.info.run_id, "m", 0.5, model_id=model.model_id)
    client.create_registered_model("python", tags={"kind": "x"}, description="of python")
    client.create_model_version("python", f"models:/{model.model_id}", model_id=model.model_id, tags={"k": "0"})
    client.create_model_version("python", f"models:/{model.model_id}", model_id=model.model_id, tags={"k": "v"})
    client.set_registered_model_alias("python", "best", "2")
    client.transition_model_version_stage("python", "1", "Production")
    out = place.play(BACK, model=model.model_id)
    refused = out.pop("refused")
    assert out == {
        "description": "of python", "tag": "x", "version": "2", "source": f"models:/{model.model_id}", "version_tag": "v",
        "stage": "Production", "name": "made", "status": "READY", "param": "2", "model_tag": "1", "metric": 0.5,
        "text": "of python", "next": "3"}
    assert "has no flavor 'trainhost'" in refused
    assert int(client.get_model_version_by_alias("python", "best").version) == 1
    assert client.get_model_version("python", "3").run_id == run.info.run_id
