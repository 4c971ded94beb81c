# Checkpoints under kill -9 and failing system calls: the folder always loads, as the old state or the new one.
import os
import random
import re
import shutil
import signal
import subprocess
import time

import pytest
from sample import SEED, sample

SAVE = """
local torch, host = require "torch", require "host"
local function save(n)
  host.checkpoint.save("ckpt/a", {tensors = {model = {w = torch.full({1000}, n)}}, state = {n = n}})
  host.checkpoint.link("ckpt/a", "latest")
end
local first, last = math.tointeger(host.args[1]), math.tointeger(host.args[2])
for n = first, last do
  local ok, err = pcall(save, n)
  if not ok then
    print(err.kind, err.message)
    os.exit(7)
  end
  if n == first then io.write("saved\\n"):flush() end
end
"""
# Prints which state is there; fails if it is not whole. The link must lead to it, too.
LOAD = """
local host = require "host"
local c = host.checkpoint.load "ckpt/latest"
local w = c.tensors.model.w
assert(w:min():item() == c.state.n and w:max():item() == c.state.n, "a mixture of two states")
print(c.state.n)
"""
CALLS = ("openat", "write", "fsync", "rename", "renameat2", "mkdir", "symlink", "unlink", "unlinkat")


@pytest.fixture
def folder(trainhost, tmp_path):
    (tmp_path / "save.lua").write_text(SAVE)
    trainhost.run("save.lua", "--", 1, 1, cwd=tmp_path)
    return tmp_path


def stored(trainhost, folder):
    return int(trainhost.lua(LOAD, cwd=folder))


def files(folder):
    return sorted(path.name for path in (folder / "ckpt").iterdir())


def test_kill_9_at_any_moment_leaves_a_whole_checkpoint(trainhost, folder):
    rng, last = random.Random(1), 1
    for _ in range(10):
        process = subprocess.Popen([trainhost.path, "save.lua", "--", str(last + 1), str(last + 10**6)], cwd=folder,
                                   stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(0.1 * rng.random())
        process.send_signal(signal.SIGKILL)
        process.communicate()
        now = stored(trainhost, folder)
        assert now > last
        last = now
    trainhost.run("save.lua", "--", last + 1, last + 1, cwd=folder)
    assert stored(trainhost, folder) == last + 1
    assert files(folder) == ["a", "latest"], "the next save removes what killed ones left"


def calls_on_checkpoint(trainhost, folder):
    """(call, its number among calls of that name) for every system call of a save that touches the checkpoint."""
    subprocess.run(["strace", "-f", "-o", "trace", "-e", "trace=" + ",".join(CALLS), trainhost.path, "save.lua", "--",
                    "1", "1"], cwd=folder, check=True)
    count, found = {}, []
    for line in (folder / "trace").read_text().splitlines():
        match = re.match(r"\d+\s+(\w+)\(", line)
        if match:
            call = match[1]
            count[call] = count.get(call, 0) + 1
            if "ckpt" in line or (found and call in ("write", "fsync")):
                found.append((call, count[call]))
    return found


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_fault_in_any_system_call_keeps_the_old_checkpoint_or_makes_the_new_one(trainhost, folder):
    points = [(fault, call, k) for fault in ("signal=KILL", "error=ENOSPC", "error=EIO")
              for call, k in calls_on_checkpoint(trainhost, folder)]
    assert len(points) > 90
    print("seed", SEED)
    old = 1
    for fault, call, k in sample(points, 8):
        done = subprocess.run(["strace", "-f", "-o", os.devnull, "-e", f"inject={call}:{fault}:when={k}", trainhost.path,
                               "save.lua", "--", str(old + 1), str(old + 1)], cwd=folder, capture_output=True, text=True)
        where = f"{fault} in {call} {k}: exit {done.returncode} {done.stdout}{done.stderr}"
        now = stored(trainhost, folder)
        assert now in (old, old + 1), where
        if done.returncode == 0:
            assert now == old + 1, where
        elif fault != "signal=KILL":
            assert done.returncode == 7 and done.stdout.startswith("io\t"), where
        trainhost.run("save.lua", "--", old + 2, old + 2, cwd=folder)
        assert stored(trainhost, folder) == old + 2, where
        assert files(folder) == ["a", "latest"], where
        old += 2
