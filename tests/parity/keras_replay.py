# What the Keras suites share: Keras itself on the torch backend, a model that only callbacks look at, random curves, and
# the run of the same cases in Lua.
import contextlib
import io
import json
import math
import os
import pathlib
import re

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy

SCRIPT = pathlib.Path(__file__).resolve().with_suffix(".lua")


def run(trainhost, folder, cases):
    """What Lua makes of each case: a dict, with `error` where it raised."""
    given, made = folder / "cases.json", folder / "results.json"
    given.write_text(json.dumps(cases))
    trainhost.run("-q", SCRIPT, "--", given, made)
    results = json.loads(made.read_text(), object_hook=lambda table: table or [])  # an empty table is a list too
    assert len(results) == len(cases)
    return results


class Model:
    """What a callback sees of a model; its weights are the number of the epoch."""

    def __init__(self, rate=0.1):
        self.stop_training, self.metrics, self.epoch, self.paths = False, [], 0, []
        self.optimizer = keras.optimizers.SGD(rate)

    def get_weights(self):
        return self.epoch

    def set_weights(self, epoch):
        self.epoch = epoch

    def save_weights(self, path, overwrite):
        self.paths.append(path)

    def rate(self):
        return float(keras.ops.convert_to_numpy(self.optimizer.learning_rate))


def lines_of(function):
    """What a function prints, line by line, without the line feeds that take Keras's messages off its bar."""
    out = io.StringIO()
    keras.utils.enable_interactive_logging()
    with contextlib.redirect_stdout(out):
        function()
    return [line for line in out.getvalue().split("\n") if line]


def curve(random, length, step=16):
    """Values that are the same in single and in double precision, with plateaus and ties."""
    return [random.integers(1, 2 * step).item() / step for _ in range(length)]


DECIMALS = [[k / 10 for k in range(1, 6)], [0.8, 0.7, 0.6, 0.9, 1.0], [0.5, 0.5 + 1e-9, 0.5 - 1e-9, 0.5 - 1e-7, 0.5 + 1e-7],
            [1e30, 2e30, -1e30, 1e-30, math.inf], [0.0, -0.0, 0.1, -0.1, -math.inf]]


def decimals(random, length):
    """Values and minimum changes whose differences meet, which Keras sees in single precision only."""
    return random.choice(random.choice(DECIMALS), length).tolist()


def same_text(ours, keras_lines):
    """Equal but for the last digits of numbers: Keras has learning rates in single precision."""
    number = re.compile(r"\d+\.\d+(?:e-?\d+)?|\d+e-?\d+")
    assert [number.sub("#", line) for line in ours] == [number.sub("#", line) for line in keras_lines]
    for mine, theirs in zip(ours, keras_lines):
        numpy.testing.assert_allclose([float(x) for x in number.findall(mine)], [float(x) for x in number.findall(theirs)],
                                      rtol=1e-6)
