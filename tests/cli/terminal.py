# What a command writes to a terminal.
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time


def on_terminal(trainhost, folder, words, columns, rows, env):
    """The lines of a command on a terminal of that size."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ.update({"TERM": "xterm", **env})
        select.select([0], [], [])  # until the size is set
        os.read(0, 1)
        os.execv(trainhost.path, [str(trainhost.path), *words])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.write(fd, b"\n")
    data, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        if not select.select([fd], [], [], 1)[0]:
            continue
        try:
            block = os.read(fd, 65536)
        except OSError:
            break
        if not block:
            break
        data += block
    else:
        os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, data
    os.close(fd)
    return data.decode().replace("\r\n", "\n").lstrip("\n").splitlines()
