# Runs that are logged to a real tracking server, directly and through one that fails in every way; read back by MLflow.
import base64
import json
import math
import os
import re
import shutil
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import threading
import time

import fault_server as faults
import pytest
from fault_server import FaultServer, FreePort
from sample import LONG
from test_mlflow import STORY, MlflowClient, mlflow

from mlflow_server import Server


def play(trainhost, code, uri, folder, **env):
    """Runs a script that logs to a server: what it printed, and what it said."""
    (folder / "script.lua").write_text(code)
    done = trainhost.run("script.lua", cwd=folder, env={"MLFLOW_TRACKING_URI": uri, **env})
    return done.stdout, done.stderr


def play_and_kill(trainhost, code, uri, folder, **env):
    """The same of a script that is killed once it has printed `done`: its end would wait for the server."""
    (folder / "script.lua").write_text(code + ' print("done") io.stdout:flush() io.read()')
    process = subprocess.Popen([trainhost.path, "script.lua"], cwd=folder, text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, "MLFLOW_TRACKING_URI": uri, **env})
    out = ""
    while not out.endswith("done\n"):
        line = process.stdout.readline()
        assert line, process.communicate()
        out += line
    process.kill()
    return out, process.communicate()[1]


def points(client, run_id, key):
    return sorted((point.step, point.value) for point in client.get_metric_history(run_id, key))


def test_everything_is_read_back_by_the_real_client(trainhost, server, client, artifacts, tmp_path):
    out, said = play(trainhost, STORY, server.uri, tmp_path)
    run = client.get_run(out.split()[-1])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "parent")
    assert run.info.end_time >= run.info.start_time > 1_600_000_000_000
    assert client.get_experiment(run.info.experiment_id).name == "story"
    tags = run.data.tags
    assert tags["text"] == "Grüße ✓" and tags["mlflow.note.content"] == "a *note*" and tags["long"] == "y" * 8000
    assert tags["mlflow.runName"] == "parent" and tags["mlflow.source.name"] == "script.lua"
    want = {"lr": 0.1, "epochs": 3, "nesterov": True, "betas": [0.9, 0.999], "name": "adam", "none": None}
    assert run.data.params == {**{key: str(value) for key, value in want.items()}, "long": "x" * 6000}
    assert points(client, run.info.run_id, "loss") == [(epoch, 1 / (epoch + 1)) for epoch in range(10)]
    assert points(client, run.info.run_id, "ints") == [(-5, 3)]
    metrics = run.data.metrics
    assert math.isnan(metrics["bad"]) and metrics["big"] == sys.float_info.max == -metrics["small"]
    uri = run.info.artifact_uri
    assert uri.startswith("mlflow-artifacts:/")
    assert {item.path for item in client.list_artifacts(run.info.run_id)} == {
        "notes", "files", "config.json", "config.yaml"}
    assert artifacts.load_text(uri + "/notes/hello world.txt") == "hello\n"
    assert open(client.download_artifacts(run.info.run_id, "files/data.bin"), "rb").read() == b"0123456789" * 300000
    assert artifacts.load_dict(uri + "/config.json")["layers"] == [1, 2]
    children = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'",
                                  order_by=["metrics.score ASC"])
    assert [(child.info.run_name, child.data.metrics["score"]) for child in children] == [("child 1", 1), ("child 2", 2)]
    assert said.count("warning") == 2 and said.count("is cut to") == 2, said  # the long values
    assert not (tmp_path / ".trainhost").exists() and not (tmp_path / "mlflow.db").exists()


READ_BACK = """
local mlflow = require "mlflow"
local run = mlflow.start_run()
for step = 0, 99 do run:log_metric("loss", 1 / (step + 1), step) end
run:log_params {lr = 0.1}
run:set_tag("team", "blue")
run:set_tag("mlflow.runName", "renamed")
run:set_tag("away", 1)
run:delete_tag("away")
run:log_metric("bad", 0 / 0)
local id = run.info.run_id
assert(run:wait_id() == id)
local back = mlflow.get_run(id)
assert(back.info.run_id == id and back.info.status == "RUNNING" and back.info.run_name == "renamed")
assert(back.data.params.lr == "0.1" and back.data.metrics.loss == 0.01 and back.data.metrics.bad ~= back.data.metrics.bad)
assert(back.data.tags.team == "blue" and back.data.tags.away == nil)
local history = mlflow.get_metric_history(id, "loss")
assert(#history == 100 and history[100].step == 99 and history[100].value == 0.01)
mlflow.end_run("FAILED")
assert(mlflow.get_run(id).info.status == "FAILED")
do
  local again <close> = mlflow.start_run {run_id = id}
  assert(again:wait_id(0) == id and again.info.artifact_uri:find(id, 1, true))
  again:log_metric("loss", 7, 100)
end
assert(mlflow.get_run(id).info.status == "FINISHED")
assert(select(2, pcall(mlflow.get_run, ("0"):rep(32))).message:find("Run with id=" .. ("0"):rep(32) .. " not found", 1, true))
assert(select(2, pcall(mlflow.start_run, {experiment_id = "99999"})).message:find("no experiment with id"))
print(id)
"""


def test_a_script_reads_back_and_goes_on_with_its_run(trainhost, server, client, tmp_path):
    out, said = play(trainhost, READ_BACK, server.uri + "/", tmp_path)
    assert said == ""
    run = client.get_run(out.strip())
    assert run.info.run_name == "renamed" and run.data.tags["mlflow.runName"] == "renamed"
    assert points(client, run.info.run_id, "loss")[-1] == (100, 7)


def test_trainhost_goes_on_with_a_run_of_python_and_python_with_one_of_ours(trainhost, server, client, tmp_path):
    experiment = client.create_experiment("python's")
    run = client.create_run(experiment, run_name="snake")
    client.log_metric(run.info.run_id, "loss", 1.0, step=0)
    client.set_terminated(run.info.run_id, "FAILED")
    play(trainhost, """local run <close> = require("mlflow").start_run()
        assert(run.info.run_name == "snake")
        run:log_metric("loss", 0.5, 1)""", server.uri, tmp_path, MLFLOW_RUN_ID=run.info.run_id)
    assert points(client, run.info.run_id, "loss") == [(0, 1.0), (1, 0.5)]
    assert client.get_run(run.info.run_id).info.status == "FINISHED"
    client.log_metric(run.info.run_id, "loss", 0.25, step=2)
    assert len(points(client, run.info.run_id, "loss")) == 3


MANY = """
local mlflow = require "mlflow"
mlflow.set_experiment("many")
local run <close> = mlflow.start_run {run_name = "many"}
for step = 0, 1499 do run:log_metric("loss", step / 8, step) end
for i = 1, 120 do run:log_param("p" .. i, i) end
for i = 1, 120 do run:set_tag("t" .. i, i) end
for step = 0, 499 do run:log_metric("other", step, step) end
run:log_text(("x"):rep(100000), "folder/x y.txt")
do
  local child <close> = mlflow.start_run {run_name = "child", nested = true}
  child:log_metric("loss", 1, 0)
end
assert(run:flush(100))
print(run:wait_id())
"""


def is_whole(client, run_id):
    run = client.get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "many")
    assert points(client, run_id, "loss") == [(step, step / 8) for step in range(1500)]
    assert points(client, run_id, "other") == [(step, step) for step in range(500)]
    assert run.data.params == {f"p{i}": str(i) for i in range(1, 121)}
    assert {key: value for key, value in run.data.tags.items() if key.startswith("t") and key[1:].isdigit()} == {
        f"t{i}": str(i) for i in range(1, 121)}
    experiment = [run.info.experiment_id]
    local_id = run.data.tags["trainhost.run_id"]
    assert len(client.search_runs(experiment, f"tags.`trainhost.run_id` = '{local_id}'")) == 1, "made once"
    children = client.search_runs(experiment, f"tags.mlflow.parentRunId = '{run_id}'")
    assert [(child.info.status, child.data.metrics) for child in children] == [("FINISHED", {"loss": 1})]
    assert [(file.path, file.file_size) for file in client.list_artifacts(run_id, "folder")] == [("folder/x y.txt", 100000)]


def test_batches_keep_to_the_limits_over_two_connections(trainhost, proxy, client, tmp_path):
    with proxy() as between:
        out, said = play(trainhost, MANY, between.uri, tmp_path)
        assert said == ""
    is_whole(client, out.strip())
    batches = between.calls("log-batch")
    for batch in batches:
        assert len(batch["params"]) <= 100 and len(batch["tags"]) <= 100
        assert len(batch["metrics"]) + len(batch["params"]) + len(batch["tags"]) <= 1000
    assert len(batches) < 60
    assert between.connections <= 2, "one of the sender, one of the script"


RARELY = 3
FAULTS = {
    "429": faults.status(429, b"slow down"), "500": faults.status(500, b"<html>"), "502": faults.status(502, b"<html>"),
    "503": faults.status(503, b"<html>"), "404 of a page": faults.status(404, b"<html>"),
    "a page": faults.status(200, b"<html>sign in</html>"), "reset": faults.reset, "lost answers": faults.lost,
    "cut answers": faults.cut, "half JSON": faults.half_json, "each call twice": faults.twice,
}


if not LONG:  # each of its kind
    for name in ("502", "503", "404 of a page", "half JSON"):
        del FAULTS[name]


@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_lost_or_doubled_by_a_server_that_fails(trainhost, proxy, client, tmp_path, name):
    fault = FAULTS[name]
    if name == "each call twice":  # but for the creation of runs, which is none
        def choose(handler, body):
            return handler.command == "POST" and not handler.path.endswith("/create") and fault(handler, body)
    else:
        def choose(handler, body, chosen=faults.every(RARELY, fault)):
            return not handler.path.endswith("experiments/create") and chosen(handler, body)
    with proxy(choose) as between:  # how long it waits between its tries is another test's
        out, said = play(trainhost, MANY, between.uri, tmp_path, MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR="0.05",
                         MLFLOW_HTTP_REQUEST_BACKOFF_JITTER="0")
    is_whole(client, out.strip())
    assert "set aside" not in said, said


def pauses_of(requests):
    """From each request that failed to the next one; of (time, whether it failed) in order."""
    return [after - at for (at, failed), (after, _) in zip(requests, requests[1:]) if failed]


def test_the_pauses_do_not_grow_where_a_server_takes_something_in_between(trainhost, proxy, client, tmp_path):
    requests, fails = [], faults.every(RARELY, lambda handler, body: True)

    def choose(handler, body):
        requests.append((time.monotonic(), fails(handler, body)))
        return requests[-1][1] and faults.status(503)(handler, body)

    with proxy() as between:
        script = """local run <close> = require("mlflow").start_run()
            run:flush()
            io.open("begun", "w"):close()
            for i = 1, 20 do run:log_text("text", i .. ".txt") end
            assert(run:flush(100))"""
        between.fault = lambda handler, body: (tmp_path / "begun").exists() and choose(handler, body)
        play(trainhost, script, between.uri, tmp_path, MLFLOW_HTTP_REQUEST_BACKOFF_JITTER="0")
    pauses = pauses_of(requests)
    half = len(pauses) // 2
    assert half > 3 and statistics.median(pauses[half:]) < 4 * statistics.median(pauses[:half]), pauses


def test_the_pauses_grow_where_a_server_takes_nothing(trainhost, proxy, tmp_path):
    requests = []

    def choose(handler, body):
        if "/runs/" in handler.path:
            requests.append((time.monotonic(), True))
            if len(requests) > 4:
                (tmp_path / "enough").touch()
        return faults.status(503)(handler, body)

    with proxy(choose) as between:
        play_and_kill(trainhost, """local host = require "host"
            require("mlflow").start_run()
            while not host.file.exists("enough") do host.sleep(0.05) end""", between.uri, tmp_path,
                      MLFLOW_HTTP_REQUEST_BACKOFF_JITTER="0")
    for i, pause in enumerate(pauses_of(requests)):
        assert pause > 0.099 * 2 ** i, pauses_of(requests)


def test_retry_after_is_kept_to(trainhost, proxy, client, tmp_path):
    times = []

    def busy(handler, body):
        if not handler.path.endswith("log-batch"):
            return False
        times.append(time.monotonic())
        return len(times) == 1 and faults.status(429, b"{}", "application/json", Retry_After="2")(handler, body)

    with proxy(busy) as between:
        out, _ = play(trainhost, MANY, between.uri, tmp_path)
    is_whole(client, out.strip())
    assert times[1] - times[0] >= 2


def test_a_server_that_starts_late_gets_everything(trainhost, server, client, artifacts, tmp_path):
    port = FreePort()
    (tmp_path / "file.txt").write_text("a file")
    (tmp_path / "script.lua").write_text("""
        local mlflow = require "mlflow"
        mlflow.set_experiment("late")
        local run <close> = mlflow.start_run {run_name = "late"}
        local first = run.info.run_id
        for step = 0, 99 do run:log_metric("loss", step, step) end
        run:log_text("text", "text.txt")
        run:log_artifact("file.txt")
        os.remove("file.txt")
        local child = mlflow.start_run {run_name = "child", nested = true}
        child:end_run()
        assert(run.info.run_id == first and #first == 32 and not run:wait_id(0))
        io.stdout:write("waiting\\n")
        io.stdout:flush()
        local id = assert(run:wait_id(100))
        assert(id ~= first and run.info.run_id == id)
        assert(mlflow.get_run(first).info.run_id == id)
        assert(run:flush(100))
        print(id, first)""")
    process = subprocess.Popen([trainhost.path, "script.lua"], cwd=tmp_path, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env={**os.environ,
                                                                      "MLFLOW_TRACKING_URI": port.uri})
    assert process.stdout.readline() == "waiting\n"
    with FaultServer(("127.0.0.1", server.port), port=port.port):
        out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert said.count("records wait and are tried again") == 1 and "works again, nothing was lost" in said, said
    run_id, local_id = out.split()
    run = client.get_run(run_id)
    assert run.data.tags["trainhost.run_id"] == local_id
    assert client.get_experiment(run.info.experiment_id).name == "late"
    assert points(client, run_id, "loss") == [(step, step) for step in range(100)]
    assert artifacts.load_text(run.info.artifact_uri + "/file.txt") == "a file"
    child, = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{run_id}'")
    assert child.info.status == "FINISHED"
    assert not (tmp_path / ".trainhost").exists()


def test_a_server_that_hangs_holds_up_nothing_slow(trainhost, proxy, client, tmp_path):
    free = threading.Event()

    def hang(handler, body):
        free.wait(100)
        return False

    with proxy(hang) as between:
        (tmp_path / "script.lua").write_text("""
            local mlflow, host = require "mlflow", require "host"
            mlflow.set_experiment("hanging")
            local run <close> = mlflow.start_run {run_name = "many"}
            for step = 0, 999 do run:log_metric("loss", step, step) end
            print("logged")
            io.stdout:flush()
            assert(run:flush(100))
            print(run:wait_id())""")
        process = subprocess.Popen([trainhost.path, "script.lua"], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
                                   env={**os.environ, "MLFLOW_TRACKING_URI": between.uri})
        assert process.stdout.readline() == "logged\n", "while nothing is answered"
        free.set()
        run_id = process.communicate(timeout=120)[0].strip()
    assert len(points(client, run_id, "loss")) == 1000


def test_a_server_that_is_never_there_ends_no_training(trainhost, tmp_path):
    port = FreePort()
    out, said = play_and_kill(trainhost, """
        local mlflow = require "mlflow"
        mlflow.set_experiment("never")
        local run = mlflow.start_run()
        for step = 0, 99 do run:log_metric("loss", step, step) end
        run:end_run()
        print("trained", mlflow.flush(0.5))""", port.uri, tmp_path)
    assert out.startswith("trained\tnil")
    assert "cannot be reached" in said and "records wait" in said and said.count("\n") == 1, said


AT_THE_END = """
local mlflow = require "mlflow"
local writer = require("torch.utils.tensorboard").SummaryWriter("events")
local run = mlflow.start_run()
for step = 0, 99 do
  run:log_metric("loss", step, step)
  writer:add_scalar("loss", step, step)
end
run:end_run()
mlflow.set_tracking_uri("sqlite:///local.db")
local here = mlflow.start_run()
for step = 0, 99 do here:log_metric("loss", step, step) end
print("logged")
io.stdout:flush()
"""


def count_events(folder):
    path, = folder.iterdir()
    data, count = path.read_bytes(), 0
    while data:
        size, = struct.unpack_from("<Q", data)
        assert len(data) >= size + 16
        data, count = data[size + 16:], count + 1
    return count


def test_an_outage_in_a_training_ends_nothing_and_loses_nothing(trainhost, proxy, client, tmp_path):
    code = """local mlflow, torch, train = require "mlflow", require "torch", require "train"
        mlflow.autolog{every = 1, log_models = true}
        local epochs = 0
        train.fit{model = torch.nn.Linear(2, 1), optimizer = "sgd", loss = "mse", epochs = 5, quiet = true,
          train = {torch.randn(8, 2), torch.randn(8, 1)}, callbacks = {train.on("epoch_end", function(state)
            if state.epoch == 1 then  -- the server is away from here on
              mlflow.flush(20)
              io.open("away", "w"):close()
            end
            epochs = epochs + 1
            if state.epoch == 4 then mlflow.flush(1) end  -- until the server has been asked in vain
          end)}}
        os.remove("away")
        assert(mlflow.flush(60))
        print(epochs, mlflow.last_active_run():wait_id())"""
    def away(handler, body):
        if (tmp_path / "away").exists():
            handler.answer(503)
            return True
    one = proxy(away)
    out, _ = play(trainhost, code, one.uri, tmp_path)
    epochs, run_id = out.split()
    assert epochs == "5"
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert [step for step, _ in points(client, run_id, "loss")] == [0, 1, 2, 3, 4]
    assert run.data.tags["trainhost.last_error"], one.requests[-1]
    logged = {model.name for model in client.search_logged_models(["0"]) if model.source_run_id == run_id and model.status == "READY"}
    as_files = {item.path for item in client.list_artifacts(run_id)
                if f"{item.path}/model.safetensors" in {file.path for file in client.list_artifacts(run_id, item.path)}}
    away = {"epoch_2", "epoch_3", "epoch_4", "epoch_5", "model"}  # what was logged then are files of the run
    assert away <= as_files and logged | as_files == away | {"epoch_1"}


def test_start_run_waits_two_seconds_for_a_server_that_hangs(trainhost, proxy, tmp_path):
    """However the experiment is named: as long as for one question, not for each."""
    free = threading.Event()
    between = proxy(lambda handler, body: free.wait(100) or handler.drop() or True)
    script = """local mlflow = require "mlflow"
        local function now() return io.open("/proc/uptime"):read("n") end
        local uri = os.getenv("MLFLOW_TRACKING_URI")
        mlflow.set_tracking_uri(uri .. "/other")
        local times = {now()}
        mlflow.set_experiment("one question")
        times[2] = now()
        mlflow.set_tracking_uri(uri)
        mlflow.start_run(%s)
        print(now() - times[2], times[2] - times[1])"""
    try:
        for options, env in (("", {}), ('{experiment_id = "7"}', {}), ("", {"MLFLOW_EXPERIMENT_NAME": "named"}),
                             ("", {"MLFLOW_EXPERIMENT_ID": "7"})):
            out, _ = play_and_kill(trainhost, script % options, between.uri, tmp_path, **env)
            took, one = map(float, out.split()[:2])
            assert one > 1.9 and took < one + 3, (options, env, took, one)
    finally:
        free.set()


def test_children_get_none_of_our_files(trainhost, server, tmp_path):
    out, said = play(trainhost, """
        local mlflow = require "mlflow"
        local writer = require("torch.utils.tensorboard").SummaryWriter("events")
        writer:add_scalar("loss", 1, 0)
        local run = mlflow.start_run()
        run:log_metric("loss", 1)
        assert(mlflow.flush())
        mlflow.get_run(run.info.run_id)
        mlflow.set_tracking_uri("sqlite:///local.db")
        local here <close> = mlflow.start_run {nested = true}
        here:log_metric("loss", 1)
        os.execute("ls -l /proc/self/fd")
        local pipe <close> = io.popen("ls -l /proc/self/fd")
        io.write(pipe:read("a"))""", server.uri, tmp_path)
    assert said == ""
    inherited = [line for line in out.splitlines() if " -> " in line and int(line.split()[-3]) > 2]
    assert len(inherited) == 2 and all(re.search(r"-> /proc/\d+/fd$", line) for line in inherited), inherited


def test_an_upload_at_the_end_is_waited_for_while_it_moves_slow(trainhost, proxy, artifacts, client, tmp_path):
    """A file takes longer than the ten seconds of an end in which nothing moves."""
    size, took = 48 << 20, []

    def slowly(file, count):
        if count < size:
            return file.read(count)
        began, parts = time.monotonic(), []
        for at in range(0, count, 1 << 20):
            parts.append(file.read(min(1 << 20, count - at)))
            time.sleep(0.3)
        took.append(time.monotonic() - began)
        return b"".join(parts)

    (tmp_path / "big.bin").write_bytes(os.urandom(size))
    with proxy(read=slowly) as between:
        out, said = play(trainhost, """
            local mlflow = require "mlflow"
            local run <close> = mlflow.start_run()
            run:log_artifact("big.bin")
            print(run:wait_id(10))""", between.uri, tmp_path)
    assert took and took[0] > 13 and said == "", (took, said)
    run = client.get_run(out.strip())
    assert run.info.status == "FINISHED"
    stored = open(client.download_artifacts(run.info.run_id, "big.bin"), "rb").read()
    assert stored == (tmp_path / "big.bin").read_bytes()
    assert not (tmp_path / ".trainhost").exists()


def test_who_does_not_want_to_wait_for_an_upload_asks_once(trainhost, proxy, tmp_path):
    reading, free = threading.Event(), threading.Event()

    def slowly(file, count):
        parts = [file.read(min(1 << 20, count))]
        while count > 1 << 20 and not free.is_set():  # without an end
            reading.set()
            parts.append(file.read(1 << 16))
            time.sleep(0.02)
        return b"".join(parts)

    (tmp_path / "big.bin").write_bytes(bytes(200 << 20))
    with proxy(read=slowly) as between:
        (tmp_path / "script.lua").write_text("""
            local mlflow = require "mlflow"
            local run <close> = mlflow.start_run()
            run:log_artifact("big.bin")
            print("logged")
            io.stdout:flush()""")
        process = subprocess.Popen([trainhost.path, "script.lua"], cwd=tmp_path, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "MLFLOW_TRACKING_URI": between.uri})
        assert process.stdout.readline() == "logged\n" and reading.wait(60)
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
        free.set()
    assert process.returncode == 143 and "could not be stored before the process ended" in said, said


def test_ctrl_c_stops_an_upload_that_is_waited_for_and_stands_still(trainhost, proxy, tmp_path):
    free, reading = threading.Event(), threading.Event()

    def stop(file, count):
        if count < 4 << 20:
            return file.read(count)
        reading.set()
        free.wait(100)
        raise ConnectionError

    (tmp_path / "big.bin").write_bytes(bytes(4 << 20))
    with proxy(read=stop) as between:
        (tmp_path / "script.lua").write_text("""
            local client = require("mlflow").MlflowClient()
            client:log_artifact(client:create_run("0").info.run_id, "big.bin")""")
        process = subprocess.Popen([trainhost.path, "script.lua"], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "MLFLOW_TRACKING_URI": between.uri})
        assert reading.wait(60)
        process.send_signal(signal.SIGINT)
        try:
            said = process.communicate(timeout=60)[1]
        finally:
            process.kill()
            free.set()
    assert process.returncode == 130 and "interrupted" in said, said


def test_the_end_waits_ten_seconds_for_an_upload_that_stands_still_slow(trainhost, proxy, tmp_path):
    free, reading = threading.Event(), threading.Event()

    def stop(file, count):
        if count < 32 << 20:
            return file.read(count)
        reading.set()
        free.wait(100)
        raise ConnectionError

    (tmp_path / "big.bin").write_bytes(bytes(32 << 20))
    with proxy(read=stop) as between:
        (tmp_path / "script.lua").write_text("""
            local mlflow = require "mlflow"
            local run <close> = mlflow.start_run()
            run:log_artifact("big.bin")""")
        process = subprocess.Popen([trainhost.path, "script.lua"], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "MLFLOW_TRACKING_URI": between.uri})
        assert reading.wait(60)
        began = time.monotonic()
        said = process.communicate(timeout=120)[1]
        took = time.monotonic() - began
        free.set()
    assert took < 30, took
    assert "could not be stored before the process ended" in said, said
    # Either the next start or `trainhost sync` finds it, or nothing of it is left.
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size == 32 << 20]
    assert "big.bin" in said and len(left) == 1 or "trainhost sync" in said and len(left) == 2, (said, left)


def test_the_end_waits_ten_seconds_for_a_server_and_no_file_waits_for_one(trainhost, proxy, client, tmp_path):
    free = threading.Event()
    gone = FreePort()
    servers = {"hanging": proxy(lambda handler, body: free.wait(100) or handler.drop() or True), "down": gone,
               "slow": proxy(lambda handler, body: time.sleep(0.7))}
    processes, took, said = {}, {}, {}
    for name, server in servers.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "script.lua").write_text(AT_THE_END)
        env = {**os.environ, "MLFLOW_TRACKING_URI": server.uri, "MLFLOW_RUN_CONTEXT": '{"end": "slow"}'}
        processes[name] = subprocess.Popen([trainhost.path, "script.lua"], cwd=tmp_path / name, text=True, env=env,
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def wait(name):
        process = processes[name]
        assert process.stdout.readline() == "logged\n", process.communicate()
        began = time.monotonic()
        said[name] = process.communicate(timeout=120)[1]
        took[name] = time.monotonic() - began

    threads = [threading.Thread(target=wait, args=(name,)) for name in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    free.set()
    assert [process.returncode for process in processes.values()] == [0, 0, 0], said
    assert max(took.values()) < 20, took
    kept = (r"mlflow: \d+ records for '%s' could not be stored before the process ended: they are kept on disk "
            r"\(the next start stores them, or `trainhost sync`\)\n")
    assert re.fullmatch("warning: " + kept % servers["hanging"].uri, said["hanging"]), said
    assert len(re.findall(kept % gone.uri, said["down"])) == 1 and said["down"].count("\n") == 2, said
    assert said["slow"] == ""
    run, = client.search_runs(["0"], "tags.end = 'slow'")
    assert run.info.status == "FINISHED" and len(points(client, run.info.run_id, "loss")) == 100
    for name in servers:
        assert count_events(tmp_path / name / "events") == 101, name  # the first says the version
        with sqlite3.connect(tmp_path / name / "local.db") as store:
            assert store.execute("SELECT count(*) FROM metrics").fetchone() == (100,), name
            assert store.execute("SELECT status FROM runs").fetchone() == ("FINISHED",), name


@pytest.mark.parametrize("env, header", [
    ({"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "canary:1", "MLFLOW_TRACKING_TOKEN": "canary"},
     "Basic " + base64.b64encode(b"me:canary:1").decode()),
    ({"MLFLOW_TRACKING_TOKEN": "canary"}, "Bearer canary"),
    ({"file": "[other]\nmlflow_tracking_username = x\n[mlflow]\n# c\nmlflow_tracking_username = me\n"
              "MLFLOW_TRACKING_PASSWORD: canary \n"}, "Basic " + base64.b64encode(b"me:canary").decode()),
    ({"uri": "me:canary@"}, "Basic " + base64.b64encode(b"me:canary").decode()),
], ids=["basic", "token", "file", "uri"])
def test_who_asks_is_told_and_kept_out_of_all_texts(trainhost, proxy, client, tmp_path, env, header):
    def check(handler, body):
        if handler.headers.get("Authorization") == header and handler.headers.get("X-MLFLOW-WORKSPACE") == "team":
            return False
        handler.answer(401, b"You are not authenticated.", "text/html")
        return True

    env = {**env, "MLFLOW_WORKSPACE": " team "}
    if "file" in env:
        (tmp_path / ".mlflow").mkdir()
        (tmp_path / ".mlflow/credentials").write_text(env.pop("file"))
    user = env.pop("uri", "")
    script = """local mlflow = require "mlflow"
        local run = mlflow.start_run()
        for step = 0, 99 do run:log_metric("loss", step, step) end
        print(run:wait_id(0) or "none", mlflow.flush())"""
    with proxy(check) as between:
        out, said = play(trainhost, script, between.uri.replace("//", "//" + user), tmp_path, **env)
        assert said == "" and len(points(client, out.split()[0], "loss")) == 100
        count = len(between.requests)
        out, said = play(trainhost, script, between.uri.replace("//", "//" + user.replace("me", "she")), tmp_path,
                         **{**env, "MLFLOW_WORKSPACE": "others"})
        assert out.startswith("none\tnil\tmlflow.flush: the server refuses 1")
        assert "answers 401" in said and "MLFLOW_TRACKING_TOKEN" in said and said.count("kept on disk") == 2, said
        assert said.count("\n") == 2, said
        assert "canary" not in said + out
        assert len(between.requests) <= count + 3, "it is not asked again"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A certificate for 127.0.0.1 with its key, that is its own authority."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], capture_output=True)
    assert made.returncode == 0, made.stderr
    (folder / "both.pem").write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return folder


TLS = """local mlflow = require "mlflow"
    local run = mlflow.start_run()
    run:log_metric("loss", 1)
    print(run:wait_id(0) or "none", mlflow.flush(1))"""


def test_certificates(trainhost, proxy, client, certificates, tmp_path):
    both, cert = certificates / "both.pem", str(certificates / "cert.pem")
    with proxy(certificate=both) as between:
        for env in ({"MLFLOW_TRACKING_SERVER_CERT_PATH": cert}, {"MLFLOW_TRACKING_INSECURE_TLS": "true"},
                    {"REQUESTS_CA_BUNDLE": cert}):
            out, said = play(trainhost, TLS, between.uri, tmp_path, **env)
            assert said == "" and points(client, out.split()[0], "loss") == [(0, 1)]
        out, said = play_and_kill(trainhost, TLS, between.uri, tmp_path)
        assert out.startswith("none\tnil") and "certificate" in said, said
    with proxy(certificate=both, client_ca=cert) as between:
        env = {"MLFLOW_TRACKING_SERVER_CERT_PATH": cert}
        out, _ = play_and_kill(trainhost, TLS, between.uri, tmp_path, **env)
        assert out.startswith("none\tnil")
        out, said = play(trainhost, TLS, between.uri, tmp_path, MLFLOW_TRACKING_CLIENT_CERT_PATH=str(both), **env)
        assert said.count("a process that is no more has left the run") == said.count("\n") == 1 and points(client, out.split()[0], "loss") == [(0, 1)]


@pytest.mark.parametrize("env, text", [
    ({"MLFLOW_TRACKING_INSECURE_TLS": "yes"}, "MLFLOW_TRACKING_INSECURE_TLS must be true, false, 1 or 0"),
    ({"MLFLOW_TRACKING_INSECURE_TLS": "1", "MLFLOW_TRACKING_SERVER_CERT_PATH": "/x"}, "must not be set"),
    ({"MLFLOW_HTTP_REQUEST_TIMEOUT": "long"}, "MLFLOW_HTTP_REQUEST_TIMEOUT must be a number of 0 or more"),
    ({"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "-1"}, "MLFLOW_HTTP_REQUEST_MAX_RETRIES must be a number of 0 or more"),
    ({"MLFLOW_TRACKING_AWS_SIGV4": "true"}, "MLFLOW_TRACKING_AWS_SIGV4 is not supported"),
    ({"MLFLOW_TRACKING_AUTH": "mine"}, "names a plugin of Python's mlflow"),
    ({"MLFLOW_TRACKING_TOKEN": "canary\r\nX: 1"}, "MLFLOW_TRACKING_TOKEN must be one line"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_settings_that_cannot_be_meant_are_errors(trainhost, server, tmp_path, env, text):
    done = trainhost.run("-e", 'require("mlflow").start_run()', cwd=tmp_path, check=False,
                         env={"MLFLOW_TRACKING_URI": server.uri, **env})
    assert done.returncode == 1 and text in done.stderr and "canary" not in done.stderr, done.stderr


def test_what_the_server_refuses_is_set_aside_and_the_rest_is_stored(trainhost, server, client, tmp_path):
    run = client.create_run("0")
    client.log_param(run.info.run_id, "p50", "first")
    code = """local mlflow = require "mlflow"
        local run = mlflow.start_run {run_id = os.getenv("RUN")}
        for i = 1, 99 do run:log_param("p" .. i, i) end
        for step = 0, 9 do run:log_metric("loss", step, step) end
        print(mlflow.flush())"""
    out, said = play(trainhost, code, server.uri, tmp_path, RUN=run.info.run_id)
    assert out == "true\n" and said.count("\n") == 1
    assert "changing param values is not allowed: param with key='p50'" in said and "'50'" in said, said
    stored = client.get_run(run.info.run_id).data
    assert stored.params == {f"p{i}": "first" if i == 50 else str(i) for i in range(1, 100)}
    assert stored.metrics == {"loss": 9}


def test_a_run_that_is_deleted_meanwhile_is_one_report(trainhost, server, client, tmp_path):
    (tmp_path / "script.lua").write_text("""local mlflow = require "mlflow"
        local run = mlflow.start_run()
        print(run:wait_id())
        io.stdout:flush()
        io.read()
        for step = 0, 99 do run:log_metric("loss", step, step) assert(run:flush()) end""")
    process = subprocess.Popen([trainhost.path, "script.lua"], cwd=tmp_path, stdin=subprocess.PIPE, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, "MLFLOW_TRACKING_URI": server.uri})
    client.delete_run(process.stdout.readline().strip())
    _, said = process.communicate("\n", timeout=120)
    assert process.returncode == 0 and said.count("set aside") == 1 and "'active' state" in said, said


def test_artifacts_go_where_the_experiment_says(trainhost, server, client, tmp_path):
    (tmp_path / "file.txt").write_text("a file")
    code = """local mlflow = require "mlflow"
        mlflow.set_experiment(os.getenv("NAME"))
        local run <close> = mlflow.start_run()
        run:log_text("text", "a/text.txt")
        run:log_artifact("file.txt", "b")
        assert(mlflow.flush())
        print(run:get_artifact_uri())"""
    for name, location in {"local": f"{tmp_path}/here", "as file": f"file://{tmp_path}/there%20too"}.items():
        client.create_experiment(name, artifact_location=location)
        out, said = play(trainhost, code, server.uri, tmp_path, NAME=name)
        folder = tmp_path / out.strip().removeprefix("file://").replace("%20", " ")
        assert said == "" and (folder / "a/text.txt").read_text() == "text" and (folder / "b/file.txt").read_text() == "a file"
    client.create_experiment("far", artifact_location="s3://bucket/x")
    out, said = play(trainhost, code, server.uri, tmp_path, NAME="far")
    for name in ("a/text.txt", "b/file.txt"):
        assert said.count(f"the artifact '{name}' of run") == 1, said
    assert "belongs to 's3://bucket/x/" in said and "--serve-artifacts" in said
    assert not (tmp_path / ".trainhost").exists()


def test_the_environment_chooses_experiment_and_tags_and_events_name_the_run(trainhost, server, client, tmp_path):
    experiment = client.create_experiment("of the environment")
    code = """local mlflow = require "mlflow"
        local event
        mlflow.on("error", function(e) event = e end)
        local run <close> = mlflow.start_run {tags = {team = "red"}}
        run:log_param("p", 1)
        run:log_param("p", 2)
        assert(mlflow.flush())
        assert(event.run_id == run.info.run_id and event.kind == "tracking" and event.message:find("key='p'", 1, true))
        print(run.info.run_id)"""
    context = json.dumps({"team": "blue", "job": "7"})
    for env in ({"MLFLOW_EXPERIMENT_NAME": "of the environment"}, {"MLFLOW_EXPERIMENT_ID": experiment}):
        out, _ = play(trainhost, code, server.uri, tmp_path, MLFLOW_RUN_CONTEXT=context, **env)
        run = client.get_run(out.strip())
        assert run.info.experiment_id == experiment
        assert (run.data.tags["team"], run.data.tags["job"]) == ("red", "7")
    done = trainhost.run("-e", 'require("mlflow").start_run()', cwd=tmp_path, check=False,
                         env={"MLFLOW_TRACKING_URI": server.uri, "MLFLOW_RUN_CONTEXT": "{"})
    assert done.returncode == 1 and "MLFLOW_RUN_CONTEXT must be JSON" in done.stderr


def test_a_deleted_experiment_is_an_error_at_the_call(trainhost, server, client, tmp_path):
    client.delete_experiment(client.create_experiment("gone"))
    done = trainhost.run("-e", 'require("mlflow").set_experiment("gone")', cwd=tmp_path, check=False,
                         env={"MLFLOW_TRACKING_URI": server.uri})
    assert done.returncode == 1 and "deleted experiment 'gone'" in done.stderr


def test_eight_processes_make_one_experiment(trainhost, server, client, tmp_path):
    (tmp_path / "one.lua").write_text("""local mlflow = require "mlflow"
        mlflow.set_experiment("together")
        local run <close> = mlflow.start_run()
        for step = 0, 49 do run:log_metric("loss", step, step) end
        assert(run:flush(100))""")
    env = {**os.environ, "MLFLOW_TRACKING_URI": server.uri}
    processes = [subprocess.Popen([trainhost.path, "one.lua"], cwd=tmp_path, env=env, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True) for _ in range(8)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, outputs
    runs = client.search_runs([client.get_experiment_by_name("together").experiment_id])
    assert [run.data.metrics for run in runs] == [{"loss": 49}] * 8


def test_a_message_is_json_that_python_reads(proxy, trainhost, client, tmp_path):
    with proxy() as between:
        play(trainhost, """local run <close> = require("mlflow").start_run()
            run:log_metrics({nan = 0 / 0, inf = math.huge, small = 5e-324, tenth = 0.1})
            run:set_tag("text", "a\\"\\\\\\1ü")""", between.uri, tmp_path)
    sent = {item["key"]: item["value"] for batch in between.calls("log-batch") for item in batch["metrics"]}
    assert sent == {"nan": "NaN", "inf": "Infinity", "small": 5e-324, "tenth": 0.1}
    text, = [tag["value"] for batch in between.calls("log-batch") for tag in batch["tags"] if tag["key"] == "text"]
    assert text == 'a"\\\1ü' and json.dumps(text)
