# Runs many cases on both sides, a few operators at a time in two processes, and says what differs.
import collections
import concurrent.futures
import contextlib
import dataclasses
import io
import multiprocessing
import os
import pathlib
import subprocess
import tempfile
import warnings

import case
import torch
from differences import compare
from exchange import Exchange
from messages import compare_error
from trace import Untranslatable, leaves

BATCH = 1500  # cases of one trainhost process
NAMES = 12  # that a process takes at a time
BYTES = 48 << 20  # of inputs and results of one


@dataclasses.dataclass(repr=False)
class Outcome:
    name: str
    operator: str
    aspect: str
    calls: list  # public names that the case went through
    wrong: str | None  # None: equal
    lua: str = ""  # the call, of a wrong one


@dataclasses.dataclass(repr=False)
class Report:
    outcomes: list = dataclasses.field(default_factory=list)
    untranslatable: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    dropped: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # (reason, operator)
    taken: int = 0
    there: int = 0

    def add(self, other):
        self.outcomes += other.outcomes
        self.untranslatable += other.untranslatable
        self.dropped += other.dropped
        self.taken += other.taken
        self.there += other.there


class Batch:
    def __init__(self, trainhost, report, prepare):
        self.trainhost, self.report, self.prepare = trainhost, report, prepare
        self.start()

    def start(self):
        self.folder = tempfile.TemporaryDirectory()
        self.exchange = Exchange(self.folder.name)
        self.pending, self.bytes = [], 0

    def add(self, wanted):
        start = len(self.exchange.bytes)
        try:
            entry = self.prepare(wanted, self.exchange)
        except (Untranslatable, case.Dropped) as reason:
            del self.exchange.bytes[start:]
            if isinstance(reason, Untranslatable):
                self.report.untranslatable[f"{wanted.operator}: {reason}"] += 1
            else:
                self.report.dropped[str(reason), wanted.operator] += 1
            return
        self.pending.append((wanted, *entry))
        self.bytes += sum(x.numel() * x.element_size() for x in entry[1] if isinstance(x, torch.Tensor)) if entry[1] else 0
        if len(self.pending) >= BATCH or self.bytes + len(self.exchange.bytes) > BYTES:
            self.finish()

    def finish(self):
        if self.pending:
            got = self.exchange.run(self.trainhost, timeout=600)
            for wanted, trace, results, body in self.pending:
                result = got[wanted.name]
                if trace.error is not None:
                    wrong = compare_error(trace.error, result)
                elif result.error is not None:
                    wrong = f"error: {result.error}"
                else:
                    wrong = compare(wanted.operator, results, leaves(result.values))
                self.report.outcomes.append(Outcome(wanted.name, wanted.operator, wanted.aspect, trace.names(), wrong,
                                                    body if wrong else ""))
        self.folder.cleanup()
        self.start()


def start_process(folder):
    """Notes in a file what the process is at; PyTorch's warnings, from Python and from C++, are not shown."""
    global at
    at = open(folder / str(os.getpid()), "w", buffering=1)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def work(names, source, sizes, seed, trainhost_path, prepare):
    """What one process does: the cases of some names."""
    report = Report()
    batch = Batch(Program(trainhost_path), report, prepare)
    totals = [0, 0]
    with contextlib.redirect_stdout(io.StringIO()):
        for name in names:
            print(name, file=at)
            for wanted in source(name, sizes[name], seed, totals):
                print(wanted.name, file=at)
                batch.add(wanted)
        batch.finish()
    report.taken, report.there = totals
    return report


class Program:
    """The trainhost program in a process of the pool."""

    def __init__(self, path):
        self.path = path

    def run(self, script, timeout, check):
        return subprocess.run([self.path, str(script)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=timeout)


def run(trainhost, names, source, sizes, seed, processes=2, prepare=case.prepare):
    """Runs the cases that source(name, sizes[name], seed, totals) gives for each name; prepare(wanted, exchange) makes
    Python's results and the Lua code of each."""
    count = max(1, len(names) // NAMES)
    chunks = [names[i::count] for i in range(count)]
    report = Report()
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ProcessPoolExecutor(
            processes, context, start_process, (pathlib.Path(folder),)) as pool:
        futures = [pool.submit(work, chunk, source, sizes, seed, str(trainhost.path), prepare) for chunk in chunks]
        try:
            for future in concurrent.futures.as_completed(futures):
                report.add(future.result())
        except concurrent.futures.process.BrokenProcessPool:
            last = [file.read_text().splitlines()[-1:] for file in pathlib.Path(folder).iterdir()]
            raise RuntimeError(f"Python itself died at one of {last}") from None
    report.outcomes.sort(key=lambda outcome: outcome.name)
    return report
