# Whole trainings beside Keras's own fit, from the same weights over the same batches: the order of the hooks, the logs at
# each of them, the history, and what a stop within an epoch leaves.
import math
import types

import keras_replay as replay
import keras
import numpy
import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras's own, of numpy

HOOKS = ("train_begin", "train_end", "epoch_begin", "epoch_end", "train_batch_begin", "train_batch_end", "test_begin",
         "test_end", "test_batch_begin", "test_batch_end")


class Spy(keras.callbacks.Callback):
    """Notes every hook, its index and the logs at the ends."""

    def __init__(self):
        super().__init__()
        self.trace, self.seen = [], []
        for hook in HOOKS:
            setattr(self, "on_" + hook, types.MethodType(self.noting(hook), self))

    @staticmethod
    def noting(hook):
        def note(self, *given, logs=None):
            indexed = "batch" in hook or "epoch" in hook
            self.trace.append(f"{hook} {given[0]}" if indexed else hook)
            logs = logs if logs is not None else given[-1] if given and isinstance(given[-1], dict) else {}
            if hook in ("train_batch_end", "test_batch_end", "epoch_end"):
                self.seen.append({name: float(value) for name, value in logs.items()})
        return note


class Stop(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.epoch, self.at = 0, (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            self.model.stop_training = True


def data(random, count, width):
    x = random.normal(size=(count, width)).astype("float32")
    return x, (x.sum(axis=1, keepdims=True) + random.normal(size=(count, 1))).astype("float32")


def make(seed, samples=10, batch=4, epochs=3, valid=True, **more):
    """A case for Lua, and the arrays of the same training."""
    random = numpy.random.default_rng(seed)
    x, y = data(random, samples, 3)
    weight = random.normal(size=3).astype("float32")
    case = {"kind": "fit", "weight": weight.tolist(), "x": x.tolist(), "y": y.tolist(), "batch": batch, "epochs": epochs,
            "lr": 0.05, **more}
    if valid:
        vx, vy = data(random, 7, 3)
        case["valid"] = {"x": vx.tolist(), "y": vy.tolist()}
    return case


def play(case, extra=()):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.layers[0].set_weights([numpy.array(case["weight"], "float32").reshape(3, 1), numpy.zeros(1, "float32")])
    model.compile(keras.optimizers.SGD(case["lr"]), "mse", metrics=["mae"])
    spy = Spy()
    valid = case.get("valid")
    history = model.fit(numpy.array(case["x"], "float32"), numpy.array(case["y"], "float32"), batch_size=case["batch"],
                        epochs=case["epochs"], shuffle=False, verbose=0, callbacks=[spy, *extra],
                        validation_data=valid and (numpy.array(valid["x"], "float32"), numpy.array(valid["y"], "float32")))
    return {"trace": spy.trace, "logs": spy.seen, "epoch": history.epoch, "history": history.history,
            "weight": model.layers[0].get_weights()[0].ravel().tolist()}


def same(ours, theirs, case):
    assert "error" not in ours, ours
    assert ours["trace"] == theirs["trace"]
    assert len(ours["logs"]) == len(theirs["logs"])
    at = [hook.split()[0] for hook in theirs["trace"] if hook.split()[0] in ("train_batch_end", "test_batch_end", "epoch_end")]
    for hook, mine, keras_logs in zip(at, ours["logs"], theirs["logs"], strict=True):
        if hook == "test_batch_end":  # there Keras has no prefix; here the values of the training stay beside them
            keras_logs = {"val_" + name: value for name, value in keras_logs.items()}
            mine = {name: value for name, value in mine.items() if name.startswith("val_")}
        assert set(mine) == set(keras_logs), hook
        for name, value in keras_logs.items():
            numpy.testing.assert_allclose(mine[name], value, rtol=5e-6, atol=1e-7, err_msg=f"{hook} {name}")
    assert ours["epoch"] == theirs["epoch"]
    assert sorted(ours["history"]) == sorted(theirs["history"])
    for name, values in theirs["history"].items():
        numpy.testing.assert_allclose(ours["history"][name], values, rtol=5e-6, atol=1e-7, err_msg=name)
    numpy.testing.assert_allclose(ours["weight"], theirs["weight"], rtol=1e-5, atol=1e-7)


SHAPES = [dict(samples=10, batch=4), dict(samples=12, batch=4), dict(samples=3, batch=8), dict(samples=11, batch=1, epochs=2),
          dict(samples=10, batch=3, valid=False), dict(samples=5, batch=2, epochs=5)]


def test_hooks_logs_history_and_weights_are_keras_s(trainhost, tmp_path):
    """Every hook with its index, the running aggregate at each batch's end, the sample-weighted losses of the epochs."""
    cases = [make(seed, **shape) for seed, shape in enumerate(SHAPES * 2)]
    for case, ours in zip(cases, replay.run(trainhost, tmp_path, cases)):
        same(ours, play(case), case)


def test_the_loss_of_an_epoch_is_weighted_by_samples(trainhost, tmp_path):
    """10 samples in batches of 4: neither side gives the mean of the batch means."""
    case = make(42, samples=10, batch=4, epochs=1, lr=0.0)
    ours, = replay.run(trainhost, tmp_path, [case])
    theirs = play(case)
    x, y, w = (numpy.array(case[name], "float64") for name in ("x", "y", "weight"))
    each = (x @ w - y[:, 0]) ** 2
    means = numpy.mean([each[:4].mean(), each[4:8].mean(), each[8:].mean()])
    assert abs(means - each.mean()) > 1e-3, "the two differ here"
    for loss in (ours["history"]["loss"][0], theirs["history"]["loss"][0]):
        assert math.isclose(loss, each.mean(), rel_tol=1e-6)
    running = [each[:4].mean(), each[:8].mean(), each.mean()]
    numpy.testing.assert_allclose([logs["loss"] for logs in ours["logs"][:3]], running, rtol=1e-6)
    numpy.testing.assert_allclose([logs["loss"] for logs in theirs["logs"][:3]], running, rtol=1e-6)


@pytest.mark.parametrize("at", [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 2)])
def test_a_stop_within_an_epoch_is_keras_s(trainhost, tmp_path, at):
    """The batches end, validation, epoch_end and train_end still run."""
    case = make(sum(at), stop=list(at))
    ours, = replay.run(trainhost, tmp_path, [case])
    theirs = play(case, [Stop(*at)])
    same(ours, theirs, case)
    assert ours["trace"][-2:] == [f"epoch_end {at[0]}", "train_end"]
    assert ours["trace"].count("test_end") == at[0] + 1


@pytest.mark.parametrize("sample", [0, 5, 9])
def test_terminate_on_nan_stops_where_keras_does(trainhost, tmp_path, sample):
    case = make(sample, terminate=True)
    case["x"][sample][1] = math.inf
    ours, = replay.run(trainhost, tmp_path, [case])
    theirs = play(case, [keras.callbacks.TerminateOnNaN()])
    assert ours["trace"] == theirs["trace"]
    assert f"train_batch_end {sample // 4}" in ours["trace"] and f"train_batch_begin {sample // 4 + 1}" not in ours["trace"]
    for weight in (ours["weight"], theirs["weight"]):
        assert not numpy.isfinite(weight).any(), "the step of then was taken"


def test_early_stopping_and_csv_logger_within_a_fit(trainhost, tmp_path):
    cases = [make(seed, epochs=8, early={"monitor": "val_loss", "patience": 1, "min_delta": 0.05 * seed},
                  csv=str(tmp_path / f"{seed}.csv")) for seed in range(6)]
    lengths = set()
    for seed, (case, ours) in enumerate(zip(cases, replay.run(trainhost, tmp_path, cases))):
        log = tmp_path / f"keras{seed}.csv"
        theirs = play(case, [keras.callbacks.EarlyStopping(**case["early"]), keras.callbacks.CSVLogger(log)])
        same(ours, theirs, case)
        mine, keras_lines = (tmp_path / f"{seed}.csv").read_text().splitlines(), log.read_text().splitlines()
        assert mine[0] == keras_lines[0] and len(mine) == len(keras_lines)
        for a, b in zip(mine[1:], keras_lines[1:]):
            numpy.testing.assert_allclose([float(v) for v in a.split(",")], [float(v) for v in b.split(",")], rtol=5e-6)
        lengths.add(len(mine))
    assert len(lengths) > 1, "some stop early"


def test_lambda_callbacks_are_called_in_keras_s_order(trainhost):
    """Of several callbacks the order of the list, hook by hook."""
    case, trace = make(1, samples=4, epochs=2), []
    hooks = ("on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_epoch_end", "on_train_end")

    def noting(name, hook):
        return lambda *_, **__: trace.append(f"{name} {hook}")

    play(case, [keras.callbacks.LambdaCallback(**{hook: noting(name, hook) for hook in hooks}) for name in "ab"])
    code = """
    local train, trace = require "train", {}
    local callbacks = {}
    for i, name in ipairs{"a", "b"} do
      local of = {}
      for hook in ("HOOKS"):gmatch("%S+") do of[hook] = function() print(name .. " " .. hook) end end
      callbacks[i] = train.LambdaCallback(of)
    end
    train.fit{train = {{1}}, valid = {{1}}, epochs = 2, quiet = true, step = function() return 1.0 end, callbacks = callbacks}
    """.replace("HOOKS", " ".join(hooks))
    assert trainhost.lua(code).splitlines() == trace
