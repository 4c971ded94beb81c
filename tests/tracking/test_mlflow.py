# Runs that trainhost logged, read by the real MLflow: its client, its server's REST, and Python going on with them.
import json
import math
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

import mlflow
from mlflow import MlflowClient
from mlflow_server import Server

STORY = """
local mlflow = require "mlflow"
mlflow.set_experiment("story")
local run <close> = mlflow.start_run{run_name = "parent", tags = {team = "blue"}, description = "a *note*"}
run:log_params{lr = 0.1, epochs = 3, nesterov = true, betas = {0.9, 0.999}, name = "adam", none = "None"}
run:log_param("long", ("x"):rep(7000))
run:set_tag("long", ("y"):rep(9000))
run:set_tag("text", "Grüße ✓")
for epoch = 0, 9 do
  run:log_metrics({loss = 1 / (epoch + 1), ["val/accuracy"] = epoch / 10}, epoch)
end
run:log_metrics({bad = 0 / 0, big = math.huge, small = -math.huge})
run:log_metric("ints", 3, -5)
run:log_text("hello\\n", "notes/hello world.txt")
run:log_dict({lr = 0.1, layers = {1, 2}, deep = {on = true, off = "off", e = 1e-5, s = "a: b"}}, "config.json")
run:log_dict({lr = 0.1, layers = {1, 2}, deep = {on = true, off = "off", e = 1e-5, s = "a: b"}}, "config.yaml")
local file = io.open("data.bin", "w")
file:write(("0123456789"):rep(300000))
file:close()
run:log_artifact("data.bin", "files")
os.remove("data.bin")
for i = 1, 2 do
  local child <close> = mlflow.start_run{run_name = "child " .. i, nested = true}
  mlflow.log_metric("score", i)
end
run:log_metric("after_children", 1)
print(run.info.run_id)
"""


def python_logs_to(folder, experiment=None):
    """Has this Python's mlflow log there; what it leaves in the environment would reach trainhost too."""
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    if experiment:
        mlflow.set_experiment(experiment)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        os.environ.pop(name, None)


def client_of(folder):
    return MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def story(trainhost, folder):
    """The id of a run with everything in it."""
    (folder / "story.lua").write_text(STORY)
    return trainhost.run("story.lua", cwd=folder).stdout.split()[-1]


@pytest.fixture(scope="session")
def client(folder, story):
    return client_of(folder)


def test_run_info_and_tags(client, folder, story):
    run = client.get_run(story)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "parent"
    assert run.info.end_time >= run.info.start_time > 1_600_000_000_000
    assert run.info.artifact_uri == f"{folder}/mlruns/1/{story}/artifacts"
    experiment = client.get_experiment(run.info.experiment_id)
    assert (experiment.name, experiment.artifact_location) == ("story", f"{folder}/mlruns/1")
    tags = run.data.tags
    assert tags["team"] == "blue"
    assert tags["text"] == "Grüße ✓"
    assert tags["mlflow.runName"] == "parent"
    assert tags["mlflow.note.content"] == "a *note*"
    assert tags["mlflow.source.name"] == "story.lua"
    assert tags["mlflow.source.type"] == "LOCAL"
    assert tags["mlflow.user"] == run.info.user_id != ""
    assert tags["long"] == "y" * 8000


def test_params_are_what_python_would_have_logged(client, story):
    params = client.get_run(story).data.params
    want = {"lr": 0.1, "epochs": 3, "nesterov": True, "betas": [0.9, 0.999], "name": "adam", "none": None}
    assert params == {**{key: str(value) for key, value in want.items()}, "long": "x" * 6000}


def test_metrics_with_steps(client, story):
    history = client.get_metric_history(story, "loss")
    assert [(point.step, point.value) for point in history] == [(epoch, 1 / (epoch + 1)) for epoch in range(10)]
    assert all(abs(point.timestamp / 1000 - time.time()) < 3600 for point in history)
    metrics = client.get_run(story).data.metrics
    assert metrics["loss"] == 0.1
    assert metrics["val/accuracy"] == 0.9
    assert metrics["after_children"] == 1
    assert client.get_metric_history(story, "ints")[0].step == -5


def test_nan_and_infinities(client, story):
    metrics = client.get_run(story).data.metrics
    assert math.isnan(metrics["bad"])
    assert metrics["big"] == sys.float_info.max
    assert metrics["small"] == -sys.float_info.max


def test_artifacts(client, story):
    assert {item.path for item in client.list_artifacts(story)} == {
        "notes", "files", "config.json", "config.yaml"}
    assert [item.path for item in client.list_artifacts(story, "notes")] == ["notes/hello world.txt"]
    path = pathlib.Path(client.download_artifacts(story, "notes/hello world.txt"))
    assert path.read_text() == "hello\n"
    assert pathlib.Path(client.download_artifacts(story, "files/data.bin")).read_bytes() == b"0123456789" * 300000
    want = {"lr": 0.1, "layers": [1, 2], "deep": {"on": True, "off": "off", "e": 1e-5, "s": "a: b"}}
    uri = client.get_run(story).info.artifact_uri
    assert mlflow.artifacts.load_dict(uri + "/config.json") == want
    import yaml
    assert yaml.safe_load(mlflow.artifacts.load_text(uri + "/config.yaml")) == want


def test_nested_runs(client, story):
    children = client.search_runs(["1"], f"tags.mlflow.parentRunId = '{story}'", order_by=["metrics.score ASC"])
    assert [(run.info.run_name, run.data.metrics["score"]) for run in children] == [("child 1", 1), ("child 2", 2)]
    assert {run.info.status for run in children} == {"FINISHED"}


def test_python_goes_on_with_the_run(client, folder, story):
    python_logs_to(folder)
    with mlflow.start_run(run_id=story):
        mlflow.log_metric("python", 1.5, step=3)
        mlflow.log_param("from", "python")
    run = client.get_run(story)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["python"] == 1.5
    assert run.data.params["lr"] == "0.1"


def test_trainhost_goes_on_with_a_run_of_python(trainhost, client, folder):
    # The database has been upgraded by this MLflow by now.
    python_logs_to(folder, "python's")
    with mlflow.start_run(run_name="snake") as run:
        mlflow.log_metric("loss", 1.0, step=0)
    trainhost.lua("""local mlflow = require "mlflow"
        local run <close> = mlflow.start_run()
        assert(run.info.run_name == "snake")
        run:log_metric("loss", 0.5, 1)
        run:log_text("from Lua", "lua.txt")""", cwd=folder, env={"MLFLOW_RUN_ID": run.info.run_id})
    assert [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, "loss")] == [(0, 1.0), (1, 0.5)]
    assert mlflow.artifacts.load_text(client.get_run(run.info.run_id).info.artifact_uri + "/lua.txt") == "from Lua"


def test_environment_chooses_store_and_experiment(trainhost, tmp_path, story, folder, client):
    code = """local mlflow = require "mlflow"
        local run <close> = mlflow.start_run()
        print(run.info.run_id, mlflow.get_tracking_uri())"""
    uri = f"sqlite:///{folder}/mlflow.db"
    env = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_NAME": "named"}
    run_id, seen = trainhost.lua(code, cwd=tmp_path, env=env).split()
    assert seen == uri
    experiment = client.get_experiment_by_name("named")
    assert client.get_run(run_id).info.experiment_id == experiment.experiment_id
    run_id, _ = trainhost.lua(code, cwd=tmp_path, env={"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_ID": "1"}).split()
    assert client.get_run(run_id).info.experiment_id == "1"
    assert not (tmp_path / "mlflow.db").exists()


def failing(trainhost, folder, code):
    """Runs a script that fails; returns what it did, and the id that it printed first."""
    (folder / "failing.lua").write_text(code)
    done = trainhost.run("failing.lua", cwd=folder, check=False)
    return done, done.stdout.split()[0]


@pytest.mark.parametrize("scope", ["<close>", ""])
def test_script_error_marks_the_run_failed_and_loses_nothing(trainhost, client, folder, scope):
    done, run_id = failing(trainhost, folder, f"""local mlflow = require "mlflow"
        local run {scope} = mlflow.start_run{{run_name = "broken"}}
        print(run.info.run_id)
        for step = 0, 1999 do run:log_metric("loss", step, step) end
        run:log_text("last words", "last.txt")
        local x = nil + 1""")
    assert done.returncode == 1
    assert "failing.lua:6" in done.stderr
    run = client.get_run(run_id)
    assert run.info.status == "FAILED"
    assert run.info.end_time
    assert len(client.get_metric_history(run_id, "loss")) == 2000
    assert (pathlib.Path(run.info.artifact_uri) / "last.txt").read_text() == "last words"


@pytest.mark.parametrize("scope", ["<close>", ""])
def test_a_throwing_callback_is_one_clear_line_and_a_failed_run(trainhost, client, folder, scope):
    done, run_id = failing(trainhost, folder, f"""local mlflow, torch, train = require "mlflow", require "torch", require "train"
        local run {scope} = mlflow.start_run()
        print(run.info.run_id)
        local net = torch.nn.Linear(2, 1)
        local x, y = torch.ones(4, 2), torch.ones(4, 1)
        train.fit{{model = net, optimizer = torch.optim.SGD(net:parameters(), {{lr = 0.01}}), epochs = 3, quiet = true,
          loss = torch.nn.functional.mse_loss, train = {{{{x, y}}}},
          callbacks = {{mlflow.callback{{}}, train.on("epoch_end", function(state)
            if state.epoch == 1 then error("boom") end
          end)}}}}""")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith("failing.lua:9: ") and "boom" in lines[0] and "epoch_end" in lines[0], done.stderr
    assert all(line.startswith("    failing.lua:") for line in lines[1:]), done.stderr
    run = client.get_run(run_id)
    assert run.info.status == "FAILED"
    assert [point.step for point in client.get_metric_history(run_id, "loss")][0] == 0


@pytest.mark.parametrize("call, code, status", [
    ("os.exit()", 0, "FINISHED"), ("os.exit(0)", 0, "FINISHED"), ("os.exit(true)", 0, "FINISHED"),
    ("os.exit(7)", 7, "FAILED"), ("os.exit(false)", 1, "FAILED"), ("pcall(os.exit, 0)", 0, "FINISHED"),
])
@pytest.mark.parametrize("scope", ["<close>", ""])
def test_os_exit_loses_nothing_and_its_code_decides_the_status(trainhost, client, folder, scope, call, code, status):
    done, run_id = failing(trainhost, folder, f"""local mlflow = require "mlflow"
        local run {scope} = mlflow.start_run()
        print(run.info.run_id)
        for step = 0, 999 do run:log_metric("loss", step, step) end
        {call}""")
    assert done.returncode == code
    assert len(client.get_metric_history(run_id, "loss")) == 1000
    assert client.get_run(run_id).info.status == status


@pytest.mark.parametrize("scope", ["<close>", ""])
def test_sigint_marks_the_run_killed_and_loses_nothing(trainhost, client, folder, scope):
    (folder / "loop.lua").write_text(f"""local mlflow = require "mlflow"
        local run {scope} = mlflow.start_run()
        for step = 0, 99 do run:log_metric("loss", step, step) end
        print(run.info.run_id)
        io.stdout:flush()
        while true do end""")
    process = subprocess.Popen([trainhost.path, "loop.lua"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    run_id = process.stdout.readline().strip()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    run = client.get_run(run_id)
    assert run.info.status == "KILLED"
    assert len(client.get_metric_history(run_id, "loss")) == 100


def test_eight_processes_in_an_empty_folder(trainhost, tmp_path):
    (tmp_path / "one.lua").write_text("""local mlflow = require "mlflow"
        mlflow.set_experiment("together")
        local run <close> = mlflow.start_run()
        for step = 0, 49 do run:log_metrics({loss = step, accuracy = 1}, step) end
        run:log_param("lr", 0.1)
        run:log_text(run.info.run_id, "id.txt")""")
    processes = [subprocess.Popen([trainhost.path, "one.lua"], cwd=tmp_path, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True) for _ in range(8)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, outputs
    database = sqlite3.connect(tmp_path / "mlflow.db")
    assert database.execute("SELECT count(*) FROM metrics").fetchone() == (800,)
    assert database.execute("SELECT count(*) FROM experiments").fetchone() == (2,)
    assert database.execute("SELECT status, count(*) FROM runs GROUP BY 1").fetchall() == [("FINISHED", 8)]
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    client = client_of(tmp_path)
    runs = client.search_runs([client.get_experiment_by_name("together").experiment_id])
    assert len(runs) == 8
    for run in runs:
        assert run.data.metrics == {"loss": 49, "accuracy": 1}
        assert run.data.params == {"lr": "0.1"}
        assert (pathlib.Path(run.info.artifact_uri) / "id.txt").read_text() == run.info.run_id


def test_file_store_in_the_folder_is_told(trainhost, tmp_path):
    (tmp_path / "mlruns/0").mkdir(parents=True)
    (tmp_path / "mlruns/0/meta.yaml").write_text("name: Default\n")
    (tmp_path / "trap.lua").write_text("""local mlflow = require "mlflow"
        local run <close> = mlflow.start_run()
        run:log_metric("loss", 1)""")
    done = trainhost.run("trap.lua", cwd=tmp_path)
    assert "mlruns/0/meta.yaml" in done.stderr and "mlflow ui --backend-store-uri sqlite:///mlflow.db" in done.stderr
    assert sqlite3.connect(tmp_path / "mlflow.db").execute("SELECT count(*) FROM metrics").fetchone() == (1,)


@pytest.fixture(scope="module")
def ui(folder, client):
    server = Server(folder)
    try:
        yield server.wait()
    finally:
        server.stop()


def test_mlflow_ui_shows_the_runs(ui, story):
    found = ui.post("api/2.0/mlflow/runs/search", experiment_ids=["1"], filter="params.lr = '0.1'")["runs"]
    assert [run["info"]["run_id"] for run in found] == [story]
    assert {metric["key"] for metric in found[0]["data"]["metrics"]} >= {"loss", "val/accuracy", "bad", "big"}
    history = json.loads(ui.get("api/2.0/mlflow/metrics/get-history", run_id=story, metric_key="loss"))["metrics"]
    assert [(int(point["step"]), point["value"]) for point in history] == [(e, 1 / (e + 1)) for e in range(10)]
    assert ui.get("get-artifact", path="notes/hello world.txt", run_uuid=story) == b"hello\n"
    assert b"<html" in ui.get("").lower()


def test_mlflow_ui_shows_a_run_that_is_logged_while_it_serves(ui, trainhost, folder):
    run_id = trainhost.lua("""local mlflow = require "mlflow"
        mlflow.set_experiment("story")
        local run <close> = mlflow.start_run{run_name = "live"}
        for step = 0, 99 do run:log_metric("loss", step, step) end
        print(run.info.run_id)""", cwd=folder).split()[-1]
    history = json.loads(ui.get("api/2.0/mlflow/metrics/get-history", run_id=run_id, metric_key="loss"))["metrics"]
    assert len(history) == 100
    run = json.loads(ui.get("api/2.0/mlflow/runs/get", run_id=run_id))["run"]
    assert (run["info"]["run_name"], run["info"]["status"]) == ("live", "FINISHED")
