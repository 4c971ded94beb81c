# Wild calls in processes of their own: `python tests/fuzz/fuzz.py operators|exports [--budget s] [--seed n]
# [--tries n] [NAME ...]` prints `k of n` and every call that ended its process, ready to be run again.
import argparse
import dataclasses
import os
import pathlib
import random
import resource
import signal
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = os.environ.get("TRAINHOST", str(HERE.parent.parent / "build/release/trainhost"))
MEMORY = 8 << 30  # an operator that asks for more gets PyTorch's error
PATIENCE = 10     # seconds for one call
CHUNK = 40        # names a process


@dataclasses.dataclass
class Report:
    names: int = 0        # all there are
    tried: int = 0
    calls: int = 0
    returned: int = 0     # calls without an error
    crashes: dict = dataclasses.field(default_factory=dict)  # name -> (signal, call)
    slow: dict = dataclasses.field(default_factory=dict)     # name -> call
    odd: list = dataclasses.field(default_factory=list)      # errors without a text

    def text(self, what):
        lines = [f"{self.tried} of {self.names} {what}, {self.calls} calls, {self.returned} without an error: "
                 f"{len(self.crashes)} crashed, {len(self.slow)} took more than {PATIENCE} s"]
        lines += [f"  {end}: {call}" for end, call in self.crashes.values()]
        lines += [f"  slow: {call}" for call in self.slow.values()]
        lines += [f"  error without a text: {call}" for call in self.odd]
        return "\n".join(lines)


def limits():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def names_of(what, folder):
    done = subprocess.run([PROGRAM, HERE / "names.lua", "--", what], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def run_chunk(what, names, tries, seed, folder, report):
    """Runs the names in one process after the other, each going on behind what ended the one before."""
    log = folder / "call.txt"
    while names:
        log.write_text("")
        child = subprocess.Popen([PROGRAM, HERE / "calls.lua", "--", what, log, str(tries), str(seed), *names],
                                 cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, text=True, errors="replace", preexec_fn=limits)
        slow = not wait(child, log)
        output = child.stdout.read()
        child.stdout.close()
        report.odd += [line[6:] for line in output.split("\n") if line.startswith("EMPTY ")]
        if child.returncode == 0 and "\nDONE " in "\n" + output:
            completed, returned, _ = map(int, output.rsplit("DONE ", 1)[1].split())
            report.calls += completed
            report.returned += returned
            return
        head, _, call = log.read_text(errors="replace").partition("\n")
        call = call.split("\n")[0]
        assert head, f"the process ended before its first call: {child.returncode} {output[-500:]}"
        index, at_try = map(int, head.split())
        index -= 5
        report.calls += index * tries + at_try
        if slow:
            report.slow[names[index]] = call
        else:
            end = signal.Signals(-child.returncode).name if child.returncode < 0 else f"exit code {child.returncode}"
            report.crashes[names[index]] = end, f"torch.manual_seed({at_try}) {call}"
        names = names[index + 1:]


def wait(child, log):
    """Waits for the end of the process; kills it and returns False if one call takes too long."""
    last, since = None, time.monotonic()
    while child.poll() is None:
        time.sleep(0.05)
        with open(log, errors="replace") as file:
            now = file.read(4096)
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            child.kill()
            child.wait()
            return False
    return True


def fuzz(what, budget, seed, tries, only=()):
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        names = names_of(what, folder)
        report.names = len(names)
        if only:
            names = [name for name in names if name in only]
        random.Random(seed).shuffle(names)
        ends = time.monotonic() + budget
        for start in range(0, len(names), CHUNK):
            if time.monotonic() > ends:
                break
            chunk = names[start:start + CHUNK]
            run_chunk(what, chunk, tries, seed, folder, report)
            report.tried += len(chunk)
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["operators", "exports"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--budget", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tries", type=int, default=40)
    options = parser.parse_args()
    result = fuzz(options.what, options.budget, options.seed, options.tries, options.names)
    print(result.text(options.what))
    raise SystemExit(bool(result.crashes))
