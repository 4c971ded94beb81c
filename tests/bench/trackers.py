# `./dev bench tracking`: what logging costs beside MLflow's own client, on sqlite and on a real tracking server.
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from turns import HERE, ONE_THREAD, PROGRAM, Run, median, spread, table

PYTHON = os.environ.get("TRACKING_PYTHON") or sys.executable  # one that has mlflow
ROUNDS = int(os.environ.get("ROUNDS", 3))
METRICS = int(os.environ.get("METRICS", 100_000))
# Metrics of the runs of Python, which takes milliseconds for each: their time is scaled to METRICS.
FEW = int(os.environ.get("FEW", 1000))
PAIRS = int(os.environ.get("PAIRS", 3000))
SIDES = {"trainhost": None, "mlflow, sync": "sync", "mlflow, async": "async"}
ENVIRONMENT = {name: value for name, value in ONE_THREAD.items() if not name.startswith("MLFLOW_")}


class Server:
    """A real `mlflow server` with sqlite, one worker, in a folder of its own."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen([PYTHON, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"], cwd=folder,
                                        env={**ENVIRONMENT, "MLFLOW_DISABLE_TELEMETRY": "true",
                                             "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(self.uri + "/health", timeout=5).read()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.stop()
                    sys.exit("bench: the tracking server did not start")
                time.sleep(0.3)

    def stop(self):
        try:
            os.killpg(self.process.pid, 9)  # with its workers
        except ProcessLookupError:
            pass
        self.process.wait()


class Bench:
    def __init__(self, server):
        self.server = server

    def run(self, side, what, store, count):
        """[(name, values)] that one run of a side has printed, in an empty folder; and the seconds that it lived on."""
        with tempfile.TemporaryDirectory() as folder:
            uri = f"sqlite:///{folder}/mlflow.db" if store == "sqlite" else self.server.uri
            if SIDES[side]:
                command = [PYTHON, HERE / "tracking.py", what, uri, count, SIDES[side]]
            else:
                command = [PROGRAM, HERE / "tracking.lua", "--", what, uri, count]
            before = os.getcwd()
            os.chdir(folder)
            try:
                output = Run(command, ENVIRONMENT).output
                over = time.time()
            finally:
                os.chdir(before)
        lines = [line.split("\t") for line in output.splitlines() if "\t" in line]  # MLflow prints more
        return [(name, [float(value) for value in values]) for name, *values in lines], over

    def values(self, side, what, store, count, name):
        return [values[0] for told, values in self.run(side, what, store, count)[0] if told == name]

    def in_turns(self, what, store, counts, read):
        """{side: [read(values of a run)]}, one run of each side after the other; counts: {side: how many metrics}."""
        found = {side: [] for side in counts}
        for _ in range(ROUNDS):
            for side, count in counts.items():
                found[side].append(read(*self.run(side, what, store, count)))
        return found


def of(name):
    return lambda lines, over: [values[0] for told, values in lines if told == name]


def centile(values, percent):
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def figure(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratios(ours, theirs):
    return ", ".join(figure(value / ours) + " x" for value in theirs)


def calls(bench):
    rows = []
    for store in ("sqlite", "server"):
        counts = {"trainhost": 20_000, "mlflow, sync": FEW, "mlflow, async": FEW}
        found = bench.in_turns("call", store, counts, of("call"))
        for label, percent in (("median", 50), ("p99", 99)):
            cells = [median(centile(took, percent) for took in found[side]) for side in SIDES]
            bar = "; p99 <= 20" if percent == 99 else ""
            rows.append([f"log_metric, {store}, {label}", *map(figure, cells), ratios(cells[0], cells[1:]) + bar])
    between = [bench.values("trainhost", "between", "sqlite", PAIRS, "between") for _ in range(ROUNDS)]
    for label, percent in (("median", 50), ("p99", 99)):
        rows.append([f"the same between training steps, {label}", figure(median(centile(took, percent) for took in between)), "",
                     "", ""])
    # What is on the disk when the call returns: MLflow's own store commits each point with an fsync.
    durable = {"trainhost": [bench.values("trainhost", "durable", "sqlite", 200, "durable") for _ in range(ROUNDS)],
               "mlflow, sync": [bench.values("mlflow, sync", "call", "sqlite", 200, "call") for _ in range(ROUNDS)]}
    for label, percent in (("median", 50), ("p99", 99)):
        cells = [median(centile(took, percent) for took in durable[side]) for side in durable]
        rows.append([f"log_metric and flush: durable, sqlite, {label}", *map(figure, cells), "", ratios(cells[0], cells[1:])])
    table(f"log_metric, us of wall time a call, median of {ROUNDS} runs in turns.",
          ["", *SIDES, "mlflow against trainhost"], rows)


def deliveries(bench):
    rows = []
    for store in ("sqlite", "server"):
        counts = {"trainhost": METRICS, "mlflow, sync": FEW, "mlflow, async": FEW}
        found = bench.in_turns("deliver", store, counts, lambda lines, over: dict((name, v[0]) for name, v in lines))
        for name, label in (("logged", "until the last call returns"), ("delivered", "until all is delivered and durable")):
            cells = [median(run[name] for run in found[side]) / 1e6 * METRICS / counts[side] for side in SIDES]
            rows.append([f"{store}, {label}", *map(figure, cells), ratios(cells[0], cells[1:])])
    table(f"{METRICS:,} metrics, seconds of wall time, median of {ROUNDS} runs in turns; MLflow's from {FEW:,}, scaled.",
          ["", *SIDES, "mlflow against trainhost"], rows)


def starts(bench):
    rows = []
    for store in ("sqlite", "server"):
        counts = {"trainhost": 0, "mlflow, sync": 0}
        found = bench.in_turns("start", store, counts, lambda lines, over: lines[0][1][0] / 1e3)
        cells = [median(found[side]) for side in counts]
        rows.append([f"start_run, {store}", *(f"{figure(median(found[side]))} ({spread(found[side])})" for side in counts), "",
                     ratios(cells[0], cells[1:])])
    for store in ("sqlite", "server"):
        counts = {side: FEW for side in SIDES}
        found = bench.in_turns("exit", store, counts, lambda lines, over: (over - lines[-1][1][0]) * 1e3)
        cells = [median(found[side]) for side in SIDES]
        rows.append([f"exit after {FEW:,} metrics, {store}",
                     *(f"{figure(median(found[side]))} ({spread(found[side])})" for side in SIDES), ratios(cells[0], cells[1:])])
    table(f"The first start_run in an empty folder, and from the last line of a script to the end of its process: ms of wall "
          f"time, median (least-most) of {ROUNDS} runs in turns.", ["", *SIDES, "mlflow against trainhost"], rows)


def steps(bench):
    rows = []
    for store in ("sqlite", "server"):
        figures = {}
        for name, values in bench.run("trainhost", "step", store, PAIRS)[0]:
            figures.setdefault(name, []).append(values)
        for label, without, logged, bar in (("two metrics a step", "without", "with", " <= 1.01"),
                                            ("control: without against without", "control a", "control b", "")):
            for at, clock in ((0, "CPU time of all threads"), (1, "wall time")):
                one, other = ([values[at] for values in figures[name]] for name in (without, logged))
                low, high = (statistics.quantiles(values, n=4)[0] for values in (one, other))
                rows.append([f"{store}, {label}, {clock}", f"{median(one):.1f} ({low:.1f})", f"{median(other):.1f} ({high:.1f})",
                             f"{median(other) / median(one):.4f} ({high / low:.4f}){bar}"])
    table(f"A training step (MLP, batch 64), us, one thread: the median (lower quartile) of {PAIRS:,} steps of each, in turns.",
          ["", "without", "with logging", "ratio against the bar"], rows)


PARTS = {"calls": calls, "deliveries": deliveries, "starts": starts, "steps": steps}


def bench_tracking(parts):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Server(pathlib.Path(folder))
        try:
            for part in parts or PARTS:
                if part not in PARTS:
                    sys.exit(f"bench: tracking has no part '{part}': {', '.join(PARTS)}")
                PARTS[part](Bench(server))
        finally:
            server.stop()
