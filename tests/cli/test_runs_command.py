# trainhost runs, show, compare and tail: what was logged, in the terminal and through a pipe.
import hashlib
import json
import os
import re
import signal
import subprocess

import pytest
from terminal import on_terminal

STORY = """
local host, mlflow, torch = require "host", require "mlflow", require "torch"
local function wait()  -- no two runs begin in one millisecond
  local began = host.clock()
  repeat until host.clock() > began + 0.003
end
for i, lr in ipairs{0.1, 0.01, 0.001} do
  wait()
  local run <close> = mlflow.start_run{run_name = "run " .. i, description = "a note"}
  print(run.info.run_id)
  run:log_params{lr = lr, epochs = 10, text = "two\\nlines"}
  for e = 0, 9 do run:log_metrics({loss = 1 / (e + i), val_loss = 1.5 / (e + i), val_accuracy = 1 - 1 / (e + i)}, e) end
  run:log_text("hello", "notes/deep/a.txt")
  run:log_text(("x"):rep(5000), "b.txt")
  run:log_input(mlflow.data.from_tensor(torch.ones(3), {name = "digits"}), "train")
  if i == 2 then
    run:log_error("the sensor gave no data", {epoch = 3})
    run:log_metric("bad", 0 / 0)
    run:log_metric("huge", math.huge)
  end
end
wait()
pcall(function()
  local run <close> = mlflow.start_run{run_name = "a name that is much longer than any terminal would show it " .. ("long "):rep(20)}
  print(run.info.run_id)
  error "x"
end)
mlflow.set_experiment("other")
for _ = 1, 2 do
  wait()
  local run <close> = mlflow.start_run{run_name = "twin"}
  print(run.info.run_id)
  run:log_metric("score", 1, 3)
end
"""
PLAIN = {"LC_ALL": "C", "MLFLOW_TRACKING_URI": "", "NO_COLOR": ""}
UTF8 = {**PLAIN, "LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="module")
def work(trainhost, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    (folder / "story.lua").write_text(STORY)
    ids = trainhost.run("story.lua", cwd=folder, env=PLAIN).stdout.split()
    assert len(ids) == 6
    return folder, ids


def rows(text):
    return [re.split(r"  +", line.rstrip()) for line in text.splitlines()]


def test_runs_are_a_table_the_latest_first(trainhost, work):
    folder, ids = work
    done = trainhost.run("runs", cwd=folder, env=PLAIN)
    lines = done.stdout.splitlines()
    assert lines[0].split() == "id name experiment status age duration loss val_loss val_accuracy score lr error".split()
    assert [line.split()[0] for line in lines[1:]] == [run[:8] for run in reversed(ids)]
    assert "\x1b" not in done.stdout and ("long " * 20).strip() in done.stdout  # a pipe: nothing is cut
    assert re.search(r"run 2 .* Default +FINISHED .* 0\.0909091 +0\.136364 .* 0\.01 +the sensor gave no data$", done.stdout, re.M)
    assert re.search(r" Default +FAILED ", lines[3]) and lines[1].split()[2] == "other"


def test_runs_are_sorted_best_first_filtered_and_limited(trainhost, work):
    folder, ids = work

    def names(*words):
        return [run["run_name"] for run in json.loads(trainhost.run("runs", "--json", *words, cwd=folder, env=PLAIN).stdout)]

    default = ("--experiment", "Default", "--limit", 3)
    assert names("--sort", "val_loss", *default) == ["run 3", "run 2", "run 1"]
    assert names("--sort", "val_loss desc", *default) == ["run 1", "run 2", "run 3"]
    assert names("--sort", "val_accuracy", *default) == ["run 3", "run 2", "run 1"]
    assert names("--sort", "params.lr DESC", *default) == ["run 1", "run 2", "run 3"]
    assert names("--sort", "age", "--limit=2") == ["twin", "twin"]
    assert names("--sort", "start_time", "--limit=2") == ["run 1", "run 2"]
    assert len(names("--sort", "duration")) == 6
    assert names("--filter", "metrics.val_loss < 0.15 AND params.epochs = '10'") == ["run 3", "run 2"]
    assert names("--filter", "attributes.status = 'FAILED'")[0].startswith("a name")
    assert names("--experiment", "1") == names("--experiment", "other") == ["twin", "twin"]
    few = trainhost.run("runs", "--limit", 2, cwd=folder, env=PLAIN)
    assert few.stdout.count("\n") == 3 and "--limit" in few.stderr
    shown = trainhost.run("runs", "--metric", "huge", "--param", "epochs", "--experiment", "0", cwd=folder, env=PLAIN).stdout
    assert shown.splitlines()[0].split()[-3:] == ["huge", "epochs", "error"] and re.search("run 2 .* inf +10", shown)


def test_runs_as_json_are_whole(trainhost, work):
    folder, ids = work
    found = json.loads(trainhost.run("runs", "--json", cwd=folder, env=PLAIN).stdout)
    second = next(run for run in found if run["run_id"] == ids[1])
    assert second["status"] == "FINISHED" and second["experiment"] == "Default" and second["experiment_id"] == "0"
    assert second["params"] == {"lr": "0.01", "epochs": "10", "text": "two\nlines"}
    assert second["metrics"] == {"loss": 1 / 11, "val_loss": 1.5 / 11, "val_accuracy": 1 - 1 / 11, "bad": "nan", "huge": "inf"}
    assert second["tags"]["trainhost.last_error"] == "the sensor gave no data" and not second["process_is_gone"]
    assert second["duration"] == (second["end_time"] - second["start_time"]) / 1000
    empty = trainhost.run("runs", "--json", "--filter", "params.none = 'x'", cwd=folder, env=PLAIN).stdout
    assert json.loads(empty) == []
    assert trainhost.run("runs", "--filter", "params.none = 'x'", cwd=folder, env=PLAIN).stdout == "no runs\n"


def test_show_has_all_of_a_run(trainhost, work):
    folder, ids = work
    out = trainhost.run("show", "run 2", cwd=folder, env=UTF8).stdout
    assert out.startswith(f"run 2  {ids[1]}  FINISHED\n") and "\n\n  a note\n" in out and "\x1b" not in out
    sections = {block.split("\n")[0]: block for block in out.split("\n\n")}
    assert "  lr      0.01" in sections["Params"] and "two\n          lines" in sections["Params"]
    assert re.search(r"  loss +0\.0909091 +9 +0\.0909091 +9 +0\.5 +0 +10  █[▁-▇]{9}$", sections["Metrics"], re.M)
    assert re.search(r"  bad +nan +0 +nan +nan +1$", sections["Metrics"], re.M)
    assert re.search(r"  huge +inf +0 +inf +0 +inf +0 +1$", sections["Metrics"], re.M)
    assert "mlflow.source.name" in sections["Tags"]
    assert re.search(r"^  digits  [0-9a-f]{8}  train$", sections["Inputs"], re.M)
    assert re.fullmatch(r"Artifacts\n  b\.txt  5\.0 kB\n  errors\.jsonl  \d+ B\n  notes/\n    deep/\n      a\.txt  5 B\n"
                        r"  3 files, 5\.1 kB", sections["Artifacts"])
    assert sections["Errors"].strip().split("\n")[1] == "  epoch 3: the sensor gave no data"
    assert trainhost.run("show", "run 2", cwd=folder, env=PLAIN).stdout.isascii()
    assert json.loads(trainhost.run("show", "run 2", "--json", cwd=folder, env=PLAIN).stdout)["run_id"] == ids[1]


def test_a_run_is_an_id_its_beginning_a_name_or_last(trainhost, work):
    folder, ids = work

    def id_of(word, *words, cwd=folder, env=PLAIN):
        return trainhost.run("show", word, *words, cwd=cwd, env=env).stdout.split("\n")[0].split("  ")[1]

    begin = next(ids[0][:n] for n in range(1, 33) if sum(each.startswith(ids[0][:n]) for each in ids) == 1)
    assert [id_of(word) for word in (ids[0], ids[0].upper(), begin, begin.upper(), "run 1")] == [ids[0]] * 5
    assert id_of("last") == ids[5]
    assert id_of("last", "--uri", folder / "mlflow.db", cwd="/") == ids[5]
    assert id_of("last", "--uri", f"sqlite:///{folder}/mlflow.db", cwd="/") == ids[5]
    assert id_of("last", cwd="/", env={**PLAIN, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}) == ids[5]
    assert trainhost.run("plot", "last", "score", cwd=folder, env=PLAIN).stdout.startswith("* score 1")


def test_compare_shows_what_differs_and_which_is_best(trainhost, work):
    folder, ids = work
    out = trainhost.run("compare", "run 1", ids[1], "run 3", cwd=folder, env=PLAIN).stdout
    assert out.splitlines()[0].split() == ["run", "run", "1", "run", "2", "run", "3"]
    assert re.search(r"^lr +0\.1 +0\.01 +0\.001$", out, re.M) and "epochs" not in out
    assert "2 params are the same" in out
    assert re.search(r"^loss +0\.1 +0\.0909091 +0\.0833333 \*$", out, re.M)
    assert re.search(r"^val_accuracy +0\.9 +0\.909091 +0\.916667 \*$", out, re.M)
    assert re.search(r"^bad +nan$", out, re.M)
    assert f"best val_loss: run 3 ({ids[2][:8]}), 0.125" in out
    whole = trainhost.run("compare", "run 3", "run 1", "--all", "--metric", "loss", cwd=folder, env=PLAIN).stdout
    assert re.search(r"^epochs +10 +10$", whole, re.M) and "val_loss" not in whole
    assert re.search(r"^loss +0\.0833333 \* +0\.1$", whole, re.M)
    twins = trainhost.run("compare", ids[4], ids[5], cwd=folder, env=PLAIN).stdout
    assert f"twin {ids[4][:8]}" in twins and "best" not in twins


def test_tail_shows_the_last_steps(trainhost, work):
    out = trainhost.run("tail", "run 1", "-n", 2, cwd=work[0], env=PLAIN).stdout.splitlines()
    assert [line.split("  ", 1)[1] for line in out] == ["step 8  loss 0.111111  val_loss 0.166667  val_accuracy 0.888889",
                                                        "step 9  loss 0.1  val_loss 0.15  val_accuracy 0.9"]
    one = trainhost.run("tail", "run 1", "--metric", "loss", cwd=work[0], env=PLAIN).stdout
    assert one.count("\n") == 10 and "val" not in one


LIVE = """
local mlflow, host = require "mlflow", require "host"
local run <close> = mlflow.start_run{run_name = "live"}
for step = 0, 2 do run:log_metrics({loss = 1 / (step + 1), ["system/cpu"] = 1}, step) end
mlflow.flush()
print("ready")
io.stdout:flush()
io.read("l")
for step = 3, 5 do run:log_metrics({loss = 1 / (step + 1)}, step) end
run:log_error("a hiccup")
mlflow.flush()
io.read("l")
"""


def live(trainhost, folder):
    process = subprocess.Popen([trainhost.path, "-e", LIVE], cwd=folder, env={**os.environ, **PLAIN}, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def test_tail_follows_a_run_until_it_ends(trainhost, tmp_path):
    process = live(trainhost, tmp_path)
    tail = subprocess.Popen([trainhost.path, "tail", "-f", "last"], cwd=tmp_path, env={**os.environ, **PLAIN},
                            stdout=subprocess.PIPE, text=True)
    assert [tail.stdout.readline().split("  ", 1)[1] for _ in range(3)] == ["step 0  loss 1\n", "step 1  loss 0.5\n",
                                                                            "step 2  loss 0.333333\n"]
    process.stdin.write("go\n")
    process.stdin.flush()
    seen = [tail.stdout.readline() for _ in range(4)]
    assert [line.split("  ", 1)[1] for line in seen[:3]] == ["step 3  loss 0.25\n", "step 4  loss 0.2\n", "step 5  loss 0.166667\n"]
    assert seen[3] == "error: a hiccup\n"
    process.communicate("end\n")
    assert re.fullmatch(r"FINISHED after .*\n", tail.stdout.read()) and tail.wait(30) == 0
    assert not (tmp_path / "mlflow.db-wal").exists()


def test_a_run_whose_process_was_killed_says_so_and_nothing_is_changed(trainhost, tmp_path):
    process = live(trainhost, tmp_path)
    assert "RUNNING  " in trainhost.run("runs", cwd=tmp_path, env=PLAIN).stdout
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.rglob("*") if path.is_file()}
    listed = trainhost.run("runs", cwd=tmp_path, env=PLAIN)
    assert "RUNNING (process gone)" in listed.stdout and "trainhost sync" in listed.stderr
    assert "its process is gone" in trainhost.run("show", "live", cwd=tmp_path, env=PLAIN).stdout
    done = trainhost.run("tail", "-f", "live", cwd=tmp_path, env=PLAIN)
    assert done.stdout.count("\n") == 3 and "process is gone" in done.stderr
    # The -shm file is memory that SQLite's connections share; what is stored is in the others.
    for path, digest in before.items():
        assert path.name.endswith("-shm") or hashlib.sha256(path.read_bytes()).hexdigest() == digest, path
    trainhost.run("sync", cwd=tmp_path, env=PLAIN)
    assert "KILLED" in trainhost.run("runs", cwd=tmp_path, env=PLAIN).stdout


@pytest.mark.parametrize("words, code, text", [
    (["show", "rnu 1"], 2, r"'rnu 1' is no run of .*mlflow\.db', .*there are:\n(  [0-9a-f]{32}  .*\n){6}"),
    (["show"], 2, r"which run\? .*\n(  [0-9a-f]{32}  .*\n){6}"),
    (["show", "twin"], 2, r"'twin' is the name or the beginning of the id of 2 runs; .*\n(  [0-9a-f]{32}  .*twin\n){2}"),
    (["show", "run 1", "run 2"], 2, r"one run, got 2 words: `trainhost compare` shows several"),
    (["compare", "run 1"], 2, r"which runs\? two or more, got 1"),
    (["compare", "run 1", "run 1"], 2, r"which runs\? two or more, got 1"),
    (["compare", "run 1", "run 2", "--metric", "los"], 2, r"none of these runs has the metric 'los'; did you mean 'loss'\?"),
    (["tail", "nothing"], 2, r"'nothing' is no run"),
    (["tail", "run 1", "--metric", "los"], 2, r"the run has no metric 'los'; did you mean 'loss'\?"),
    (["tail", "run 1", "-n", "0"], 2, r"-n expects a whole number above 0, got '0'"),
    (["runs", "--sort", "val_los"], 2, r"--sort: none of these runs has the metric 'val_los'; did you mean 'val_loss'\?"),
    (["runs", "--metric", "x"], 2, r"--metric: none of these runs has the metric 'x'; .*loss, val_loss"),
    (["runs", "--sort", "loss down"], 2, r"none of these runs has the metric 'loss down'"),
    (["runs", "--filter", "metrics.loss <"], 2, r"mlflow: .*metrics\.loss <"),
    (["runs", "--experiment", "othr"], 2, r"has no experiment 'othr'; did you mean 'other'\? \(there are: .*Default"),
    (["runs", "--limit", "few"], 2, r"--limit expects a whole number above 0, got 'few'"),
    (["runs", "run 1"], 2, r"unexpected 'run 1': one run is shown by `trainhost show run 1`"),
    (["runs", "--srot", "loss"], 2, r"unknown option '--srot'; did you mean '--sort'\?"),
    (["runs", "--uri", "none.db"], 2, r"there is no store 'none\.db' \(--uri names an mlflow\.db or a tracking server\)"),
    (["runs", "--uri", "story.lua"], 1, r"mlflow: .*'story\.lua'.*file is not a database"),
    (["runs", "--uri", "file:///tmp"], 1, r"mlflow: the tracking URI 'file:///tmp' names a file store"),
])
def test_what_is_wrong_is_told_with_what_is_there(trainhost, work, words, code, text):
    done = trainhost.run(*words, cwd=work[0], env=PLAIN, check=False)
    assert done.returncode == code and done.stdout == "" and done.stderr.startswith(f"trainhost {words[0]}: "), done
    assert re.search(text, done.stderr + "\n"), done.stderr


def test_looking_makes_no_store(trainhost, tmp_path):
    for words in (["runs"], ["show", "last"], ["compare", "a", "b"], ["tail", "last"]):
        assert "there is no store" in trainhost.run(*words, cwd=tmp_path, env=PLAIN, check=False).stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["runs", "show", "compare", "tail"])
def test_help(trainhost, verb):
    shown = trainhost.run(verb, "--help").stdout
    assert shown.startswith(f"trainhost {verb} ") and "Exit codes: 0 " in shown
    assert trainhost.run("doc", verb).stdout.strip() == shown.strip() and f"trainhost {verb} " in trainhost.run("--help").stdout


@pytest.mark.parametrize("columns", [60, 100, 400])
def test_a_table_fits_the_terminal_and_is_coloured(trainhost, work, columns):
    lines = on_terminal(trainhost, work[0], ["runs", "--sort", "val_loss"], columns, 24, UTF8)
    bare = [re.sub(r"\x1b\[\d*m", "", line) for line in lines]
    assert len(lines) == 7 and max(map(len, bare)) <= columns and "\x1b[32mFINISHED\x1b[0m" in lines[1]
    assert bare[0].split()[:2] == ["id", "name"] and ("val_accuracy" in bare[0]) == (columns == 400)
    plain = on_terminal(trainhost, work[0], ["runs"], columns, 24, {**UTF8, "NO_COLOR": "1"})
    assert not any("\x1b" in line for line in plain)
    assert "\x1b[" in trainhost.run("runs", "--color", cwd=work[0], env=PLAIN).stdout
