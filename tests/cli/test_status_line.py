# The progress bar on a terminal, and what a script and its messages write beside it.
import os
import pty
import re
import select
import signal
import time

SCRIPT = """
local host, train = require "host", require "train"
local early = print
train.fit {train = {{1}, {2}, {3}}, epochs = 2, attach = false, step = function(state)
  host.sleep(0.06)  -- the bar is drawn after each batch
  return 0.5
end, callbacks = {train.on("batch_end", {group = "checkpoint"}, function(state)
  %s
end)}}
"""


def screen(data):
    """The lines that a terminal shows."""
    lines, column = [""], 0
    for part in re.findall(r"\x1b\[2K|\r|\n|[^\r\n\x1b]+|\x1b[^a-zA-Z]*[a-zA-Z]", data):
        if part == "\r":
            column = 0
        elif part == "\n":
            lines.append("")
        elif part == "\x1b[2K":
            lines[-1] = ""
        elif part[0] != "\x1b":
            line = lines[-1].ljust(column)
            lines[-1] = line[:column] + part + line[column + len(part):]
            column += len(part)
    return lines


def run(trainhost, tmp_path, body):
    return show(trainhost, tmp_path, SCRIPT % body)


def show(trainhost, tmp_path, code):
    """What the terminal shows after a script, at whose bar it was."""
    script = tmp_path / "train.lua"
    script.write_text(code)
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(trainhost.path, [str(trainhost.path), str(script)])
    data, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        try:
            block = os.read(fd, 65536) if select.select([fd], [], [], 1)[0] else None
        except OSError:  # the other side is closed
            break
        data += block or b""
    else:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(fd)
    data = data.decode()
    assert data.count("[") > data.count("\x1b["), "a bar was drawn"
    return screen(data.replace("\r\n", "\n\r"))


def whole(lines, text):
    """How often a line is this text alone; it is part of no other."""
    assert not [line for line in lines if text in line and line != text], lines
    return lines.count(text)


def test_what_a_callback_prints_stands_on_lines_of_its_own(trainhost, tmp_path):
    lines = run(trainhost, tmp_path, """
      if state.step % 3 == 0 then print("printed") end
      if state.step % 3 == 1 then early("said early") io.write("written\\n") io.stdout:write("to stdout\\n") end
      if state.step % 3 == 2 then io.stderr:write("to stderr\\n") host.log.warn("careful") end""")
    for text in ("printed", "said early", "written", "to stdout", "to stderr", "warning: careful"):
        assert whole(lines, text) == 2, lines
    assert len([line for line in lines if line.startswith("epoch ")]) == 2  # no bar is left


def test_what_is_written_without_an_end_of_line_is_not_drawn_over(trainhost, tmp_path):
    lines = run(trainhost, tmp_path, "io.write('half ', state.step)")
    for step in range(6):
        assert whole(lines, f"half {step}") == 1, lines


def test_an_error_stands_below_the_bar(trainhost, tmp_path):
    lines = run(trainhost, tmp_path, "if state.step == 4 then error('broken') end")
    told = [line for line in lines if "broken" in line]
    assert len(told) == 1 and re.match(r"\S*train.lua:8: callback on batch_end, on_batch_end: broken$", told[0]), lines


def test_of_a_loop_by_hand_too(trainhost, tmp_path):
    code = """
local host, train = require "host", require "train"
local state = train.state {epochs = 1, attach = false, batch_count = 3, callbacks = {train.Progress {summary = false}}}
for _, event in ipairs {"train_begin", "epoch_begin", "batch_begin"} do state:emit(event) end
host.sleep(0.06)
state:emit "batch_end"
%s
error "broken" """
    for statement in ("", "host.log.warn 'careful'"):
        lines = show(trainhost, tmp_path, code % statement)
        assert [line for line in lines if re.match(r"\S*train.lua:8: broken$", line)], lines
