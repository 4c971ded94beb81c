# Runs whose process is killed: the next start, or `trainhost sync`, stores what was logged once, as the real MLflow reads it.
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest
from sample import LONG, SEED

import mlflow
from mlflow import MlflowClient

# Says after each call that it has returned.
LOOP = """
local mlflow = require "mlflow"
local run = mlflow.start_run{run_name = "loop"}
local function say(...) io.stdout:write(table.concat({...}, " "), "\\n") io.stdout:flush() end
say("run", run.info.run_id)
local count = tonumber(arg[1])
for step = 0, count - 1 do
  run:log_metric("loss", 1 / (step + 1), step) say("metric", step)
  if step % 10 == 0 then
    run:log_param("param" .. step, step) say("param", step)
    run:set_tag("tag", step) say("tag", step)
    run:log_text("text " .. step, "texts/" .. step .. ".txt") say("text", step)
  end
  if step % 100 == 50 then run:flush() say("flush", step) end
end
mlflow.end_run() say("end", 0)
"""


def said(text):
    """What calls have returned: {kind: the last step}, and the run's id; half a line is none."""
    found, run = {}, None
    for line in text.splitlines(keepends=True):
        match = re.fullmatch(r"(\w+) (\w+)\n", line)
        if match and match[1] == "run":
            run = match[2]
        elif match:
            found[match[1]] = int(match[2])
    return run, found


def rest_of(folder):
    return folder / ".trainhost"


def rows(folder, sql, *values):
    with sqlite3.connect(folder / "mlflow.db") as database:
        return database.execute(sql, values).fetchall()


def check(folder, run, found, count):
    """The store has all that was said, at most one call more, and nothing twice."""
    steps = [step for step, in rows(folder, "SELECT step FROM metrics WHERE run_uuid = ? ORDER BY step", run)]
    assert steps == list(range(len(steps)))
    assert found.get("metric", -1) + 1 <= len(steps) <= found.get("metric", -1) + 2
    params = sorted(int(key[5:]) for key, in rows(folder, "SELECT key FROM params WHERE run_uuid = ?", run))
    assert params == list(range(0, 10 * len(params), 10))
    assert len(params) >= found.get("param", -10) // 10 + 1
    if "tag" in found:
        assert int(rows(folder, "SELECT value FROM tags WHERE run_uuid = ? AND key = 'tag'", run)[0][0]) >= found["tag"]
    for step in range(0, found.get("text", -1) + 1, 10):
        assert (folder / f"mlruns/0/{run}/artifacts/texts/{step}.txt").read_text() == f"text {step}"
    (status, start, end), = rows(folder, "SELECT status, start_time, end_time FROM runs WHERE run_uuid = ?", run)
    if "end" in found:
        assert status == "FINISHED"
    else:
        assert status == "KILLED" or (status == "FINISHED" and len(steps) == count)
    assert start <= end and end <= time.time() * 1000
    assert not rest_of(folder).exists()


def mlflow_reads(folder, runs):
    """The real MLflow finds the same."""
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    for run in runs:
        info = client.get_run(run).info
        assert [(info.status, info.start_time, info.end_time)] == rows(
            folder, "SELECT status, start_time, end_time FROM runs WHERE run_uuid = ?", run)
        stored = rows(folder, "SELECT step, value, timestamp FROM metrics WHERE run_uuid = ? ORDER BY step", run)
        if stored:
            points = client.get_metric_history(run, "loss")
            assert sorted((point.step, point.value, point.timestamp) for point in points) == stored


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "loop.lua").write_text(LOOP)
    return tmp_path


def killed_after(trainhost, folder, seconds, count):
    """Kills so long after the run has its id."""
    with open(folder / "said", "w") as out:
        process = subprocess.Popen([trainhost.path, "loop.lua", "--", str(count)], cwd=folder, stdout=out,
                                   stderr=subprocess.PIPE)
        while "run" not in (folder / "said").read_text():
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    return said((folder / "said").read_text())


def test_kill_at_random_moments_loses_nothing_and_stores_nothing_twice(trainhost, folder):
    print("seed", SEED)
    moments, runs = random.Random(SEED), []
    for i in range(60 if LONG else 6):
        run, found = killed_after(trainhost, folder, moments.uniform(0, 0.2), 3000)
        runs.append(run)
        if i % 2:
            done = trainhost.run("sync", folder)
            assert "end" in found or "1 run: all that was logged is stored" in done.stdout, done.stdout
        else:  # the next start of whatever run
            trainhost.run("-e", "require('mlflow').start_run():end_run()", cwd=folder)
        check(folder, run, found, 3000)
        assert trainhost.run("sync", folder).stdout == "nothing to store\n"
    assert not rows(folder, "SELECT run_uuid FROM runs WHERE status = 'RUNNING'")
    mlflow_reads(folder, runs)


def test_the_recovery_may_be_killed_too(trainhost, folder):
    print("seed", SEED)
    moments, runs = random.Random(SEED), []
    for _ in range(10 if LONG else 3):
        run, found = killed_after(trainhost, folder, 0.3, 100000)
        runs.append(run)
        for _ in range(4):
            process = subprocess.Popen([trainhost.path, "sync", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(moments.uniform(0.005, 0.1))
            process.send_signal(signal.SIGKILL)
            process.communicate()
        trainhost.run("sync", folder)
        check(folder, run, found, 100000)
    mlflow_reads(folder, runs)


CALLS = "write,pwrite64,openat,unlink,rmdir,mkdir,rename,fdatasync,fsync,ftruncate,fcntl"


def test_kill_at_system_calls(trainhost, folder):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    probe = subprocess.run(["strace", "-f", "-o", folder / "trace", "-e", f"trace={CALLS}", trainhost.path, "loop.lua", "--", "60"],
                           cwd=folder, capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip("strace may not trace here: " + probe.stderr.strip()[-200:])
    lines = (folder / "trace").read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if ".trainhost" in line or "mlflow.db" in line)
    calls = [match[1] for line in lines[first:] if (match := re.match(r"\d+ +(\w+)\(", line))]
    kinds = {kind: sum(call == kind for call in calls) for kind in set(calls)}
    before = {kind: sum(line.split(maxsplit=1)[1].startswith(kind + "(") for line in lines[:first]) for kind in kinds}
    every = [(kind, before[kind] + k) for kind, count in sorted(kinds.items()) for k in range(1, count + 1)]
    sample = every if LONG else random.Random(SEED).sample(every, min(16, len(every)))
    print(f"seed {SEED}: {len(sample)} of {len(every)} calls")
    tried = 0
    for i, (kind, at) in enumerate(sample):
        place = folder / str(i)
        place.mkdir()
        shutil.copy(folder / "loop.lua", place)
        done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={kind}", "-e",
                               f"inject={kind}:signal=KILL:when={at}", trainhost.path, "loop.lua", "--", "60"],
                              cwd=place, capture_output=True, text=True)
        run, found = said(done.stdout)
        trainhost.run("sync", place)
        print(kind, at, run, found)
        if run:
            tried += 1
            check(place, run, found, 60)
        assert not rest_of(place).exists(), f"{kind} {at}: {list(rest_of(place).rglob('*'))}"
    assert tried


def test_a_run_that_lives_is_left_alone_and_an_end_that_cannot_wait_says_how_to_go_on(trainhost, folder):
    trainhost.run("-e", "require('mlflow').start_run():end_run()", cwd=folder)
    with sqlite3.connect(folder / "mlflow.db", isolation_level=None) as locker:
        locker.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        process = subprocess.Popen([trainhost.path, "loop.lua", "--", "40"], cwd=folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        while not rest_of(folder).exists() and process.poll() is None:
            time.sleep(0.01)
        assert trainhost.run("sync", folder).stdout == "nothing to store\n"
        out, err = process.communicate(timeout=100)
        assert time.monotonic() - began < 60
        assert re.search(r"could not be stored before the process ended: they are kept on disk", err), err
        assert "trainhost sync" in err
        locker.execute("ROLLBACK")
    run, found = said(out)
    assert found["end"] == 0
    trainhost.run("sync", folder)
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    assert client.get_run(run).info.status == "FINISHED"
    assert len(client.get_metric_history(run, "loss")) == 40
    assert not rest_of(folder).exists()


def test_a_killed_run_is_resumed(trainhost, folder):
    run, found = killed_after(trainhost, folder, 0.1, 100000)
    trainhost.run("-e", f"""
local mlflow = require "mlflow"
local run = mlflow.start_run{{run_id = "{run}"}}
run:log_metric("after", 1, 0)
mlflow.end_run()""", cwd=folder)
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    data = client.get_run(run)
    assert data.info.status == "FINISHED"
    assert data.data.metrics["after"] == 1
    assert len(client.get_metric_history(run, "loss")) >= found["metric"] + 1
    assert not rest_of(folder).exists()
    assert not rows(folder, "SELECT name FROM sqlite_master WHERE name LIKE 'trainhost%'")  # MLflow's tables alone


def test_what_has_no_store_any_more_stays_and_says_so(trainhost, folder):
    run, _ = killed_after(trainhost, folder, 0.1, 100000)
    for path in folder.glob("mlflow.db*"):
        path.unlink()
    done = trainhost.run("sync", folder, check=False)
    assert done.returncode == 1 and "1 run could not be stored and stay on disk" in done.stderr
    assert re.search(f"{run} stays in .*there is no '.*mlflow.db'", done.stderr), done.stderr
    assert rest_of(folder).exists()


def test_files_of_a_killed_run_are_stored_from_their_copies(trainhost, folder):
    """The script has removed them already; one is copied at the call, one gets a second name."""
    (folder / "small.bin").write_bytes(b"small" * 1000)
    (folder / "big.bin").write_bytes(os.urandom(5 << 20))
    want = {name: (folder / name).read_bytes() for name in ("small.bin", "big.bin")}
    trainhost.run("-e", "require('mlflow').start_run():end_run()", cwd=folder)
    with sqlite3.connect(folder / "mlflow.db", isolation_level=None) as locker:
        locker.execute("BEGIN IMMEDIATE")
        process = subprocess.Popen([trainhost.path, "-e", """
local run = require("mlflow").start_run()
for _, name in ipairs {"small.bin", "big.bin"} do
  run:log_artifact(name)
  os.remove(name)
end
print(run.info.run_id)
io.stdout:flush()
io.read()"""], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        run = process.stdout.readline().strip()
        process.kill()
        process.communicate()
        locker.execute("ROLLBACK")
    assert "1 run: all that was logged is stored" in trainhost.run("sync", folder).stdout
    assert {path.name: path.read_bytes() for path in (folder / f"mlruns/0/{run}/artifacts").iterdir()} == want
    assert [path.name for path in (folder / f"mlruns/0/{run}").iterdir()] == ["artifacts"]
    assert not rest_of(folder).exists()
