# What the parity test and the benchmark run: the training of a model's Python twin, at the sizes of sizes.json.
import importlib.util
import json
import pathlib

import torch

HERE = pathlib.Path(__file__).resolve().parent
SIZES = json.loads((HERE / "sizes.json").read_text())


def load(name, kind):
    """(training, sizes): modules, step() that gives its loss or losses, samples of a step. kind: "tiny" or "bench"."""
    spec = importlib.util.spec_from_file_location("twin_" + name, HERE / (name + ".py"))
    twin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(twin)
    sizes = dict(SIZES[name][kind])
    steps = sizes.pop("steps", None)
    torch.manual_seed(0)
    return twin.make(**sizes), {**sizes, "steps": steps}
