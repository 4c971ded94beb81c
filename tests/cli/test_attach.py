# trainhost attach: a console in a training that runs, its journal, and the replay that gives the same weights.
import json
import os
import socket
import stat
import subprocess
import time

import pytest

SCRIPT = """
local torch, train, mlflow, host = require "torch", require "train", require "mlflow", require "host"
torch.manual_seed(0)
local x = torch.randn(40, 4)
local model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))
local journal = host.param("journal", "")
local run <close> = host.param("log", false) and mlflow.start_run{run_name = "watched"} or nil
local callbacks = {}
if journal ~= "" then callbacks[1] = train.replay(journal)
else callbacks[1] = train.on("batch_end", function() host.sleep(0.002) end) end
train.fit{model = model, optimizer = torch.optim.Adam(model:parameters(), {lr = 1e-2}), loss = "mse", seed = 3,
  train = {x, x:sum(1, {keepdim = true})}, batch_size = 8, epochs = 100000, max_time = "100s", quiet = true, callbacks = callbacks}
for name, p in model:named_parameters() do print(name, ("%a %a"):format(p:double():sum():item(), p:double():pow(2):sum():item())) end
"""


class Training:
    """A training in the background, in folders of its own."""

    def __init__(self, trainhost, tmp_path, *words):
        self.trainhost, self.folder, self.runtime = trainhost, tmp_path / "work", tmp_path / "runtime"
        self.folder.mkdir(exist_ok=True)
        self.runtime.mkdir(exist_ok=True)
        (tmp_path / "train.lua").write_text(SCRIPT)
        self.env = {"XDG_RUNTIME_DIR": str(self.runtime)}
        self.child = subprocess.Popen([trainhost.path, tmp_path / "train.lua", *words], cwd=self.folder,
                                      env={**os.environ, **self.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.socket = self.runtime / f"trainhost/{self.child.pid}.sock"
        for _ in range(600):
            if self.socket.exists() and self.socket.with_suffix(".json").exists():
                break
            assert self.child.poll() is None, self.child.communicate()
            time.sleep(0.1)

    def attach(self, *words, **options):
        return self.trainhost.run("attach", *words, env=self.env, **options)

    def ask(self, code):
        return self.attach(self.child.pid, code).stdout.strip()

    def end(self):
        out, err = self.child.communicate(timeout=120)
        assert self.child.returncode == 0, err
        return out


@pytest.fixture
def start(trainhost, tmp_path):
    made = []

    def make(*words):
        made.append(Training(trainhost, tmp_path, *words))
        return made[-1]
    yield make
    for training in made:
        if training.child.poll() is None:
            training.child.kill()
            training.child.communicate()


def test_actions_change_the_training_and_their_replay_gives_the_same_weights(start, trainhost, tmp_path):
    training = start()
    assert training.ask("state.optimizer.param_groups[1].lr") == "0.01"
    assert training.ask("lr(0.05)") == "0.05"
    training.ask("torch.rand(3)")  # random numbers of the training
    training.ask("kept = 2")
    assert training.ask("local _ <close> = torch.no_grad() for _, p in ipairs(state.model:parameters()) do p:mul_(kept) end "
                        "print('doubled')") == "doubled"
    failed = training.attach(training.child.pid, "state.nothing.x = 1", check=False)
    assert failed.returncode == 1 and "attempt to index a nil value" in failed.stderr
    training.ask("stop('enough')")
    weights = training.end()
    (journal,) = (training.folder / ".trainhost/runs").glob("*/journal")
    actions = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [action["code"] for action in actions][1:4] == ["lr(0.05)", "torch.rand(3)", "kept = 2"]
    assert all(action["event"] in ("batch_end", "epoch_end") for action in actions)
    again = trainhost.run("--quiet", tmp_path / "train.lua", "--set", f"journal={journal}", cwd=tmp_path)
    assert again.stdout == weights
    without = journal.with_name("without")
    without.write_text("".join(line + "\n" for line in journal.read_text().splitlines() if "lr(0.05)" not in line))
    other = trainhost.run("--quiet", tmp_path / "train.lua", "--set", f"journal={without}", cwd=tmp_path)
    assert other.stdout != weights
    assert not list((training.runtime / "trainhost").iterdir())


def test_the_socket_is_the_owners_alone_and_one_client_is_served(start):
    training = start()
    folder = training.socket.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and stat.S_IMODE(training.socket.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(str(training.socket))
        first.sendall(b'{"hello": true}\n')
        assert b"state: epoch" in first.recv(4096)
        second = training.attach(training.child.pid, "1", check=False)
        assert second.returncode == 1 and second.stderr == "trainhost attach: somebody else is attached to this training\n"
        # One that asks and never reads is not waited for.
        first.sendall(b'{"code": "(\'x\'):rep(100000)"}\n' * 60)
        before = time.monotonic()
        time.sleep(0.5)
        assert time.monotonic() - before < 30 and training.child.poll() is None
    for _ in range(200):
        done = training.attach(training.child.pid, "state.epoch", check=False)
        if done.returncode == 0:
            break
        time.sleep(0.05)
    assert int(done.stdout) >= 0
    training.ask("stop()")
    training.end()


def test_trainings_are_listed_named_by_their_runs_and_tagged(start, trainhost):
    training = start("--set", "log=true")
    header, line = training.attach().stdout.splitlines()
    assert header.split()[:2] == ["RUN", "SCRIPT"] and line.split()[0] == str(training.child.pid) and "watched" in line
    console = training.attach("watched", input="1 + 1\nfor i = 1, 2 do\nprint(i)\nend\nsave('kept')\nstop()\n").stdout.splitlines()
    assert console[0].startswith(f"{training.child.pid}: state: epoch")
    assert console[1:5] == ["2", "1", "2", "saved kept"]
    training.end()
    assert (training.folder / "kept").is_dir()
    tags = trainhost.lua("local mlflow = require 'mlflow' local run = mlflow.start_run() "
                         "for k, v in pairs(mlflow.get_run(arg[1]).data.tags) do print(k, v) end", "--",
                         next((training.folder / ".trainhost/runs").iterdir()).name, cwd=training.folder)
    assert "trainhost.attach.0001\tstep " in tags and ": 1 + 1" in tags and "trainhost.attach.0004" in tags
    assert training.attach().stdout == "no training runs\n"
    gone = training.attach("watched", check=False)
    assert gone.returncode == 1 and gone.stderr == "trainhost attach: no training 'watched' runs\n"


def test_what_a_killed_training_left_is_removed(start):
    training = start()
    training.child.kill()
    training.child.communicate()
    assert training.socket.exists()
    assert training.attach().stdout == "no training runs\n"
    assert not training.socket.exists()


def test_a_wrong_command_line_is_exit_code_2(trainhost):
    for words in [["a", "b", "c"], ["--run"]]:
        assert trainhost.run("attach", *words, check=False).returncode == 2


def test_a_folder_of_somebody_else_is_not_used(trainhost, tmp_path):
    (tmp_path / "trainhost").mkdir()
    (tmp_path / "trainhost").chmod(0o777)
    failed = trainhost.run("attach", env={"XDG_RUNTIME_DIR": str(tmp_path)}, check=False)
    assert failed.returncode == 1 and "no folder of this user's alone" in failed.stderr
    code = """local torch, train = require "torch", require "train"
      local x = torch.randn(4, 1)
      local h = train.fit{model = torch.nn.Linear(1, 1), optimizer = "sgd", loss = "mse", train = {x, x}, epochs = 2, quiet = true}
      print(#h.loss)"""
    done = trainhost.run("-e", code, env={"XDG_RUNTIME_DIR": str(tmp_path)})
    assert done.stdout == "2\n"
