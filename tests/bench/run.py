# `./dev bench`: runs trainhost, hand-written C++ and Python side by side and prints a Markdown table of medians.
import json
import os
import pathlib
import platform
import statistics
import sys

from trackers import bench_tracking
from turns import HERE, MIMALLOC, ONE_THREAD, PRELOADED, PROGRAM, ROUNDS, Run, median, side_by_side, spread, table

BUILD = PROGRAM.parent / "tests"


def bench_speed(wanted):
    commands = {"trainhost": ([PROGRAM, HERE / "mlp.lua"], ONE_THREAD)}
    if (BUILD / "bench_mlp_mimalloc").exists():
        commands["C++"] = ([BUILD / "bench_mlp_mimalloc"], ONE_THREAD)
    commands["C++, glibc's malloc"] = ([BUILD / "bench_mlp_malloc"], ONE_THREAD)
    commands["Python"] = ([sys.executable, HERE / "mlp.py"], ONE_THREAD)
    commands["Python, fused"] = ([sys.executable, HERE / "mlp.py", "fused"], ONE_THREAD)
    if MIMALLOC:
        commands["Python, fused, mimalloc"] = ([sys.executable, HERE / "mlp.py", "fused"], PRELOADED)
    figures = {}
    for name, runs in side_by_side(commands).items():
        for run in runs:
            for line in run.output.splitlines():
                what, value = line.split()
                figures.setdefault((what, name), []).append(float(value))
    yardstick = "C++" if "C++" in commands else "C++, glibc's malloc"
    rows = []
    for what, label, scale in (("call", "operator call, 4 elements, ns", "{:.0f}"),
                               ("mlp16", "MLP step, batch 16, us", "{:.0f}"),
                               ("mlp64", "MLP step, batch 64, us", "{:.0f}"),
                               ("mlp256", "MLP step, batch 256, us", "{:.0f}")):
        if what not in wanted:
            continue
        ours = median(figures[what, "trainhost"])
        ratio = lambda name: f"{ours / median(figures[what, name]):.2f}"  # noqa: E731
        cells = [f"{scale.format(median(figures[what, name]))} ({spread(figures[what, name])})" for name in commands]
        bar = {"call": f"{ratio('Python')} of Python < 1",
               "mlp64": f"{ratio(yardstick)} of C++ <= 1.10"}.get(what, f"{ratio(yardstick)} of C++")
        rows.append([label, *cells, bar])
    table(f"CPU time, one thread, median (least-most) of {ROUNDS} runs in turns. C++ is linked with mimalloc, as the "
          "program is.", ["", *commands, "trainhost against the bar"], rows)


def quartiles(values):
    return statistics.quantiles(list(values), n=4)


def bench_fit():
    figures = {}
    for line in Run([PROGRAM, HERE / "fit.lua"], ONE_THREAD).output.splitlines():
        what, *values = line.split("\t")
        figures.setdefault(what, []).append([float(value) for value in values])
    rows = []
    for what, label, bar in (("control", "control: by hand beside by hand", ""), ("step", "MLP step, batch 64", " <= 1.02"),
                             ("watched", "with Accuracy and a progress bar", "")):
        raw, fit = (quartiles(values) for values in zip(*figures[what]))
        rows.append([label, f"{raw[0]:.1f} ({raw[1]:.1f})", f"{fit[0]:.1f} ({fit[1]:.1f})", f"{fit[0] / raw[0]:.3f}{bar}"])
    for what, label in (("instructions", "instructions of Lua"), ("calls", "calls")):
        (raw, fit), = figures[what]
        rows.append([label, f"{raw:.0f}", f"{fit:.0f}", f"{fit - raw:+.0f}"])
    table(f"train.fit beside the same loop by hand, us of CPU time a step, one thread: the lower quartile (median) of "
          f"{len(figures['step'])} steps of each in turns; others on the machine only add.",
          ["", "by hand", "train.fit", "against the bar"], rows)
    none, one = zip(*figures["hook"])
    table("An event, us.", ["", "no hook", "an empty hook", "the hook against the bar"],
          [["state:emit", f"{median(none):.3f}", f"{median(one):.3f}",
            f"{median(b - a for a, b in figures['hook']):.3f} < 0.2"]])


def bench_operators():
    runs = side_by_side({
        "trainhost": ([PROGRAM, HERE / "operators.lua"], ONE_THREAD),
        "Python": ([sys.executable, HERE / "operators.py"], ONE_THREAD),
    })
    figures = {name: [dict(line.split("\t") for line in run.output.splitlines()) for run in runs[name]] for name in runs}
    rows = []
    for line in (HERE / "operators.txt").read_text().splitlines():
        name, code, _ = (part.strip() for part in line.split("|"))
        ours, theirs = ([float(figure[name]) for figure in figures[side]] for side in ("trainhost", "Python"))
        rows.append([name, f"`{code}`", f"{median(ours):.0f} ({spread(ours)})", f"{median(theirs):.0f} ({spread(theirs)})",
                     f"{median(ours) / median(theirs):.2f} < 1"])
    table(f"CPU time of a call on tensors of 4 x 4, ns, one thread, median (least-most) of {ROUNDS} runs in turns.",
          ["", "", "trainhost", "Python", "trainhost against the bar"], rows)


def bench_optimizers():
    runs = side_by_side({
        "trainhost": ([PROGRAM, HERE / "optimizers.lua"], ONE_THREAD),
        "Python": ([sys.executable, HERE / "optimizers.py"], ONE_THREAD),
    }, rounds=min(ROUNDS, 3))
    figures = {}
    for side in runs:
        for run in runs[side]:
            for line in run.output.splitlines():
                name, count, variant, value = line.split("\t")
                figures.setdefault((side, name, count, variant), []).append(float(value))
    rows = []
    for _, name, count, _ in (key for key in figures if key[0] == "trainhost"):
        ours = median(figures["trainhost", name, count, "default"])
        theirs = [figures.get(("Python", name, count, variant)) for variant in ("default", "foreach", "fused")]
        best = min(median(values) for values in theirs if values)
        rows.append([name, count, f"{ours:.0f}", *(f"{median(values):.0f}" if values else "" for values in theirs),
                     f"{ours / best:.2f} < 1"])
    table("CPU time of an optimizer's step over parameters of 16 x 16 with gradients, us, one thread, median of "
          f"{min(ROUNDS, 3)} runs in turns.",
          ["", "parameters", "trainhost", "Python", "foreach", "fused", "against the best of Python"], rows)


def bench_start():
    runs = side_by_side({
        "trainhost": ([PROGRAM, "-e", "local torch = require 'torch'; local x = torch.ones(4) + 1"], ONE_THREAD),
        "Python": ([sys.executable, "-c", "import torch; x = torch.ones(4) + 1"], ONE_THREAD),
    }, rounds=2 * ROUNDS + 1)
    rows = []
    for label, value in (("wall time", lambda run: run.wall * 1000), ("CPU time", lambda run: run.cpu * 1000)):
        ours, theirs = ([value(run) for run in runs[name]] for name in ("trainhost", "Python"))
        rows.append([f"{label}, ms", f"{median(ours):.0f} ({spread(ours)})", f"{median(theirs):.0f} ({spread(theirs)})",
                     f"{median(ours) / median(theirs):.2f} <= 0.25"])
    table(f"Start-up to the first operator, whole process, median (least-most) of {2 * ROUNDS + 1} runs in turns.",
          ["", "trainhost", "Python", "trainhost against the bar"], rows)


def bench_memory():
    rows = []
    for what, label in (("chain", "300 chained 1000x1000 matmuls, no gradients"),
                        ("pointwise", "300 times 6 pointwise operators of 4 MB"),
                        ("large", "80 operators of 64 MB"),
                        ("deep", "5 training steps of 50 layers 512x512, batch 1024"),
                        ("small", "600,000 tensors of 4 elements beside 100,000 tables"),
                        ("heap", "60,000 tensors of 64 KB beside 300,000 nested tables"),
                        ("list", "a list that grows to 20,000 tensors of 16 KB")):
        runs = side_by_side({
            "trainhost": ([PROGRAM, HERE / "memory.lua", "--", what], ONE_THREAD),
            "Python": ([sys.executable, HERE / "memory.py", what], ONE_THREAD),
        }, rounds=3)
        cells = []
        for value, digits in ((lambda run: run.peak, 0), (lambda run: run.cpu, 2)):
            ours, theirs = ([value(run) for run in runs[name]] for name in ("trainhost", "Python"))
            cells += [f"{median(ours):.{digits}f} ({spread(ours)})", f"{median(theirs):.{digits}f} ({spread(theirs)})",
                      f"{median(ours) / median(theirs):.2f}"]
        cells[2] += " <= 1.1"
        rows.append([label, *cells])
    table("Peak resident memory of the whole process in MB, and its CPU seconds, one thread, median (least-most) of 3 "
          "runs in turns.", ["", "trainhost, MB", "Python, MB", "against the bar", "trainhost, s", "Python, s", "ratio"],
          rows)


def bench_leak():
    """10^6 training steps (STEPS): the slope of what is resident, over twenty readings without the first two."""
    steps = int(os.environ.get("STEPS", 1000000))
    rows = []
    for name, command in (("trainhost", [PROGRAM, HERE / "memory.lua", "--", "leak", steps]),
                          ("Python", [sys.executable, HERE / "memory.py", "leak", steps])):
        run = Run(command, ONE_THREAD)
        resident = [int(line.split()[1]) for line in run.output.splitlines() if line.startswith("resident")][2:]
        thousands = [i * steps / 20 / 1000 for i in range(len(resident))]
        slope = statistics.linear_regression(thousands, resident).slope
        rows.append([name, f"{min(resident) / 1024:.0f}-{max(resident) / 1024:.0f}", f"{slope:+.3f} < 1", f"{run.cpu:.0f}"])
    table(f"{steps:,} training steps of a small network.",
          ["", "resident MB, least-most", "KB a 1,000 steps", "CPU s"], rows)


def bench_loader():
    runs = side_by_side({
        "trainhost": ([PROGRAM, HERE / "loader.lua"], ONE_THREAD),
        "Python": ([sys.executable, HERE / "loader.py"], ONE_THREAD),
    }, rounds=3)
    figures = {}
    for name in runs:
        for run in runs[name]:
            for line in run.output.splitlines():
                workers, value = line.split()
                figures.setdefault((workers, name), []).append(float(value) / 1000)
    rows = []
    for workers in ("0", "1", "2"):
        ours, theirs = figures[workers, "trainhost"], figures[workers, "Python"]
        rows.append([f"{workers} workers", f"{median(ours):.0f} ({spread(ours)})", f"{median(theirs):.1f} ({spread(theirs)})",
                     f"{median(ours) / median(theirs):.0f} x"])
    table("Loader, Fashion-MNIST's 60,000 images shuffled, batch 64, thousand samples a second of wall time, median "
          "(least-most) of 3 runs in turns. Python: a TensorDataset of float32 images.",
          ["", "trainhost", "Python", "trainhost against Python"], rows)


def bench_models(wanted):
    """The real models of scripts/models, each beside its Python twin: one training step, and the process's peak."""
    units = {name: sizes["unit"] for name, sizes in json.loads((HERE.parent / "parity/models/sizes.json").read_text()).items()}
    rows = []
    for name in wanted or units:
        if name not in units:
            sys.exit(f"bench: no model '{name}': {', '.join(units)}")
        commands = {"trainhost": ([PROGRAM, HERE / "models.lua", "--", name], ONE_THREAD),
                    "Python": ([sys.executable, HERE / "models.py", name], ONE_THREAD)}
        if MIMALLOC:
            commands["Python, mimalloc"] = (commands["Python"][0], PRELOADED)
        times, peaks, rates, counts = [], [], [], []
        for runs in side_by_side(commands).values():
            printed = [run.output.split() for run in runs]
            times.append([float(time) / 1000 for time, _ in printed])
            counts += [int(count) for _, count in printed]
            rates.append(counts[-1] / median(times[-1]) * 1000)
            peaks.append(median(run.peak for run in runs))
        if len(set(counts)) > 1:
            sys.exit(f"bench: {name}: the sides count different samples: {counts}")
        rows.append([name, *(f"{median(each):.4g} ({spread(each)})" for each in times),
                     f"{median(times[0]) / median(times[1]):.3f} < 1", *(f"{peak:.0f}" for peak in peaks[:2]),
                     f"{peaks[0] / peaks[1]:.2f} <= 1.1", *(f"{rate:,.0f}" for rate in rates[:2]), units[name]])
    table(f"Training step of a real model, ms of CPU time, one thread, and the peak of the process, MB; median "
          f"(least-most) of {ROUNDS} runs in turns. Both sides use the fused optimizers.",
          ["", *commands, "against Python", "trainhost, MB", "Python, MB", "ratio", "trainhost, a second",
           "Python, a second", "of"], rows)


def bench_metrics():
    runs = side_by_side({
        "trainhost": ([PROGRAM, HERE / "metrics.lua"], ONE_THREAD),
        "Python": ([sys.executable, HERE / "metrics.py"], ONE_THREAD),
    }, rounds=min(ROUNDS, 3))
    seconds, scores = {}, {}
    for name in runs:
        for run in runs[name]:
            for line in run.output.splitlines():
                what, value, score = line.split()
                seconds.setdefault((what, name), []).append(float(value))
                scores.setdefault(what, []).append(float(score))
    rows = []
    for what, label, bar in (("map", "COCO mAP, 5,000 images of 80 classes; pycocotools", " >= 5"),
                             ("map_result", "the result alone", ""), ("bleu", "BLEU, 5,000 texts; sacrebleu", "")):
        if max(scores[what]) - min(scores[what]) > 1e-9:
            sys.exit(f"bench: {what}: the scores differ: {scores[what]}")
        ours, theirs = seconds[what, "trainhost"], seconds[what, "Python"]
        rows.append([label, f"{median(ours):.2f} ({spread(ours)})", f"{median(theirs):.2f} ({spread(theirs)})",
                     f"{median(theirs) / median(ours):.0f} x{bar}"])
    table(f"CPU seconds of a metric, equal scores, one thread, median (least-most) of {min(ROUNDS, 3)} runs in turns.",
          ["", "trainhost", "Python", "trainhost against Python"], rows)


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def main():
    known = ["call", "mlp", "operators", "optimizers", "start", "memory", "loader", "metrics", "fit", "models", "tracking", "leak"]
    names = sys.argv[1:] or known[:-1]  # leak takes minutes
    parts = []  # what follows models or tracking
    for last in ("models", "tracking"):
        if last in names and names != known[:-1]:
            parts = names[names.index(last) + 1:]
            names = names[:len(names) - len(parts)]
            break
    for name in names:
        if name not in known:
            sys.exit(f"bench: no benchmark '{name}': {', '.join(known)}")
    print(f"{cpu_name()}, {os.cpu_count()} cores; Python {platform.python_version()}")
    wanted = (["call"] if "call" in names else []) + (["mlp16", "mlp64", "mlp256"] if "mlp" in names else [])
    if wanted:
        bench_speed(wanted)
    if "operators" in names:
        bench_operators()
    if "optimizers" in names:
        bench_optimizers()
    if "start" in names:
        bench_start()
    if "memory" in names:
        bench_memory()
    if "loader" in names:
        bench_loader()
    if "metrics" in names:
        bench_metrics()
    if "fit" in names:
        bench_fit()
    if "models" in names:
        bench_models(parts)
    if "tracking" in names:
        bench_tracking(parts)
    if "leak" in names:
        bench_leak()


main()
