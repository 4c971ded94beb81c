# trainhost attach: a console in a training that runs, its journal, and the replay that gives the same weights.
import json
import os
import pty
import select
import signal
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


def wait_until(condition, seconds=60, pause=0.05):
    """What `condition` returns once that is true; a failure after so many seconds."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(pause)
    return found


class Training:
    """A training in the background, in folders of its own."""

    def __init__(self, trainhost, tmp_path, *words, script=SCRIPT):
        self.trainhost, self.folder, self.runtime = trainhost, tmp_path / "work", tmp_path / "runtime"
        self.folder.mkdir(exist_ok=True)
        self.runtime.mkdir(exist_ok=True)
        (tmp_path / "train.lua").write_text(script)
        self.child_started = time.time()
        self.env = {"XDG_RUNTIME_DIR": str(self.runtime)}
        self.child = subprocess.Popen([trainhost.path, tmp_path / "train.lua", *words], cwd=self.folder,
                                      env={**os.environ, **self.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.socket = self.runtime / f"trainhost/{self.child.pid}.sock"

        def is_there():
            assert self.child.poll() is None, self.child.communicate()
            return self.socket.exists() and self.socket.with_suffix(".json").exists()
        wait_until(is_there)

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

    def make(*words, script=SCRIPT):
        made.append(Training(trainhost, tmp_path, *words, script=script))
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


def test_the_socket_is_the_owners_alone_and_one_client_is_served(start, trainhost):
    training = start()
    folder = training.socket.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and stat.S_IMODE(training.socket.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(str(training.socket))
        first.sendall(b'{"hello": true}\n')
        assert b"state: epoch" in first.recv(4096)
        second = training.attach(training.child.pid, input="1", check=False)
        assert second.returncode == 1 and second.stderr == "trainhost attach: somebody else is attached to this training\n"
        # One that asks and never reads is not waited for.
        first.sendall(b'{"code": "(\'x\'):rep(100000)"}\n' * 60)
        before = time.monotonic()
        time.sleep(0.5)
        assert time.monotonic() - before < 30 and training.child.poll() is None
    # One line of each waits for its turn.
    lines = [subprocess.Popen([trainhost.path, "attach", str(training.child.pid), "state.epoch"], env={**os.environ, **training.env},
                              stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert all(int(line.communicate(timeout=60)[0]) >= 0 for line in lines)
    training.ask("stop()")
    training.end()


def test_trainings_are_listed_named_by_their_runs_and_tagged(start, trainhost):
    training = start("--set", "log=true")
    header, line = training.attach().stdout.splitlines()
    assert header.split()[:3] == ["#", "PROCESS", "SCRIPT"] and line.split()[:2] == ["1", str(training.child.pid)] and "watched" in line
    console = training.attach("watched", input="1 + 1\nfor i = 1, 2 do\nprint(i)\nend\nsave('kept')\nstop()\n").stdout.splitlines()
    assert console[0].startswith(f"{training.child.pid}: state: epoch")
    assert console[1:5] == ["2", "1", "2", "saved kept"]
    training.end()
    assert (training.folder / "kept").is_dir()
    tags = trainhost.lua("local mlflow = require 'mlflow' local run = mlflow.start_run() "
                         "for k, v in pairs(mlflow.get_run(arg[1]).data.tags) do print(k, v) end", "--",
                         next((training.folder / ".trainhost/runs").iterdir()).name, cwd=training.folder)
    assert "trainhost.attach.0001\tstep " in tags and ": 1 + 1" in tags and "trainhost.attach.0004" in tags
    none = training.attach().stdout
    assert none.startswith("no training runs\n") and "train.Attach()" in none
    gone = training.attach("watched", check=False)
    assert gone.returncode == 1 and gone.stderr == "trainhost attach: no training 'watched' runs: none does\n"


def test_what_a_killed_training_left_is_removed(start):
    training = start()
    training.child.kill()
    training.child.communicate()
    assert training.socket.exists()
    assert training.attach().stdout.startswith("no training runs\n")
    assert not training.socket.exists()


def test_a_wrong_command_line_is_exit_code_2(trainhost):
    for words in [["a", "b", "c"], ["--run"], ["--timeout", "x", "a"], ["--timeout=-1", "a"], ["--timeout"]]:
        wrong = trainhost.run("attach", *words, check=False)
        assert wrong.returncode == 2 and wrong.stderr.startswith("trainhost attach: ") and wrong.stderr.count("\n") == 1


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


REFUSED = {
    "lr(-1)": "lr: expected a number of 0 or more, got number -1", 'lr("x")': 'lr: expected a number of 0 or more, got string "x"',
    "lr(1/0)": "lr: expected a number of 0 or more, got number inf", "lr(nil)": "lr: expected a number of 0 or more, got nil",
    "stop(3)": "stop: the reason must be a string, got number 3",
    "save(3)": "save: the path must be a string that is not empty, got number 3", "error 'mine'": "attach:1: mine",
    "error(setmetatable({}, {__tostring = function() error 'no' end}))": "attach:1: no",
    "io.read()": "io.read: there is nobody at the console of the training", "x = = 1": "attach:1: unexpected symbol near '='",
}
LEAVES = ["os.exit(1)", "require('host').exit()", "pcall(os.exit)", "coroutine.wrap(function() os.exit(2) end)()"]


def test_what_is_wrong_is_told_to_the_client_and_the_training_goes_on(start):
    training = start()
    told = training.attach(training.child.pid, input="\n".join(REFUSED) + "\n")
    assert told.stderr.splitlines() == list(REFUSED.values())
    shown = training.attach(training.child.pid, input="lr()\nprint('\\xff')\nio.write('a', 1)\nhelp()\nhelp(torch.add)\n").stdout
    assert "\n0.01\n?\na1\nstate " in shown and "lr(value)" in shown and "\ntorch.add\n" in shown
    for code in LEAVES:
        left = training.attach(training.child.pid, input=f"{code}\nprint 'not read'\n")
        assert left.stdout.endswith("\nos.exit leaves the console, the training goes on; stop(reason) ends it\n")
    for word in ("exit", "quit()"):
        assert "not read" not in training.attach(training.child.pid, input=f"{word}\nprint 'not read'\n").stdout
    training.ask("stop()")
    training.end()


ENDLESS = ["while true do end", "while true do pcall(function() while true do end end) end", "require('host').sleep(1000)",
           "coroutine.wrap(function() while true do end end)()", "setmetatable({}, {__tostring = function() while true do end end})"]


def test_a_line_without_an_end_is_given_up(start, trainhost, tmp_path):
    training = start()
    for code in ENDLESS:
        done = training.attach("--timeout", "0.3", training.child.pid, code, check=False)
        assert done.returncode == 1 and done.stderr.startswith("given up after 0.3 s"), code
    client = subprocess.Popen([trainhost.path, "attach", "--timeout", "0", str(training.child.pid), "while true do end"],
                              env={**os.environ, **training.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    (journal,) = (training.folder / ".trainhost/runs").glob("*/journal")
    wait_until(lambda: len(journal.read_text().splitlines()) > 2 * len(ENDLESS))
    client.send_signal(signal.SIGINT)
    out, err = client.communicate(timeout=60)
    assert err == "given up\n" and client.returncode == 1
    assert training.child.poll() is None
    training.ask("stop()")
    weights = training.end()
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line.get("why") for line in lines if "cancelled" in line] == ["time"] * len(ENDLESS) + ["asked"]
    again = trainhost.run(tmp_path / "train.lua", "--set", f"journal={journal}", cwd=tmp_path)
    assert again.stdout.endswith(weights) and again.stderr.count("was given up before its end") == len(ENDLESS) + 1


PASSES = """
local torch, train, host = require "torch", require "train", require "host"
torch.manual_seed(0)
local x = torch.randn(40, 4)
local y = x:sum(1, {keepdim = true})
local model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Linear(8, 1))
local function wait(event)  -- in this event until a client says that it may go on
  return train.on(event, function()
    if host.param("journal", "") == "" then for _ = 1, host.param("naps", 4) do if not go_on then host.sleep(0.01) end end end
  end)
end
local what, journal = host.param("what", "valid"), host.param("journal", "")
local callbacks = {journal ~= "" and train.replay(journal)}
local function inner()
  train.evaluate{model = model, data = {x, y}, loss = "mse", batch_size = 1, callbacks = {wait "evaluate_batch_end"}}
end
local function fit(more)
  callbacks[#callbacks + 1] = more
  return train.fit{model = model, optimizer = "sgd", loss = "mse", train = {x, y}, valid = {x, y}, batch_size = 4,
    validation_batch_size = 1, epochs = 400, quiet = true, callbacks = callbacks}
end
if what == "valid" then fit(wait "valid_batch_end")
elseif what == "inside" then fit(train.on("epoch_end", inner))
elseif what == "evaluate" then for _ = 1, 400 do if not finished then inner() end end
elseif what == "predict" then
  for _ = 1, 400 do
    if not finished then train.predict{model = model, data = x, batch_size = 1, callbacks = {wait "predict_batch_end"}} end
  end
elseif what == "loop" then
  local state = train.state{model = model, callbacks = {}}
  state:emit("train_begin")
  while not state.stopping do
    state:emit("epoch_begin")
    for _ = 1, 10 do state:emit("batch_begin") host.sleep(0.01) state:emit("batch_end") end
    state:emit("epoch_end")
  end
  state:emit("train_end")
end
for name, p in model:named_parameters() do print(name, ("%a %a"):format(p:double():sum():item(), p:double():pow(2):sum():item())) end
"""
CHANGE = "local _ <close> = torch.no_grad() for _, p in ipairs(state.model:parameters()) do p:mul_(0.5) end"


@pytest.mark.parametrize("what", ["valid", "inside"])
def test_validation_and_passes_inside_a_training_are_safe_points_of_it(start, trainhost, tmp_path, what):
    training = start("--set", f"what={what}", script=PASSES)
    for _ in range(3):
        training.ask(CHANGE)
    training.ask("torch.rand(2)")
    training.ask("stop('enough') _G.go_on = true")
    weights = training.end()
    (journal,) = (training.folder / ".trainhost/runs").glob("*/journal")
    actions = [json.loads(line) for line in journal.read_text().splitlines()]
    assert ("valid_batch_end" if what == "valid" else "inner") in [action["event"] for action in actions]
    again = trainhost.run("--quiet", tmp_path / "train.lua", "--set", f"what={what}", "--set", f"journal={journal}", cwd=tmp_path)
    assert again.stdout == weights


@pytest.mark.parametrize("what", ["evaluate", "predict"])
def test_passes_alone_are_attachable(start, what):
    training = start("--set", f"what={what}", "--set", "naps=100", script=PASSES)
    wait_until(lambda: training.attach(training.child.pid, "state.phase", check=False).stdout == f"{what}\n")
    done = training.attach(training.child.pid, "stop()", check=False)
    assert done.stderr == "stop: nothing is trained here, the script goes on after this pass\n"
    wait_until(lambda: training.attach(training.child.pid, "_G.finished = true _G.go_on = true", check=False).returncode == 0)
    training.end()


def test_a_loop_by_hand_is_attachable_as_it_is(start):
    training = start("--set", "what=loop", script=PASSES)
    assert int(training.ask("state.epoch")) >= 0
    assert training.attach(training.child.pid, "lr(1)", check=False).stderr == "lr: the state has no optimizer\n"
    assert training.ask("stop()") == "the training stops after this batch"
    training.end()


def test_several_trainings_are_told_apart_and_have_journals_of_their_own(start, trainhost, tmp_path):
    first, second = start("--set", "log=true"), start("--set", "log=true")
    shown = first.attach().stdout
    assert f"\n1  {first.child.pid} " in shown and f"\n2  {second.child.pid} " in shown
    both = first.attach("watched", "1", check=False)
    assert both.returncode == 1 and both.stdout == shown
    assert both.stderr == "trainhost attach: 'watched' is any of these: give what only one of them has\n"
    for word in ("other", "3", "0"):
        unknown = first.attach(word, "1", check=False)
        assert unknown.returncode == 1 and unknown.stdout == shown and "RUN is the # of the list" in unknown.stderr
    process = "require('host').pid()"
    ids = [line.split()[4] for line in shown.splitlines()[1:]]
    for i, training in enumerate((first, second)):
        for word in (i + 1, training.child.pid, ids[i], ids[i][:8]):
            assert training.attach(word, process).stdout == f"{training.child.pid}\n", word
    for training in (first, second):
        training.ask("stop()")
        training.end()
    script = tmp_path / "two.lua"
    script.write_text(SCRIPT.replace("train.fit{", "for _ = 1, 2 do train.fit{").replace("callbacks = callbacks}", "callbacks = callbacks} end"))
    twice = start("--set", "log=true", script=script.read_text())
    for number in (1, 2):
        def is_written():
            done = twice.attach(twice.child.pid, "stop()", check=False)
            folder = next((path for path in (twice.folder / ".trainhost/runs").glob("*") if (path / "journal").exists()
                           and path.stat().st_mtime >= twice.child_started), None)
            return done.returncode == 0 and folder and len(list(folder.glob("journal*"))) == number and folder
        folder = wait_until(is_written)
    twice.end()
    assert sorted(path.name for path in folder.iterdir()) == ["journal", "journal-2"]


class Client:
    """trainhost attach on a pseudo-terminal."""

    def __init__(self, training, home):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            path = training.trainhost.path
            os.execve(path, [str(path), "attach", str(training.child.pid)],
                      {**os.environ, **training.env, "XDG_STATE_HOME": str(home), "TERM": "xterm", "COLUMNS": "120"})
        self.read("leaves.\r\n> ")

    def read(self, until, seconds=60):
        """What comes up to and with the text `until`."""
        text, end = "", time.monotonic() + seconds
        while not text.endswith(until):
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                pytest.fail(f"no {until!r} but {text!r}")
            text += os.read(self.fd, 4096).decode(errors="replace")
        return text

    def type(self, text, until="\r\n> "):
        os.write(self.fd, text.encode())
        return self.read(until)

    def leave(self, keys):
        os.write(self.fd, keys.encode())
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return code


def journal_lines(training):
    paths = list((training.folder / ".trainhost/runs").glob("*/journal"))
    return paths[0].read_text().splitlines() if paths else []


def test_ctrl_c_in_a_terminal_gives_up_a_line_and_at_the_prompt_what_is_typed(start, tmp_path):
    training = start()
    for keys in ("\x04", "exit\n"):
        client = Client(training, tmp_path / "home")
        before = len(journal_lines(training))
        os.write(client.fd, b"while true do end\n")
        wait_until(lambda: len(journal_lines(training)) > before)
        client.type("\x03", until="given up\r\n> ")
        client.type("20 + \x03", until="^C\r\n> ")
        client.type("for i = 1, 2 do\n", until="\r\n>> ")
        client.type("\x03", until="^C\r\n> ")
        assert client.type("20 + 22\n").endswith("\r\n42\r\n> ")
        assert client.leave(keys) == 0
    codes = [json.loads(line).get("code") for line in journal_lines(training)]
    assert [code for code in codes if code] == ["while true do end", "20 + 22"] * 2
    training.ask("stop()")
    training.end()


def test_tab_completes_the_names_of_the_training(start, tmp_path):
    training = start()
    client = Client(training, tmp_path / "home")
    client.type("kept_number = 7\n")
    before = len(journal_lines(training))
    client.type("kept_n\t", until="umber")
    assert client.type("\n").endswith("\r\n7\r\n> ")
    client.type("state.optimizer.param_g\t", until="roups")
    assert client.type("[1].lr\n").endswith("\r\n0.01\r\n> ")
    client.type("state.model:name\t", until="d_\x07")  # the beginning that several share, and the bell
    assert "named_buffers " in client.type("\t", until="> state.model:named_")
    client.type("\x03", until="^C\r\n> ")
    client.type("sto\t", until="p")
    client.type("\x03", until="^C\r\n> ")
    assert len(journal_lines(training)) == before + 2  # looking for names is no action
    assert client.leave("\x04") == 0
    assert "kept_number = 7" in (tmp_path / "home/trainhost/attach_history").read_text().replace("\\040", " ")
    training.ask("stop()")
    training.end()


def test_names_that_take_their_time_hold_nothing_up(start, tmp_path):
    training = start()
    client = Client(training, tmp_path / "home")
    client.type("slow = setmetatable({}, {__index = function() while true do end end})\n")
    client.type("slow.a\t", until="\x07")  # nothing is found: the bell
    client.type("\x03", until="^C\r\n> ")
    assert client.type("1 + 1\n").endswith("\r\n2\r\n> ")
    assert client.leave("\x04") == 0
    training.ask("stop()")
    training.end()


def test_help_says_where_a_line_is_run(start):
    training = start()
    shown = training.ask("help()")
    assert "run in the process of the training" in shown and "os.execute" in shown
    assert training.ask("help('lr')") == training.ask("help(lr)") == "lr(value)        sets the learning rate of all groups; lr() shows them"
    assert training.ask("help(stop)").startswith("stop(reason) ") and training.ask("help('state')").startswith("state  ")
    assert "torch.add" in training.ask("help('torch.add')")
    assert training.ask("os.execute('echo here > made') return io.open('made'):read()") == "here"
    assert (training.folder / "made").read_text() == "here\n"
    training.ask("stop()")
    training.end()
