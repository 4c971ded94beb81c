# The console, on a terminal of its own and from a pipe.
import os
import pty
import select
import time

import pytest


class Console:
    """trainhost on a pseudo-terminal."""

    def __init__(self, path, home):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(XDG_STATE_HOME=str(home), TERM="xterm", COLUMNS="120")
            os.execv(path, [str(path), "-q"])
        self.read("> ")

    def read(self, until, seconds=20):
        """What comes up to and with the text `until`."""
        text, end = "", time.monotonic() + seconds
        while not text.endswith(until):
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                pytest.fail(f"no {until!r} but {text!r}")
            try:
                text += os.read(self.fd, 4096).decode(errors="replace")
            except OSError:  # the other side is closed
                pytest.fail(f"ended without {until!r}: {text!r}")
        return text

    def type(self, text, until="\r\n> "):
        os.write(self.fd, text.encode())
        return self.read(until)

    def leave(self, keys="\x04"):
        os.write(self.fd, keys.encode())
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def console(trainhost, tmp_path):
    return Console(trainhost.path, tmp_path)


def test_shows_values_and_keeps_the_last_one(console):
    assert console.type("1 + 1\n") == "1 + 1\r\n2\r\n> "
    assert console.type("_ * 10\n").endswith("\r\n20\r\n> ")
    assert '\r\n{1, 2, x = "a"}\r\n' in console.type("t = {1, 2, x = 'a'} return t\n")
    assert "\r\ntensor([1., 1.])\r\n" in console.type("require('torch').ones(2)\n")
    assert console.type("nil, 1\n").endswith("\r\nnil\t1\r\n> ")
    assert console.leave() == 0


def test_goes_on_with_an_incomplete_chunk(console):
    console.type("for i = 1, 2 do\n", until="\r\n>> ")
    console.type("print(i * 10)\n", until="\r\n>> ")
    assert console.type("end\n").endswith("\r\n10\r\n20\r\n> ")
    assert console.leave() == 0


def test_ctrl_c_clears_the_line_and_the_chunk(console):
    console.type("x = {", until="{")
    assert console.type("\x03").endswith("^C\r\n> ")
    console.type("while true do\n", until=">> ")
    console.type("\x03")
    assert console.type("x\n").endswith("\r\nnil\r\n> ")
    assert console.leave() == 0


def test_ctrl_c_stops_the_running_chunk_again_and_again(console):
    for _ in range(4):
        os.write(console.fd, b"while true do end\n")
        time.sleep(0.2)
        assert "stdin:1: interrupted\r\n" in console.type("\x03")
    assert console.leave() == 0


def test_completes_names(console):
    console.type("string.for", until="string.for")
    console.type("\t", until="mat")
    console.type("\x03")
    console.type("torch = require 'torch'\n")
    console.type("x = torch.ones(2)\n")
    console.type("x:relu", until="x:relu")
    assert "relu_" in console.type("\t", until="x:relu")
    console.type("\x03")
    console.type("torch.matm", until="torch.matm")
    console.type("\t", until="ul")
    console.type("\x03")
    console.type("torch.nn.Line", until="torch.nn.Line")  # in a file that is not loaded yet
    console.type("\t", until="ar\a")  # Linear, LinearCrossEntropyLoss
    console.type("\x03")
    assert console.leave() == 0


def test_errors_are_a_line_and_its_frames(console):
    assert console.type("error('bad')\n").endswith("\r\nstdin:1: bad\r\n> ")
    assert "stdin:1: unexpected symbol" in console.type("x = = 1\n")
    assert console.leave("os.exit(3)\n") == 3


def test_the_history_survives(trainhost, tmp_path):
    first = Console(trainhost.path, tmp_path)
    first.type("remembered = 41\n")
    first.leave()
    second = Console(trainhost.path, tmp_path)
    assert "remembered = 41" in second.type("\x1b[A", until="41")
    assert "\r\n" in second.type("\n")
    assert second.leave() == 0


def test_from_a_pipe_there_is_no_prompt_and_a_failure_is_exit_code_1(trainhost):
    done = trainhost.run("-i", input="1 + 1\nfor i = 1, 1 do\nprint('in')\nend\n")
    assert done.stdout == "2\nin\n"
    done = trainhost.run("-i", input="error('x')\n'still here'\n", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "still here\n", "stdin:1: x\n")
    done = trainhost.run("-i", input="x = {\n", check=False)
    assert done.returncode == 1 and "<eof>" in done.stderr


def test_opens_after_a_script(trainhost, tmp_path):
    (tmp_path / "a.lua").write_text("answer = 42")
    assert trainhost.run("-i", tmp_path / "a.lua", input="answer\n").stdout == "42\n"


def test_the_modules_are_there_and_loaded_when_they_are_used(console):
    assert "\r\nfalse\r\n" in console.type("package.loaded['torch.func'] ~= nil\n")
    assert "\r\ntensor([1., 1.])\r\n" in console.type("torch.ones(2)\n")
    assert "\r\nLinear(in_features=2, out_features=1, bias=True)\r\n" in console.type("nn.Linear(2, 1)\n")
    assert "The sum so far along a dimension." in console.type("help(torch.cumsum)\n")
    assert "\r\ntrue\r\n" in console.type("undefined_name == nil\n")
    console.type("torch.cums\t", until="um\a")  # cumsum, cumsum_
