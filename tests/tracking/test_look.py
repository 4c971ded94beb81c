# trainhost runs, show, compare, tail and plot on what the real MLflow keeps: its server, and a file of its own schema.
import json
import subprocess
import sys

import pytest
from mlflow_server import Server

PYTHON = """
import mlflow, sys
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("looked at")
for i in (1, 2):
    with mlflow.start_run(run_name=f"python {i}") as run:
        mlflow.log_params({"lr": 0.1 / i, "epochs": 3})
        for step in range(3):
            mlflow.log_metrics({"loss": 1 / (i + step), "val_loss": 2 / (i + step)}, step=step)
        mlflow.log_metric("bad", float("nan"))
        mlflow.log_text("hello", "notes/a.txt")
        print(run.info.run_id)
"""
PLAIN = {"LC_ALL": "C", "NO_COLOR": ""}


@pytest.fixture(scope="module", params=["server", "file"])
def store(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    server = Server(folder).wait() if request.param == "server" else None
    uri = server.uri if server else f"sqlite:///{folder}/mlflow.db"
    done = subprocess.run([sys.executable, "-c", PYTHON, uri], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    yield uri, [line for line in done.stdout.split() if len(line) == 32], folder
    if server:
        server.stop()


def test_every_verb_reads_it(trainhost, store, tmp_path):
    uri, ids, _ = store

    def out(*words):
        return trainhost.run(*words, "--uri", uri, cwd=tmp_path, env=PLAIN).stdout

    found = json.loads(out("runs", "--sort", "val_loss", "--experiment", "looked at", "--json"))
    assert [run["run_id"] for run in found] == [ids[1], ids[0]]
    assert found[0]["metrics"] == {"loss": 0.25, "val_loss": 0.5, "bad": "nan"} and found[0]["params"]["lr"] == "0.05"
    assert [run["run_name"] for run in json.loads(out("runs", "--json", "--filter", "params.lr = '0.1'"))] == ["python 1"]
    shown = out("show", "python 1")
    assert f"python 1  {ids[0]}  FINISHED" in shown and "a.txt  5 B" in shown and "looked at" in shown
    assert next(line.split()[:8] for line in shown.splitlines() if line.startswith("  loss")) == [
        "loss", "0.333333", "2", "0.333333", "2", "1", "0", "3"]
    assert out("show", ids[1][:12]).startswith("python 2") and out("show", "last").startswith("python 2")
    assert f"best val_loss: python 2 ({ids[1][:8]}), 0.5" in out("compare", ids[0], "python 2")
    assert [line.split("  ", 1)[1] for line in out("tail", "-f", "last", "--metric", "loss").splitlines()[:-1]] == [
        "step 0  loss 0.5", "step 1  loss 0.333333", "step 2  loss 0.25"]
    assert out("plot", "python 1", "loss", "--ascii").startswith("* loss 0.3333")
    wrong = trainhost.run("show", "pyton 1", "--uri", uri, cwd=tmp_path, env=PLAIN, check=False)
    assert wrong.returncode == 2 and "'pyton 1' is no run of" in wrong.stderr and "python 1" in wrong.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away_is_told_of(trainhost, tmp_path):
    done = trainhost.run("runs", "--uri", "http://name:secret@127.0.0.1:9", cwd=tmp_path, check=False,
                         env={**PLAIN, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"})
    assert done.returncode == 1 and "127.0.0.1:9" in done.stderr and "secret" not in done.stderr
