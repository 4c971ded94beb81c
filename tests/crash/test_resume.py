# A training that is killed with -9 again and again ends with the bytes of one that was not: reliability.md row 11.
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("resume.lua")
KINDS = ("plain", "shuffle", "workers", "dropout", "accumulation", "ema", "ema_swapped", "swa", "scaler", "policies", "metrics",
         "csv", "scheduler", "freezing", "generated", "augmented", "stretched", "limited", "own")
# Points by the number of batches done, 7 an epoch: 5 is within an epoch and, of 3 batches a step, within an accumulation; 14
# the end of an epoch; v21 before the validation of one whose batches are all done.
LONG = bool(os.environ.get("TRAINHOST_LONG"))
POINTS = {"1": ("1", "5", "6", "14", "17", "v21", "25") if LONG else ("5", "14", "v21"), "epoch": ("8", "10", "14", "20", "v21")}
CASES = [(kind, "1") for kind in KINDS] + [(kind, "epoch") for kind in KINDS[int(time.time()) % 4 * (not LONG)::1 if LONG else 4]]


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
    expected = whole(kind, "epoch")
    kills, starts = run_killed(trainhost, tmp_path / kind, kind, freq, POINTS[freq])
    assert kills == len(starts) >= 2, starts
    got = written(tmp_path / kind)
    assert sorted(got) == sorted(expected)
    for name in expected:
        assert got[name] == expected[name], f"{name} after {kills} kills, from {starts}"
