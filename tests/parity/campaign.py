# Runs many cases on both sides, a few operators at a time in two processes, and says what differs.
import collections
import concurrent.futures
import contextlib
import dataclasses
import io
import multiprocessing
import os
import pathlib
import tempfile
import warnings

import opinfo
import tolerances
import torch
from differences import compare, compare_error
from exchange import Exchange
from trace import Trace, Untranslatable, leaves

BATCH = 1500  # cases of one trainhost process
BYTES = 48 << 20  # of inputs and results of one


@dataclasses.dataclass
class Outcome:
    name: str
    operator: str
    aspect: str
    calls: list  # public names that the case went through
    wrong: str | None  # None: equal
    lua: str = ""  # the call, of a wrong one


@dataclasses.dataclass
class Report:
    outcomes: list = dataclasses.field(default_factory=list)
    untranslatable: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    taken: int = 0
    there: int = 0

    def add(self, other):
        self.outcomes += other.outcomes
        self.untranslatable += other.untranslatable
        self.taken += other.taken
        self.there += other.there


class Batch:
    def __init__(self, trainhost, report):
        self.trainhost, self.report = trainhost, report
        self.start()

    def start(self):
        self.folder = tempfile.TemporaryDirectory()
        self.exchange = Exchange(self.folder.name)
        self.pending, self.bytes = [], 0

    def add(self, wanted):
        try:
            entry = prepare(wanted, self.exchange)
        except Untranslatable as reason:
            self.report.untranslatable[f"{wanted.operator}: {reason}"] += 1
            return
        if entry is None:
            return
        self.pending.append((wanted, *entry))
        self.bytes += sum(x.numel() * x.element_size() for x in entry[1] if isinstance(x, torch.Tensor)) if entry[1] else 0
        if len(self.pending) >= BATCH or self.bytes + len(self.exchange.bytes) > BYTES:
            self.finish()

    def finish(self):
        if self.pending:
            got = self.exchange.run(self.trainhost)
            for wanted, trace, results, body in self.pending:
                result = got[wanted.name]
                if trace.error is not None:
                    wrong = compare_error(trace.error, result)
                elif result.error is not None:
                    wrong = f"error: {result.error}"
                else:
                    try: wrong = compare(wanted.operator, results, leaves(result.values))
                    except Exception as e: wrong = f"TESTER {e!r}"
                self.report.outcomes.append(Outcome(wanted.name, wanted.operator, wanted.aspect, trace.names(), wrong,
                                                    body if wrong else ""))
        self.folder.cleanup()
        self.start()


def prepare(wanted, exchange):
    """(trace, expected results, Lua code), or None where Python itself does not do it."""
    start = len(exchange.bytes)
    try:
        return attempt(wanted, exchange)
    except Untranslatable:
        del exchange.bytes[start:]
        raise


def attempt(wanted, exchange):
    trace = Trace(exchange)
    torch.default_generator.manual_seed(opinfo_seed(wanted.name))
    function, kwargs = wanted.function, wanted.kwargs
    args = tuple(trace.copy(value) for value in wanted.args)
    kwargs = {name: trace.copy(value) for name, value in kwargs.items()}
    if isinstance(function, opinfo.Out):
        for x in trace.inputs:
            x.requires_grad_(False)
        trace.inputs.clear(), trace.declared.clear()
        function = function.function
        try:
            plain = function(*args, **kwargs)
        except Exception:
            return None
        out = [torch.zeros_like(x) for x in leaves(plain) if isinstance(x, torch.Tensor) and x.layout == torch.strided]
        if len(out) != len(leaves(plain)):
            return None
        out = [trace.declare(x) for x in out]
        kwargs["out"] = out[0] if isinstance(plain, torch.Tensor) else tuple(out)
    trace.run(function, args, kwargs)
    if trace.error is not None:
        if wanted.aspect != "error":
            return None
        code = trace.lua_error()
        exchange.case(wanted.name, code)
        return trace, None, code
    if wanted.aspect == "error":
        return None
    results = trace.results()
    gradients, order = gradients_of(results, trace.inputs, wanted.order)
    body = trace.lua_body(order)
    exchange.case(wanted.name, body)
    return trace, results + gradients, body


def opinfo_seed(name):
    return hash_of(name)


def hash_of(text):
    return int.from_bytes(text.encode()[-6:], "little") & 0x7fffffff


def ramp(tensor):
    return torch.linspace(0.5, 1.5, tensor.numel(), dtype=tensor.dtype).reshape(tensor.shape)


def gradients_of(results, inputs, order):
    """The gradients up to `order`, and up to which order Python could make them."""
    if not inputs or any(isinstance(x, torch.Tensor) and x.layout != torch.strided for x in results + inputs):
        return [], 0
    found, current = [], results
    for level in range(order):
        outputs = [torch.view_as_real(x.resolve_conj()) if x.is_complex() else x for x in current
                   if isinstance(x, torch.Tensor) and x.requires_grad]
        if not outputs:
            break
        try:
            current = list(torch.autograd.grad(outputs, inputs, [ramp(x) for x in outputs], allow_unused=True,
                                               create_graph=order == 2))
        except RuntimeError:  # no formula, or none for this dtype
            return gradients_of(results, inputs, 1) if level == 1 else ([], 0)
        found += current
    return found, order


def work(names, whole, seed, trainhost_path):
    """What one process does: the cases of some entries."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    report = Report()
    batch = Batch(Program(trainhost_path), report)
    size = opinfo.WHOLE if whole else opinfo.SAMPLE
    by_name = {op.full_name: op for op in opinfo.entries()}
    totals = [0, 0]
    with contextlib.redirect_stdout(io.StringIO()):
        for name in names:
            for wanted in opinfo.cases_of(by_name[name], size, seed, totals):
                batch.add(wanted)
        batch.finish()
    report.taken, report.there = totals
    return report


class Program:
    """The trainhost program, without pytest's fixture."""

    def __init__(self, path):
        self.path = path

    def run(self, script, timeout, check):
        import subprocess

        return subprocess.run([self.path, str(script)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=timeout)


def run(trainhost_path, whole, seed, only=None, processes=2):
    names = [op.full_name for op in opinfo.entries() if only is None or op.name in only or op.full_name in only]
    chunks = [names[i::max(1, len(names) // 12)] for i in range(max(1, len(names) // 12))] if names else []
    report = Report()
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = {pool.submit(work, chunk, whole, seed, str(trainhost_path)): chunk for chunk in chunks}
        for future in concurrent.futures.as_completed(futures):
            report.add(future.result())
    report.outcomes.sort(key=lambda outcome: outcome.name)
    return report
