# Runs of a tracking server whose process is killed, or ends while the server is away: what was logged gets there once.
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import fault_server as faults
import pytest
from fault_server import FaultServer
from test_server import points
from test_spool import LONG, LOOP, killed_after, mlflow, said

LOCAL = "trainhost.run_id"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "loop.lua").write_text(LOOP)
    return tmp_path


@pytest.fixture
def direct(monkeypatch, server):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(server.uri)
    yield server.uri
    mlflow.set_tracking_uri(before)


def rest_of(folder):
    return folder / ".trainhost"


def start(trainhost, folder, code, uri, **env):
    """A script that runs; it may be killed."""
    (folder / "script.lua").write_text(code)
    return subprocess.Popen([trainhost.path, "script.lua"], cwd=folder, text=True, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env={**os.environ, "MLFLOW_TRACKING_URI": uri, **env})


def kill_when(process, line="done\n"):
    """Kills as soon as it has printed the line; all that it printed before."""
    out = []
    while not out or out[-1] != line:
        out.append(process.stdout.readline())
        assert out[-1], process.communicate()
    process.kill()
    process.communicate()
    return out[:-1]


READY = ' print("done") io.stdout:flush() io.read()'


def sync(trainhost, folder, uri=None, **options):
    return trainhost.run("sync", folder, env={"MLFLOW_TRACKING_URI": uri} if uri else None, **options)


def free_port(server):
    port = FaultServer(("127.0.0.1", server.port))
    port.__exit__()
    return port


def find(client, **tags):
    """The one run that has these tags."""
    query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    run, = client.search_runs(everywhere, query)
    return run


def of_local(client, local):
    return find(client, **{LOCAL: local})


def run_of(client, run):
    """By its id there, or by the one that it had while the server had not answered."""
    try:
        return client.get_run(run)
    except mlflow.exceptions.MlflowException:
        return of_local(client, run)


def check(client, said_id, found, count):
    """The server has all that was said, at most one call more, and nothing twice."""
    run = run_of(client, said_id)
    run_id = run.info.run_id
    of_local(client, run.data.tags[LOCAL])
    steps = points(client, run_id, "loss")
    assert steps == [(step, 1 / (step + 1)) for step in range(len(steps))]
    assert found.get("metric", -1) + 1 <= len(steps) <= found.get("metric", -1) + 2
    params = sorted(int(key[5:]) for key in run.data.params)
    assert params == list(range(0, 10 * len(params), 10)) and len(params) >= found.get("param", -10) // 10 + 1
    if "tag" in found:
        assert int(run.data.tags["tag"]) >= found["tag"]
    for step in range(0, found.get("text", -1) + 1, 10):
        assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/texts/{step}.txt") == f"text {step}"
    if "end" in found:
        assert run.info.status == "FINISHED"
    else:
        assert run.info.status == "KILLED" or (run.info.status == "FINISHED" and len(steps) == count)
    assert run.info.start_time <= run.info.end_time + 1 and run.info.end_time <= time.time() * 1000


def test_kill_at_random_moments_loses_nothing_and_stores_nothing_twice(trainhost, client, direct, folder):
    seed = random.randrange(10**9)
    print("seed", seed)
    moments = random.Random(seed)
    for i in range(40 if LONG else 4):
        run, found = killed_after(trainhost, folder, moments.uniform(0, 0.5), 1000)
        if i % 2:
            sync(trainhost, folder)
        else:  # the next start with that server
            trainhost.run("-e", "require('mlflow').start_run():end_run()", cwd=folder)
        check(client, run, found, 1000)
        assert not rest_of(folder).exists()
        assert sync(trainhost, folder).stdout == "nothing to store\n"


def test_the_recovery_may_be_killed_too(trainhost, client, direct, folder):
    moments = random.Random()
    for _ in range(6 if LONG else 2):
        run, found = killed_after(trainhost, folder, 0.2, 1000)
        for _ in range(3):
            process = subprocess.Popen([trainhost.path, "sync", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(moments.uniform(0.02, 0.3))
            process.send_signal(signal.SIGKILL)
            process.communicate()
        sync(trainhost, folder)
        check(client, run, found, 1000)
        assert not rest_of(folder).exists()


CALLS = "write,pwrite64,openat,unlink,rmdir,mkdir,rename,fsync,ftruncate,fcntl,sendto,recvfrom,connect"


def test_kill_at_system_calls(trainhost, client, direct, folder):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    loop = [trainhost.path, "loop.lua", "--", "30"]
    probe = subprocess.run(["strace", "-f", "-o", folder / "trace", "-e", f"trace={CALLS}", *loop], cwd=folder,
                           capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip("strace may not trace here: " + probe.stderr.strip()[-200:])
    lines = (folder / "trace").read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if ".trainhost" in line)
    names = [match[1] if (match := re.match(r"\d+ +(\w+)\(", line)) else None for line in lines]
    every = [(name, names[:i + 1].count(name)) for i, name in enumerate(names) if i >= first and name]
    sample = every if LONG else random.Random(time.time()).sample(every, min(10, len(every)))
    print(f"{len(sample)} of {len(every)} calls")
    tried = 0
    for i, (name, at) in enumerate(sample):
        place = folder / str(i)
        place.mkdir()
        shutil.copy(folder / "loop.lua", place)
        done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={name}", "-e",
                               f"inject={name}:signal=KILL:when={at}", *loop], cwd=place, capture_output=True, text=True)
        run, found = said(done.stdout)
        sync(trainhost, place)
        print(name, at, run, found)
        if run:
            tried += 1
            check(client, run, found, 30)
        assert not rest_of(place).exists(), f"{name} {at}: {list(rest_of(place).rglob('*'))}"
    assert tried


OFFLINE = """
local mlflow = require "mlflow"
mlflow.set_experiment("offline")
local run = mlflow.start_run {run_name = "parent"}
print(run.info.run_id)
for step = 0, 1999 do run:log_metric("loss", step / 8, step) end
for i = 1, 150 do run:log_param("p" .. i, i) run:set_tag("t" .. i, i) end
run:set_tag("away", 1)
run:delete_tag("away")
run:log_text("text", "a/text.txt")
run:log_artifact("small.bin", "files")
run:log_artifact("large.bin", "files")
os.remove("small.bin")
os.remove("large.bin")
local child = mlflow.start_run {run_name = "child", nested = true}
child:log_metric("score", 1)
"""


def prepare(folder):
    (folder / "small.bin").write_bytes(b"0123456789" * 100)
    (folder / "large.bin").write_bytes(b"0123456789" * 300_000)


def is_whole(client, local, status):
    """The server has what OFFLINE logs, once."""
    run = of_local(client, local)
    assert (run.info.status, run.info.run_name) == (status, "parent")
    assert client.get_experiment(run.info.experiment_id).name == "offline"
    assert points(client, run.info.run_id, "loss") == [(step, step / 8) for step in range(2000)]
    assert run.data.params == {f"p{i}": str(i) for i in range(1, 151)}
    assert {f"t{i}": str(i) for i in range(1, 151)}.items() <= run.data.tags.items() and "away" not in run.data.tags
    assert mlflow.artifacts.load_text(run.info.artifact_uri + "/a/text.txt") == "text"
    for name, content in {"small": b"0123456789" * 100, "large": b"0123456789" * 300_000}.items():
        assert open(client.download_artifacts(run.info.run_id, f"files/{name}.bin"), "rb").read() == content
    child, = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    assert (child.info.status, child.info.run_name, child.data.metrics) == (status, "child", {"score": 1})
    assert run.info.start_time <= run.info.end_time


def test_a_server_that_is_away_for_the_whole_run_gets_all_of_it_from_wherever_the_folder_is(
        trainhost, server, client, direct, tmp_path):
    port = free_port(server)
    work = tmp_path / "work"
    work.mkdir()
    prepare(work)
    local = kill_when(start(trainhost, work, OFFLINE + READY, port.uri))[0].strip()
    moved = work.rename(tmp_path / "moved")
    with FaultServer(("127.0.0.1", server.port), port=port.port):
        done = sync(trainhost, moved, direct)  # the spools know their server
    assert done.stdout == "2 runs: all that was logged is stored\n"
    is_whole(client, local, "KILLED")
    assert not rest_of(moved).exists()


def test_an_end_that_cannot_wait_says_how_to_go_on(trainhost, server, client, direct, tmp_path):
    port = free_port(server)
    prepare(tmp_path)
    process = start(trainhost, tmp_path, OFFLINE + " mlflow.end_run() mlflow.end_run() print(run:flush(0.1))", port.uri)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0 and re.search(r"nil\tmlflow.flush: \d{4} records are not stored yet\n", out), out
    assert re.search(rf"\d{{4}} records for '{port.uri}' could not be stored .*kept on disk .*`trainhost sync`", err), err
    with FaultServer(("127.0.0.1", server.port), port=port.port) as back:
        trainhost.run("-e", "require('mlflow').start_run():end_run()", cwd=tmp_path, env={"MLFLOW_TRACKING_URI": direct})
        assert rest_of(tmp_path).exists() and not back.requests, "that is another server"
        trainhost.run("-e", "require('mlflow').start_run():end_run()", cwd=tmp_path,
                      env={"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"})
        assert rest_of(tmp_path).exists() and not back.requests, "that is no server"
        trainhost.run("-e", "require('mlflow').start_run():end_run()", cwd=tmp_path,
                      env={"MLFLOW_TRACKING_URI": port.uri + "/"})
    is_whole(client, out.split()[0], "FINISHED")
    assert not rest_of(tmp_path).exists()


def test_an_outage_in_mid_run_is_over_without_a_restart(trainhost, proxy, client, direct, tmp_path):
    away = threading.Event()
    with proxy(lambda handler, body: away.is_set() and faults.reset(handler, body)) as between:
        process = start(trainhost, tmp_path, """
            local mlflow = require "mlflow"
            local run = mlflow.start_run()
            for step = 0, 99 do run:log_metric("loss", step, step) end
            print(run:flush()) io.stdout:flush() io.read()
            for step = 100, 199 do run:log_metric("loss", step, step) end
            print(run:flush(1)) io.stdout:flush() io.read()
            print(run:flush(100), run.info.run_id)""", between.uri)
        assert process.stdout.readline() == "true\n"
        away.set()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith("nil\t")
        away.clear()
        out, err = process.communicate("\n", timeout=100)
    done, run = out.split()
    assert done == "true" and "works again, nothing was lost" in err
    assert points(client, run, "loss") == [(step, step) for step in range(200)]
    assert not rest_of(tmp_path).exists()


def test_a_kill_before_the_answer_to_runs_create_makes_no_second_run(trainhost, proxy, client, direct, tmp_path):
    """The server has made the run, and nobody has heard of it."""
    made = threading.Event()

    def silent(handler, body):
        if handler.path.endswith("runs/create") and not made.is_set():
            handler.forward(body)
            made.set()
            time.sleep(60)
        return made.is_set() and handler.drop() or False

    with proxy(silent) as between:
        process = start(trainhost, tmp_path, """local run = require("mlflow").start_run {tags = {kill = "before the answer"}}
            for step = 0, 9 do run:log_metric("loss", step, step) end""" + READY, between.uri)
        assert made.wait(60)
        kill_when(process)
        between.fault = None
        assert sync(trainhost, tmp_path).stdout == "1 run: all that was logged is stored\n"
        assert len(between.calls("runs/create")) == 1
    run = find(client, kill="before the answer")
    of_local(client, run.data.tags[LOCAL])
    assert run.info.status == "KILLED" and len(points(client, run.info.run_id, "loss")) == 10


def test_a_creation_that_comes_through_after_it_was_tried_again_leaves_one_run(trainhost, proxy, client, direct, tmp_path):
    asked, go_on, done, count = threading.Event(), threading.Event(), threading.Event(), iter(range(9))

    def late(handler, body):
        if not handler.path.endswith("runs/create"):
            return False
        if next(count) == 0:
            asked.set()
            go_on.wait(60)
            handler.forward(body)
            done.set()
            return True
        answer = handler.forward(body)
        go_on.set()
        done.wait(60)
        handler.answer(*answer)
        return True

    with proxy(late) as between:
        process = start(trainhost, tmp_path, """local run = require("mlflow").start_run {tags = {kill = "late"}}
            for step = 0, 9 do run:log_metric("loss", step, step) end""" + READY, between.uri)
        assert asked.wait(60)
        kill_when(process)
        sync(trainhost, tmp_path)
        assert len(between.calls("runs/create")) == 2
    run = find(client, kill="late")
    of_local(client, run.data.tags[LOCAL])
    assert run.info.status == "KILLED" and len(points(client, run.info.run_id, "loss")) == 10


def test_who_may_not_write_keeps_it_for_one_who_may_and_no_secret_is_on_disk(trainhost, proxy, client, tmp_path):
    def check_user(handler, body):
        if handler.headers.get("Authorization", "").endswith("canary-good"):
            return False
        return faults.status(401, b"who are you?")(handler, body)

    with proxy(check_user) as between:
        uri = between.uri.replace("//", "//me:canary-wrong@")
        script = """local mlflow = require "mlflow"
            local run = mlflow.start_run {tags = {denied = "at first"}}
            for step = 0, 99 do run:log_metric("loss", step, step) end
            print(run:flush())"""
        process = start(trainhost, tmp_path, script, uri)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert re.match(r"nil\tmlflow.flush: the server refuses \d+ records, which `trainhost sync` sends later\n", out), out
        assert "answers 401" in err and "kept on disk" in err and "canary" not in err + out, err
        count = len(between.requests)
        done = sync(trainhost, tmp_path, check=False)
        assert done.returncode == 1 and "could not be stored yet and stay on disk" in done.stderr, done.stderr
        assert len(between.requests) <= count + 2, "it is not asked again and again"
        texts = b"".join(path.read_bytes() for path in rest_of(tmp_path).rglob("*") if path.is_file())
        assert b"loss" in texts and b"canary" not in texts
        done = trainhost.run("sync", tmp_path, env={"MLFLOW_TRACKING_TOKEN": "canary-good"})
        assert done.stdout == "1 run: all that was logged is stored\n"
    run = find(client, denied="at first")
    assert run.info.status == "FINISHED" and len(points(client, run.info.run_id, "loss")) == 100
    assert not rest_of(tmp_path).exists()


def test_each_workspace_of_a_server_gets_its_own(trainhost, proxy, client, tmp_path):
    """The real server has none: the proxy takes the header off."""
    port = free_port(proxy())
    for name in ("", "team"):
        kill_when(start(trainhost, tmp_path, f"""
            local run = require("mlflow").start_run {{tags = {{space = "of {name}"}}}}""" + READY, port.uri, MLFLOW_WORKSPACE=name))
    with FaultServer(proxy().target, port=port.port) as back:
        def spaces():
            found = {headers.get("X-MLFLOW-WORKSPACE", "") for _, _, headers, _ in back.requests}
            back.requests.clear()
            return found

        trainhost.run("-e", "require('mlflow').start_run():end_run()", cwd=tmp_path,
                      env={"MLFLOW_TRACKING_URI": port.uri, "MLFLOW_WORKSPACE": "others"})
        assert spaces() == {"others"}
        assert sync(trainhost, tmp_path).stdout == "2 runs: all that was logged is stored\n"
        assert spaces() == {"", "team"}
    assert find(client, space="of team").info.status == find(client, space="of ").info.status == "KILLED"


def test_a_large_file_that_is_rewritten_before_it_is_sent_is_reported(trainhost, proxy, client, tmp_path):
    port = free_port(proxy())
    (tmp_path / "large.bin").write_bytes(b"0123456789" * 300_000)
    kill_when(start(trainhost, tmp_path, """
        local run = require("mlflow").start_run {tags = {file = "rewritten"}}
        run:log_artifact("large.bin")
        local file = io.open("large.bin", "r+")
        file:write("new")
        file:close()""" + READY, port.uri))
    with FaultServer(proxy().target, port=port.port):
        done = sync(trainhost, tmp_path)
    assert done.stderr.count("was rewritten in place") == 1, done.stderr
    find(client, file="rewritten")
    assert not rest_of(tmp_path).exists()


def test_a_bad_record_is_set_aside_and_not_its_batch(trainhost, proxy, client, direct, tmp_path):
    def no_17(handler, body):
        return b'"step":17,' in body.replace(b" ", b"") + b"," and b"log-batch" in handler.path.encode() and faults.status(
            400, b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "17 is no step"}', "application/json")(handler, body)

    port = free_port(proxy())
    kill_when(start(trainhost, tmp_path, """local run = require("mlflow").start_run {tags = {bad = "one"}}
        for step = 0, 99 do run:log_metric("loss", step, step) end""" + READY, port.uri))
    with FaultServer(proxy().target, no_17, port=port.port):
        done = sync(trainhost, tmp_path)
    assert done.stderr.count("is set aside") == 1 and "17 is no step" in done.stderr, done.stderr
    run = find(client, bad="one")
    assert points(client, run.info.run_id, "loss") == [(step, step) for step in range(100) if step != 17]


def test_a_killed_run_is_resumed(trainhost, client, direct, folder):
    run, found = killed_after(trainhost, folder, 0.2, 1000)
    trainhost.run("-e", f"""
local mlflow = require "mlflow"
local run = mlflow.start_run{{run_id = "{run}"}}
run:log_metric("after", 1, 0)
mlflow.end_run()""", cwd=folder)
    data = run_of(client, run)
    assert data.info.status == "FINISHED" and data.data.metrics["after"] == 1
    assert len(points(client, data.info.run_id, "loss")) >= found["metric"] + 1
    assert not rest_of(folder).exists()
