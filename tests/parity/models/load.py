# What the parity test and the benchmark run: the training of a model's Python twin, at the sizes of sizes.json.
import importlib.util
import json
import pathlib

import torch

HERE = pathlib.Path(__file__).resolve().parent
SIZES = json.loads((HERE / "sizes.json").read_text())


def descend(training):
    losses = training["loss"]()
    training["optimizer"].zero_grad()
    (losses[0] if isinstance(losses, tuple) else losses).backward()
    if "clip_norm" in training:
        torch.nn.utils.clip_grad_norm_(training["modules"][0].parameters(), training["clip_norm"])
    training["optimizer"].step()
    return losses


def load(name, kind):
    """(training, sizes): modules, step() that gives its loss or losses, samples of a step. kind: "tiny" or "bench".
    Most files give optimizer, loss() (of what it returns, the first goes backward) and clip_norm instead of a step."""
    spec = importlib.util.spec_from_file_location("twin_" + name, HERE / (name + ".py"))
    twin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(twin)
    sizes = dict(SIZES[name][kind])
    steps = sizes.pop("steps", None)
    torch.manual_seed(0)
    training = twin.make(**sizes)
    training.setdefault("step", lambda: descend(training))
    return training, {**sizes, "steps": steps}
