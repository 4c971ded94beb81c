# A training that is killed with -9 again and again ends with the bytes of one that was not: reliability.md row 11.
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest
from sample import LONG, SEED, sample

SCRIPT = Path(__file__).with_name("resume.lua")
KINDS = ("plain", "shuffle", "workers", "dropout", "accumulation", "ema", "ema_swapped", "swa", "scaler", "policies", "metrics",
         "csv", "scheduler", "freezing", "generated", "augmented", "stretched", "stretched_generated", "stretched_augmented",
         "limited_augmented", "collated", "validated_by_function", "limited", "own")
# Points by the number of batches done, 7 an epoch: 5 is within an epoch and, of 3 batches a step, within an accumulation; 14
# the end of an epoch; v21 before the validation of one whose batches are all done.
WITHIN = "1" if LONG else "5,7"  # a checkpoint costs several fsyncs
POINTS = {WITHIN: ("1", "5", "6", "14", "17", "v21", "25") if LONG else ("5", "14", "v21"), "epoch": ("8", "10", "14", "20", "v21")}
CASES = [(kind, WITHIN) for kind in KINDS] + [(kind, "epoch") for kind in sample(KINDS, 6)]


def files(folder, names):
    found = {}
    for name in names:
        path = folder / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and not file.is_symlink():
                found[str(file.relative_to(folder))] = file.read_bytes()
    return found


def written(folder):
    names = [p.name for p in folder.iterdir() if p.name in ("out", "best", "log.csv", "log.jsonl")]
    found = files(folder, names)
    # ModelCheckpoint's folders know the time and how long the training took: their tensors must be the same.
    return {name: data for name, data in found.items()
            if not name.startswith("best/") or name.endswith(("model.safetensors", "optimizer.safetensors"))}


def train(trainhost, folder, kind, freq, points=()):
    folder.mkdir(exist_ok=True)
    return subprocess.run([trainhost.path, str(SCRIPT), "--", kind, freq, *points], cwd=folder, capture_output=True, text=True)


def run_killed(trainhost, folder, kind, freq, points):
    """Runs again until it ends. Returns how often it was killed, and from where it went on."""
    kills, starts = 0, []
    for _ in range(len(points) + 1):
        done = train(trainhost, folder, kind, freq, points)
        starts += [line.split("\t")[1] for line in done.stdout.splitlines() if line.startswith("from\t")]
        if done.returncode == 0:
            assert not (folder / "backup").exists(), "it ended well: nothing is left"
            return kills, starts
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
        kills += 1
    raise AssertionError(done.stdout + done.stderr)


@pytest.fixture(scope="module")
def whole(trainhost, tmp_path_factory):
    """What the training of a kind writes that is never killed."""
    known = {}

    def of(kind, freq):
        if (kind, freq) not in known:
            folder = tmp_path_factory.mktemp("whole") / kind
            done = train(trainhost, folder, kind, freq)
            assert done.returncode == 0, done.stdout + done.stderr
            known[kind, freq] = written(folder)
        return known[kind, freq]

    return of


@pytest.mark.parametrize("kind, freq", CASES)
def test_a_killed_training_ends_with_the_bytes_of_one_that_was_not(trainhost, whole, tmp_path, kind, freq):
    print("seed", SEED)
    expected = whole(kind, "epoch")
    kills, starts = run_killed(trainhost, tmp_path / kind, kind, freq, POINTS[freq])
    assert kills == len(starts) >= 2, starts
    got = written(tmp_path / kind)
    assert sorted(got) == sorted(expected)
    for name in expected:
        assert got[name] == expected[name], f"{name} after {kills} kills, from {starts}"


@pytest.mark.parametrize("freq", POINTS)
def test_tensorboard_reads_each_step_once_after_kills(trainhost, tmp_path, freq):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def scalars(folder):
        found = {}
        for phase in ("train", "validation"):
            events = reader.EventAccumulator(str(folder / "logs" / phase), size_guidance={"scalars": 0, "histograms": 0})
            events.Reload()
            for tag in events.Tags()["scalars"]:
                found[phase, tag] = [(event.step, event.value) for event in events.Scalars(tag)]
            for tag in events.Tags()["histograms"]:
                found[phase, tag] = [event.step for event in events.Histograms(tag)]
            assert events.Tags()["graph"] == (phase == "train")
        return found

    assert train(trainhost, tmp_path / "whole", "tensorboard", freq).returncode == 0
    expected = scalars(tmp_path / "whole")
    assert [step for step, _ in expected["train", "batch_loss"]] == list(range(1, 29))
    assert [step for step, _ in expected["train", "epoch_loss"]] == [0, 1, 2, 3] and len(expected) >= 14
    kills, _ = run_killed(trainhost, tmp_path / "killed", "tensorboard", freq, POINTS[freq])
    assert kills == len(POINTS[freq])
    assert scalars(tmp_path / "killed") == expected


def test_a_training_goes_on_in_its_mlflow_run_and_logs_nothing_twice(trainhost, tmp_path):
    """Points with epochs between the checkpoint and the kill, which come once more."""
    def rows(folder):
        with sqlite3.connect(folder / "mlflow.db") as store:
            runs = store.execute("select run_uuid, status from runs").fetchall()
            assert runs == [((folder / "run").read_text(), "FINISHED")]
            return sorted(store.execute("select key, step, value from metrics"))

    assert train(trainhost, tmp_path / "whole", "tracked", "5").returncode == 0
    expected = rows(tmp_path / "whole")
    assert [step for key, step, _ in expected if key == "val_loss"] == [0, 1, 2, 3]
    kills, starts = run_killed(trainhost, tmp_path / "killed", "tracked", "5", ("8", "9", "14", "22"))
    assert (kills, len(starts)) == (4, 4)
    assert rows(tmp_path / "killed") == expected


# --- Faults of files

@pytest.fixture(scope="module")
def killed(trainhost, tmp_path_factory):
    """A folder whose training was killed within an epoch, with two checkpoints, and what it would have written."""
    base = tmp_path_factory.mktemp("faults")
    assert train(trainhost, base / "whole", "accumulation", "1").returncode == 0
    assert train(trainhost, base / "killed", "accumulation", "1", ["5"]).returncode == -signal.SIGKILL
    return base / "killed", written(base / "whole")


CHECK = """
local host, files, total = require "host", {}, 0
for line in io.lines "cases" do
  local path = line:match "^(%S+)"
  local good = files[path] or host.file.read(path)
  files[path] = good
  local kind, at, bit = line:match "^%S+ (%a+) (%d+) (%d+)$"
  at = tonumber(at)
  local bad = kind == "cut" and good:sub(1, at)
    or kind == "flip" and good:sub(1, at) .. string.char(good:byte(at + 1) ~ (1 << tonumber(bit))) .. good:sub(at + 2)
    or host.file.read((path:gsub("ckpt%-000005", "ckpt-000004")))
  if bad ~= good then
    local out = assert(io.open(path, "w"))
    out:write(bad)
    out:close()
    local ok, err = pcall(host.checkpoint.load, "backup/ckpt-000005")
    assert(not ok and err.kind == "io", line .. ": not found")
    total = total + 1
    out = assert(io.open(path, "w"))
    out:write(good)
    out:close()
  end
end
host.checkpoint.load "backup/ckpt-000005"
print(total)
"""


def test_flipped_bits_cuts_and_swapped_files_are_all_found(trainhost, killed, tmp_path):
    folder = tmp_path / "f"
    shutil.copytree(killed[0], folder, symlinks=True)
    rng, cases = random.Random(2), []
    files = sorted(p for p in (folder / "backup/ckpt-000005").iterdir())
    assert len(files) >= 5
    flips, cuts = (2000, 500) if LONG else (300, 60)
    for k in range(flips + cuts):
        file = files[k % len(files)]
        kind = "flip" if k < flips else "cut"
        cases.append(f"{file.relative_to(folder)} {kind} {rng.randrange(file.stat().st_size)} {rng.randrange(8)}")
    cases += [f"{file.relative_to(folder)} swap 0 0" for file in files]
    (folder / "cases").write_text("\n".join(cases) + "\n")
    assert int(trainhost.lua(CHECK, cwd=folder)) >= flips + cuts + 4


def test_a_training_with_a_damaged_checkpoint_goes_on_from_the_one_before(trainhost, killed, tmp_path):
    folder = tmp_path / "f"
    shutil.copytree(killed[0], folder, symlinks=True)
    file = folder / "backup/ckpt-000005/model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    done = train(trainhost, folder, "accumulation", "1")
    assert done.returncode == 0 and "from\tbackup/ckpt-000004" in done.stdout, done.stdout + done.stderr
    assert "model.safetensors is damaged" in done.stderr and "backup/ckpt-000004 is used in its place" in done.stderr
    assert written(folder) == killed[1]


def test_the_safetensors_package_reads_model_and_optimizer(killed):
    load_file = pytest.importorskip("safetensors.numpy").load_file
    path = killed[0] / "backup/ckpt-000005"
    model, optimizer = load_file(path / "model.safetensors"), load_file(path / "optimizer.safetensors")
    assert model["0.weight"].shape == (16, 6) and model["0.weight"].dtype.name == "float32"
    assert any(name.endswith("exp_avg") for name in optimizer)
    state = json.loads((path / "state.json").read_text())["state"]
    assert state["steps_done"] == 1 and state["epoch_batches"] == 5 and state["window"]["count"] == 2
    assert len(state["random"]["lua"]) == 64 and state["loader"]["batch"] == 5
    rows = {row["name"]: row for row in json.loads((path / "manifest.json").read_text())["files"]}
    assert rows["model.safetensors"]["bytes"] == (path / "model.safetensors").stat().st_size
    assert len(rows["model.safetensors"]["xxh3_128"]) == 32 and rows["model.safetensors"]["tensors"][0][0] == "0.weight"


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_training_goes_on_while_checkpoints_cannot_be_written(trainhost, killed, tmp_path, error):
    folder = tmp_path / "f"
    shutil.copytree(killed[0], folder, symlinks=True)
    (folder / "backup/.ckpt-000009.tmp-999999999-0").mkdir()  # of a writer that was killed
    done = subprocess.run(["strace", "-f", "-o", os.devnull, "-e", f"inject=mkdir:error={error}:when=1..5", trainhost.path,
                           str(SCRIPT), "--", "accumulation", "1"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("no checkpoint was written into backup") == 1 and "the one before is kept" in done.stderr, done.stderr
    assert not (folder / "backup").exists()
    assert written(folder) == killed[1]


def behind_gate(trainhost, script, first, folder):
    """Runs a script; each thread stops at its fsync number `first` until the script calls open_gate."""
    return subprocess.run(["strace", "-D", "-f", "-o", os.devnull, "-e", "trace=fsync,fdatasync", "-e",
                           f"inject=fsync,fdatasync:delay_enter=3600000000:when={first}", trainhost.path, script],
                          cwd=folder, capture_output=True, text=True, timeout=300)


# Ends the tracer, with which its delays end.
OPEN_GATE = """
local function open_gate()
  for line in io.lines "/proc/self/status" do
    local pid = line:match "^TracerPid:%s*([1-9]%d*)"
    if pid then os.execute("kill -9 " .. pid) end
  end
end
"""


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_no_step_waits_for_a_slow_disk(trainhost, tmp_path):
    """A disk that takes nothing of the first checkpoint before all 28 batches are done."""
    (tmp_path / "slow.lua").write_text(OPEN_GATE + SLOW)
    done = behind_gate(trainhost, "slow.lua", 3, tmp_path)  # two of the first thread: the folder is tried before the first step
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["28", "0", "ckpt-000028"], "the newest waited, those between were left out"


SLOW = """
local host, torch, train = require "host", require "torch", require "train"
local net, done, there = torch.nn.Linear(2, 1), 0, nil
train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), loss = torch.nn.functional.mse_loss, epochs = 4,
  train = {torch.ones(28, 2), torch.ones(28, 1)}, batch_size = 4, quiet = true, callbacks = {
    train.BackupAndRestore {backup_dir = "backup", save_freq = {1, "epoch"}, delete_checkpoint = false},
    train.on("batch_end", function(state)
      done, there = state.batches_done, 0
      for _, name in ipairs(host.file.list "backup") do there = there + (name:find "^ckpt" and 1 or 0) end
      if done == 28 then open_gate() end
    end)}}
print(done, there, host.file.list("backup")[2])
"""


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_of_two_programs_that_begin_together_on_a_slow_disk_one_trains(trainhost, tmp_path):
    """The first one's disk takes nothing for long: it has the folder by then, or the second has it first."""
    (tmp_path / "a.lua").write_text(WAITING)
    slow = ["strace", "-f", "-o", os.devnull, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:delay_enter=300000"]
    pair = [subprocess.Popen([*before, trainhost.path, "a.lua"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True) for before in (slow, [], [])]
    first = {}
    for each in pair:  # one that is refused ends; the others wait for a line
        first[each] = each.stdout.readline()
    assert sorted(first.values()) == ["", "", "trains\n"], [p.communicate() for p in pair]
    for each in pair:
        error = each.communicate("\n")[1]
        assert (each.returncode == 0) == (first[each] == "trains\n"), error
        assert each.returncode == 0 or "is in use by process" in error, error


def test_two_programs_do_not_train_into_one_backup_dir(trainhost, tmp_path):
    """The second is told so, also of the folder that one has left that was killed; another script's checkpoint is not taken."""
    (tmp_path / "a.lua").write_text(WAITING)
    (tmp_path / "b.lua").write_text(WAITING)
    first = subprocess.Popen([trainhost.path, "a.lua"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline() == "trains\n"
    second = trainhost.run("a.lua", cwd=tmp_path, check=False)
    assert second.returncode != 0
    assert f"backup_dir 'backup' is in use by process {first.pid} (" in second.stderr, second.stderr
    assert "give each training a folder of its own" in second.stderr
    first.kill()
    first.communicate()
    other = trainhost.run("b.lua", cwd=tmp_path, check=False)
    assert other.returncode != 0 and "was written by a.lua, this is b.lua" in other.stderr, other.stderr
    again = trainhost.run("a.lua", cwd=tmp_path)
    assert "goes on from backup/ckpt-" in again.stderr and not (tmp_path / "backup").exists()


WAITING = """
local torch, train = require "torch", require "train"
local net = torch.nn.Linear(2, 1)
local backup = train.BackupAndRestore {backup_dir = "backup", save_freq = 1}
train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), loss = torch.nn.functional.mse_loss, epochs = 2,
  train = {torch.ones(8, 2), torch.ones(8, 1)}, batch_size = 4, quiet = true, callbacks = {backup,
    train.on("epoch_end", {once = 1}, function(state)
      backup:settle(state)
      print "trains"
      io.stdout:flush()
      io.read()
    end)}}
"""


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_ctrl_c_ends_the_wait_for_a_slow_disk(trainhost, tmp_path):
    """The third submission waits for the first, and is stopped before the disk has taken that."""
    (tmp_path / "wait.lua").write_text(OPEN_GATE + WAITS)
    done = behind_gate(trainhost, "wait.lua", 1, tmp_path)
    assert done.returncode == 130 and done.stdout == "waits\nfalse\n", done.stdout + done.stderr
    assert (tmp_path / "b/manifest.json").exists(), "what was taken is written before the program ends"


WAITS = """
local host = require "host"
local there <close> = setmetatable({}, {__close = function()
  print(host.file.exists "a/manifest.json")
  open_gate()
end})
host.checkpoint.submit("a", {state = {n = 1}})
host.checkpoint.submit("b", {state = {n = 2}})
print "waits"
io.stdout:flush()
os.execute("(sleep 0.3; kill -INT " .. host.pid() .. ") &")
host.checkpoint.submit("c", {state = {n = 3}})
print "not reached"
"""


def test_ctrl_c_leaves_a_checkpoint_that_goes_on_exactly(trainhost, killed, tmp_path):
    folder = tmp_path / "f"
    assert train(trainhost, folder, "accumulation", "epoch", ["int5"]).returncode != 0
    assert [p.name for p in sorted((folder / "backup").iterdir())] == ["ckpt-000006", "latest"]
    done = train(trainhost, folder, "accumulation", "epoch")
    assert done.returncode == 0 and "from\tbackup/ckpt-000006" in done.stdout, done.stdout + done.stderr
    assert written(folder) == killed[1]
