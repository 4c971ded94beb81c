# The policies beside Keras's own callbacks, over random curves and the cases of the design: what is kept is the same
# epoch by epoch; what is mended shows Keras's fault beside ours.
import csv
import math
import warnings

import keras_replay as replay
import numpy
import pytest
from keras import callbacks

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras's own, of numpy

CASES = 150


def play_early_stopping(options, values):
    model = replay.Model()
    callback = callbacks.EarlyStopping(**options)
    callback.set_model(model)
    out = {"waits": [], "bests": []}

    def training():
        callback.on_train_begin()
        for epoch, value in enumerate(values):
            model.epoch = epoch
            callback.on_epoch_end(epoch, {"val_loss": value})
            out["waits"].append(callback.wait)
            out["bests"].append("None" if callback.best is None else callback.best)
            if model.stop_training:
                break
        callback.on_train_end()

    out["said"] = replay.lines_of(training)
    out.update(stopped=model.stop_training, weight=model.epoch, epochs=len(out["waits"]))
    return out


def early_stopping_options(random):
    options = {"patience": random.integers(0, 5).item(), "min_delta": random.integers(-2, 3).item() / 16,
               "mode": random.choice(["auto", "min", "max"]).item(), "verbose": random.integers(0, 2).item(),
               "restore_best_weights": bool(random.integers(0, 2)), "start_from_epoch": random.integers(0, 4).item()}
    if random.integers(0, 2):
        options["baseline"] = random.integers(1, 32).item() / 16
    return options


def with_nan(random, case):
    """Some of the values are NaN, as Keras takes them."""
    case["compat"] = "keras"
    case["values"] = [math.nan if random.integers(0, 4) == 0 else value for value in case["values"]]


def test_early_stopping_is_keras_epoch_by_epoch(trainhost, tmp_path):
    random = numpy.random.default_rng(1)
    cases = [{"kind": "early_stopping", "options": early_stopping_options(random), "values": replay.curve(random, 12)}
             for _ in range(2 * CASES)]
    for case in cases[1::3]:
        case["values"] = replay.decimals(random, 12)
        case["options"]["min_delta"] = random.choice([0, 0.1, -0.1, 0.2, 1e-4, 1e-9]).item()
    for case in cases[::3]:
        with_nan(random, case)
    cases.append({"kind": "early_stopping", "options": {"patience": 3, "baseline": 0.5},
                  "values": [2, 1.5, 1.25, 1, 0.5, 0.4]})
    stops = 0
    for case, ours in zip(cases, replay.run(trainhost, tmp_path, cases)):
        theirs = play_early_stopping(case["options"], case["values"])
        numpy.testing.assert_equal(ours, theirs, err_msg=str(case))
        stops += theirs["stopped"]
    assert theirs["waits"] == [1, 2, 3, 4, 5, 0] and not theirs["stopped"]
    assert CASES / 2 < stops < len(cases), "both ends are among the cases"


def test_reduce_lr_on_plateau_is_keras_epoch_by_epoch(trainhost, tmp_path):
    random = numpy.random.default_rng(2)
    cases = [{"kind": "reduce_lr", "lr": 0.5, "values": replay.curve(random, 16, 8), "options": {
        "factor": random.choice([0.0, 0.1, 0.25, 0.5]).item(), "patience": random.integers(0, 4).item(),
        "min_delta": random.integers(0, 3).item() / 8, "cooldown": random.integers(0, 4).item(), "verbose": 1,
        "min_lr": random.choice([0, 0.0625, 0.02]).item(), "mode": random.choice(["auto", "min", "max"]).item()}}
        for _ in range(CASES)]
    for case in cases[1::3]:
        case.update(lr=random.choice([0.1, 0.5]).item(), values=replay.decimals(random, 16))
        case["options"].update(factor=0.2, min_delta=random.choice([0, 0.1, 1e-4]).item(),
                               min_lr=random.choice([0.02, 0.1, 0.004, 0]).item())
    for case in cases:  # with no least rate a factor of 0 is an error of ours
        case["options"]["min_lr"] = case["options"]["min_lr"] or (0 if case["options"]["factor"] else 0.02)
    for case in cases[::3]:
        with_nan(random, case)
    cases.append({"kind": "reduce_lr", "lr": 0.1, "values": [1] * 10,
                  "options": {"factor": 0.5, "patience": 2, "cooldown": 2, "min_lr": 0.02}})
    cases.append({"kind": "reduce_lr", "lr": 0.1, "values": [1] * 4, "options": {"factor": 0.5, "patience": 0}})
    for case, ours in zip(cases, replay.run(trainhost, tmp_path, cases)):
        model, rates, logged = replay.Model(case["lr"]), [], []
        callback = callbacks.ReduceLROnPlateau(**case["options"])
        callback.set_model(model)

        def training():
            callback.on_train_begin()
            for epoch, value in enumerate(case["values"]):
                logs = {"val_loss": value}
                callback.on_epoch_end(epoch, logs)
                rates.append(model.rate())
                logged.append(logs["learning_rate"])

        replay.same_text(ours["said"], replay.lines_of(training))
        numpy.testing.assert_allclose(ours["rates"], rates, rtol=1e-6, err_msg=str(case))
        numpy.testing.assert_allclose(ours["logged"], logged, rtol=1e-6, err_msg=str(case))
    numpy.testing.assert_allclose(rates, [0.1, 0.05, 0.025, 0.0125], rtol=1e-6)


def test_learning_rate_scheduler_is_keras_epoch_by_epoch(trainhost, tmp_path):
    random = numpy.random.default_rng(3)
    cases = [{"kind": "scheduler", "lr": 0.5, "rates": random.uniform(1e-4, 1, 6).tolist()} for _ in range(CASES)]
    for case, ours in zip(cases, replay.run(trainhost, tmp_path, cases)):
        model, seen, rates, logged = replay.Model(0.5), [], [], []

        def schedule(epoch, rate):
            seen.append([epoch, rate])
            return case["rates"][epoch]

        callback = callbacks.LearningRateScheduler(schedule, verbose=1)
        callback.set_model(model)

        def training():
            for epoch in range(len(case["rates"])):
                callback.on_epoch_begin(epoch)
                rates.append(model.rate())
                logs = {"loss": 1.0}
                callback.on_epoch_end(epoch, logs)
                logged.append(logs["learning_rate"])

        assert ours["said"] == replay.lines_of(training)
        for mine, theirs in ((ours["seen"], seen), (ours["rates"], rates), (ours["logged"], logged)):
            numpy.testing.assert_allclose(mine, theirs, rtol=1e-6)


NAMES = ["{epoch:02d}-{val_loss:.2f}", "{epoch}-{val_loss:.3e}-{loss:g}", "best", "{epoch:>4d}{loss:+08.3f}", "{val_loss:.1%}"]
BATCH_NAMES = ["{epoch:02d}-{batch:02d}", "{epoch}-{batch:04d}-{loss:.4f}", "{loss}"]


def play_checkpoint(case):
    model = replay.Model()
    options = {**case["options"], "save_weights_only": True, "filepath": case["options"]["filepath"] + ".weights.h5"}
    callback = callbacks.ModelCheckpoint(**options)
    callback.set_model(model)
    callback._set_monitor_op()  # Keras forgets it where a batch comes first: see the test of that fault

    def training():
        callback.on_train_begin()
        for epoch, one in enumerate(case["epochs"]):
            callback.on_epoch_begin(epoch)
            for batch, loss in enumerate(one["batches"]):
                callback.on_train_batch_end(batch, {"loss": loss})
            callback.on_epoch_end(epoch, dict(one["logs"]))
        callback.on_train_end()

    said = replay.lines_of(training)
    return {"paths": model.paths, "said": said}


def test_model_checkpoint_saves_when_and_where_keras_does(trainhost, tmp_path):
    random, cases = numpy.random.default_rng(4), []
    for _ in range(CASES):
        at_batches = bool(random.integers(0, 2))
        batches = random.integers(1, 6).item()
        options = {"filepath": str(tmp_path) + "/" + random.choice(BATCH_NAMES if at_batches else NAMES).item(),
                   "monitor": "loss" if at_batches else random.choice(["loss", "val_loss"]).item(),
                   "save_best_only": bool(random.integers(0, 2)), "mode": random.choice(["auto", "min", "max"]).item(),
                   "save_freq": random.integers(1, 8).item() if at_batches else "epoch", "verbose": 1}
        if random.integers(0, 3) == 0:
            options["initial_value_threshold"] = random.integers(1, 32).item() / 16
        cases.append({"kind": "checkpoint", "options": options, "epochs": [
            {"batches": replay.curve(random, batches), "logs": dict(zip(("loss", "val_loss"), replay.curve(random, 2)))}
            for _ in range(5)]})
    saves = 0
    for case, ours in zip(cases, replay.run(trainhost, tmp_path, cases)):
        theirs = play_checkpoint(case)
        assert "error" not in ours, ours
        assert [path.removesuffix(".safetensors") for path in ours["paths"]] == \
            [path.removesuffix(".weights.h5") for path in theirs["paths"]], case
        assert [line.replace(".safetensors", "") for line in ours["said"]] == \
            [line.replace(".weights.h5", "") for line in theirs["said"]], case
        saves += len(theirs["paths"])
    assert saves > CASES


def play_csv(case, path):
    for fit in case["fits"]:
        options = {**fit["options"], "filename": path}
        callback = callbacks.CSVLogger(**options)
        callback.set_model(replay.Model())
        callback.on_train_begin()
        for epoch, logs in enumerate(fit["epochs"]):
            callback.on_epoch_end(epoch, dict(logs))
        callback.on_train_end()
    return path.read_bytes().decode()


def csv_case(random, path, compat, names):
    fits = []
    for i in range(random.integers(1, 4)):
        epochs = []
        for epoch in range(random.integers(1, 5)):
            there = names if compat is None or epoch == 0 else [n for n in names if random.integers(0, 4)] + ["late"]
            epochs.append({n: random.choice([random.normal(), float(random.integers(-3, 4)), 1e-7, 1e20, math.inf, math.nan])
                           .item() for n in there})
        fits.append({"options": {"filename": str(path), "separator": separator_of(names), "append": i > 0}, "epochs": epochs})
    return {"kind": "csv", "compat": compat, "fits": fits}


def separator_of(names):
    return (",", ";", "\t", "|")[len(names) % 4]


CSV_NAMES = ["loss", "val_loss", "acc", "val_acc", "a,b", 'say "x"', "two\nlines", "semi;colon", " space ", "B", "z_9"]


def test_csv_logger_writes_the_file_that_keras_writes(trainhost, tmp_path):
    """Byte by byte with compat = "keras"; without it the lines end in \\n alone, and late names have their column."""
    random, cases = numpy.random.default_rng(5), []
    for i in range(CASES):
        names = random.choice(CSV_NAMES, random.integers(1, 7), replace=False).tolist()
        compat = None if i % 3 == 0 else "keras"
        if compat is None and not any(name.startswith("val_") for name in names):
            names.append("val_loss")
        cases.append({k: v for k, v in csv_case(random, tmp_path / f"{i}.csv", compat, names).items() if v is not None})
    for i, (case, ours) in enumerate(zip(cases, replay.run(trainhost, tmp_path, cases))):
        theirs = play_csv(case, tmp_path / f"keras{i}.csv")
        assert "error" not in ours, ours
        if "compat" not in case:
            theirs = theirs.replace("\r\n", "\n")
        assert ours["text"] == theirs, case


# What is mended: Keras's fault, and ours beside it.

def test_nan_never_becomes_the_best(trainhost, tmp_path):
    """Keras takes a NaN of the first epoch for the best, which nothing improves on; compat = "keras" does so too."""
    values, options = [math.nan, 1.0, 0.5, 0.25, 0.125], {"patience": 2, "restore_best_weights": True}
    case = {"kind": "early_stopping", "options": options, "values": values}
    lr = {"kind": "reduce_lr", "lr": 1.0, "options": {"patience": 2, "factor": 0.5}, "values": values}
    save = {"kind": "checkpoint", "options": {"filepath": str(tmp_path / "{epoch}"), "save_best_only": True},
            "epochs": [{"batches": [1.0], "logs": {"val_loss": value}} for value in values]}
    keras = {"compat": "keras"}
    ours, as_keras, rates, keras_rates, saved, keras_saved = replay.run(
        trainhost, tmp_path, [case, {**case, **keras}, lr, {**lr, **keras}, save, {**save, **keras}])
    theirs = play_early_stopping(options, values)
    assert theirs["stopped"] and theirs["epochs"] == 3 and theirs["weight"] == 0
    assert not ours["stopped"] and ours["epochs"] == 5 and ours["weight"] == 4
    numpy.testing.assert_equal({k: as_keras[k] for k in theirs}, theirs)
    assert rates["rates"] == [1.0] * 5 and keras_rates["rates"] == [1.0, 1.0, 0.5, 0.5, 0.25]
    assert [path[-14:] for path in saved["paths"]] == [f"/{i}.safetensors" for i in (2, 3, 4, 5)]
    assert len(keras_saved["paths"]) == len(play_checkpoint(save)["paths"]) == 1


def test_a_direction_that_nothing_tells_is_found_before_training(trainhost, tmp_path):
    """Keras finds it when the first epoch has been trained."""
    callback = callbacks.EarlyStopping(monitor="val_f1")
    callback.set_model(replay.Model())
    callback.on_train_begin()
    with pytest.raises(ValueError, match="automatically determine"):
        callback.on_epoch_end(0, {"val_f1": 1.0})
    code = "train.callback_list({train.EarlyStopping{monitor = 'val_f1'}}):check{}"
    done = trainhost.run("-e", "local train = require 'train' " + code, check=False)
    assert "the direction of monitor 'val_f1' is unknown" in done.stderr and done.returncode != 0


def test_a_missing_monitor_is_an_error(trainhost, tmp_path):
    """Keras warns at each epoch, never stops, and saves what is not the best."""
    model = replay.Model()
    stopping, saving = callbacks.EarlyStopping("val_los", mode="min"), callbacks.ModelCheckpoint(
        str(tmp_path / "x.weights.h5"), "val_los", save_best_only=True, save_weights_only=True, mode="min")
    for callback in (stopping, saving):
        callback.set_model(model)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        stopping.on_train_begin()
        for epoch in range(9):
            stopping.on_epoch_end(epoch, {"val_loss": 1.0})
            saving.on_epoch_end(epoch, {"val_loss": 1.0})
    assert not model.stop_training and len(model.paths) == 9
    cases = [{"kind": "early_stopping", "options": {"monitor": "val_los", "mode": "min"}, "values": [1.0]},
             {"kind": "checkpoint", "options": {"filepath": str(tmp_path / "x"), "monitor": "val_los", "mode": "min",
                                                "save_best_only": True}, "epochs": [{"batches": [], "logs": {"val_loss": 1.0}}]}]
    for ours in replay.run(trainhost, tmp_path, cases):
        assert "unknown monitor 'val_los'; did you mean 'val_loss'" in ours["error"]


def test_best_only_works_at_batches(trainhost, tmp_path):
    """Keras dies at the first batch: it sets the direction when an epoch ends."""
    callback = callbacks.ModelCheckpoint(str(tmp_path / "x.weights.h5"), "loss", save_best_only=True,
                                         save_weights_only=True, save_freq=1)
    callback.set_model(replay.Model())
    callback.on_epoch_begin(0)
    callback.on_train_batch_end(0, {"loss": 1.0})
    with pytest.raises(TypeError):
        callback.on_train_batch_end(1, {"loss": 0.5})
    case = {"kind": "checkpoint", "options": {"filepath": str(tmp_path / "{batch}"), "monitor": "loss", "save_freq": 1,
                                              "save_best_only": True}, "epochs": [{"batches": [1, 0.5, 2, 0.25], "logs": {}}]}
    ours, = replay.run(trainhost, tmp_path, [case])
    assert [path[-13:-12] for path in ours["paths"]] == ["1", "2", "4"]


def test_a_schedule_may_return_an_integer_and_its_errors_are_shown(trainhost, tmp_path):
    """Keras refuses integers, and calls a schedule again without the rate when it raises TypeError."""
    model = replay.Model()
    callback = callbacks.LearningRateScheduler(lambda epoch, rate: 1)
    callback.set_model(model)
    with pytest.raises(ValueError, match="should be a float"):
        callback.on_epoch_begin(0)
    callback = callbacks.LearningRateScheduler(lambda epoch, rate=None: 0.5 if rate is None else len(rate))
    callback.set_model(model)
    callback.on_epoch_begin(0)
    assert model.rate() == 0.5, "the TypeError of len(float) is hidden"
    ours, = replay.run(trainhost, tmp_path, [{"kind": "scheduler", "lr": 0.5, "rates": [1, 2]}])
    assert ours["rates"] == [1, 2]
    code = """local train = require "train"
    local list = train.callback_list{train.LearningRateScheduler(function(epoch, rate) return #rate end)}
    list:emit("epoch_begin", train.state{optimizer = {param_groups = {{lr = 1.0}}}})"""
    assert "attempt to get length of a number value" in trainhost.run("-e", code, check=False).stderr


def test_a_late_name_widens_the_csv_file(trainhost, tmp_path):
    epochs = [{"loss": 1.0}, {"loss": 0.5, "val_loss": 2.0, "f1": 0.25}]
    case = {"kind": "csv", "fits": [{"options": {"filename": str(tmp_path / "ours.csv")}, "epochs": epochs}]}
    ours, = replay.run(trainhost, tmp_path, [case])
    theirs = play_csv(case, tmp_path / "keras.csv")
    assert theirs == "epoch,loss,val_loss\r\n0,1.0,NA\r\n1,0.5,2.0\r\n", "f1 is dropped"
    assert ours["text"] == "epoch,f1,loss,val_loss\n0,NA,1.0,NA\n1,0.25,0.5,2.0\n"
    assert list(csv.DictReader(ours["text"].splitlines()))[1] == {"epoch": "1", "f1": "0.25", "loss": "0.5", "val_loss": "2.0"}


def test_appending_keeps_to_the_columns_of_the_file(trainhost, tmp_path):
    """Keras writes the values of other names under the old header."""
    fits = [{"options": {"filename": str(tmp_path / "ours.csv"), "append": True}, "epochs": [logs]}
            for logs in ({"loss": 1.0, "val_loss": 3.0}, {"acc": 0.5, "val_loss": 2.0})]
    ours, = replay.run(trainhost, tmp_path, [{"kind": "csv", "fits": fits}])
    theirs = play_csv({"fits": fits}, tmp_path / "keras.csv")
    assert theirs.splitlines() == ["epoch,loss,val_loss", "0,1.0,3.0", "0,0.5,2.0"], "the accuracy is a loss"
    assert ours["text"].splitlines() == ["epoch,acc,loss,val_loss", "0,NA,1.0,3.0", "0,0.5,NA,2.0"]


def test_early_stopping_goes_on_after_a_kill():
    """Keras begins anew and stops at 9, where the whole training stops at 5; ours is tested in early_stopping.lua."""
    values = [1, 0.9, *[0.95] * 9]
    assert play_early_stopping({"patience": 4}, values)["epochs"] == 6
    model, callback = replay.Model(), callbacks.EarlyStopping(patience=4)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch in range(5, 11):
        callback.on_epoch_end(epoch, {"val_loss": values[epoch]})
        if model.stop_training:
            break
    assert callback.stopped_epoch == 9
