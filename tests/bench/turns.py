# What the benchmarks share: programs that run in turns, so that a busy machine is busy for all, and their tables.
import glob
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = pathlib.Path(os.environ["TRAINHOST"])
ROUNDS = int(os.environ.get("ROUNDS", 5))
# One thread for everybody, OpenMP's and the BLAS's.
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
MIMALLOC = next(iter(sorted(glob.glob("/usr/lib/*/libmimalloc.so*") + glob.glob("/usr/lib*/libmimalloc.so*"))), None)
PRELOADED = {**ONE_THREAD, "LD_PRELOAD": MIMALLOC or ""}


class Run:
    """What a finished program used: its output, wall and CPU seconds and peak memory in MB."""

    def __init__(self, command, env):
        began = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], env=env, stdout=subprocess.PIPE, text=True)
        self.output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        self.wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"bench: {' '.join(map(str, command))}: exit code {process.returncode}\n{self.output}")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak = usage.ru_maxrss / 1024


def side_by_side(commands, rounds=ROUNDS):
    """Runs each of {name: (command, env)} once a round, in turns, so that a busy machine is busy for all."""
    runs = {name: [] for name in commands}
    for _ in range(rounds):
        for name, (command, env) in commands.items():
            runs[name].append(Run(command, env))
    return runs


def median(values):
    return statistics.median(list(values))


def spread(values):
    values = sorted(values)
    return f"{values[0]:.4g}-{values[-1]:.4g}"


def table(title, heads, rows):
    print(f"\n{title}\n")
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    sys.stdout.flush()
