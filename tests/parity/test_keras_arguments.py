# Every argument of Keras's fit, evaluate and predict is taken, or stands here with the reason why not; and trainings with
# them come to the same as Keras's.
import inspect
import json
import pathlib

import keras_replay  # noqa: F401  sets Keras's backend
import keras
import numpy
import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SCRIPT = pathlib.Path(__file__).resolve().parent / "keras_arguments.lua"

# Names of Keras that are not taken, and why. return_dict is taken as true alone: scores are by name.
REFUSED = {}


def run(trainhost, folder, cases):
    given, made = folder / "cases.json", folder / "results.json"
    given.write_text(json.dumps(cases))
    trainhost.run("-q", SCRIPT, "--", given, made)
    return json.loads(made.read_text())


def arguments():
    for name in ("fit", "evaluate", "predict"):
        for argument, parameter in inspect.signature(getattr(keras.Model, name)).parameters.items():
            if argument != "self" and parameter.kind is not parameter.VAR_KEYWORD:
                yield name, argument


def test_every_argument_of_keras_is_taken(trainhost, tmp_path):
    all_of = list(arguments())
    assert len(all_of) > 25
    results = run(trainhost, tmp_path, [{"call": name, "argument": argument} for name, argument in all_of])
    wrong = {f"{name}({argument})": result["error"] for (name, argument), result in zip(all_of, results, strict=True)
             if "error" in result and (name, argument) not in REFUSED}
    assert not wrong


def case(seed, samples=12, valid=None, **more):
    random = numpy.random.default_rng(seed)
    made = {"weight": random.normal(size=(3, 3)).astype("float32").tolist(), "options": {}, **more}

    def data(count, weighted):
        x = random.normal(size=(count, 3)).astype("float32").tolist()
        y = random.integers(0, 3, size=count).tolist()
        return x, y, random.uniform(0.1, 2, size=count).astype("float32").tolist() if weighted else None

    made["x"], made["y"], made["sample_weight"] = data(samples, more.get("weighted"))
    if valid:
        x, y, weight = data(valid, more.get("weighted"))
        made["valid"] = {"x": x, "y": y, **({"weight": weight} if weight else {})}
    return {name: value for name, value in made.items() if value is not None}


def play(given):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, use_bias=False, activation="softmax")])
    model.layers[0].set_weights([numpy.array(given["weight"], "float32")])
    options = dict(given["options"])
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy",
                  **{name: options.pop(name) for name in ("metrics", "weighted_metrics") if name in options})
    valid = given.get("valid")
    weight = given.get("sample_weight")
    if valid:
        parts = [numpy.array(valid["x"], "float32"), numpy.array(valid["y"])]
        if valid.get("weight"):
            parts.append(numpy.array(valid["weight"], "float32"))
        options["validation_data"] = tuple(parts)
    classes = given.get("class_weight")
    history = model.fit(numpy.array(given["x"], "float32"), numpy.array(given["y"]), shuffle=False, verbose=0,
                        sample_weight=None if weight is None else numpy.array(weight, "float32"),
                        class_weight=classes and {int(key): value for key, value in classes.items()}, **options)
    return history.history


CASES = [
    case(1, valid=5, weighted=True, options={"batch_size": 5, "epochs": 3, "metrics": ["acc"], "weighted_metrics": ["acc"]}),
    case(2, valid=5, class_weight={"0": 1.0, "1": 3.0, "2": 0.5},
         options={"batch_size": 5, "epochs": 2, "metrics": ["accuracy"], "weighted_metrics": ["acc"]}),
    case(3, options={"batch_size": 4, "epochs": 5, "initial_epoch": 1, "validation_split": 0.25, "validation_freq": 2}),
    case(4, options={"batch_size": 4, "epochs": 4, "validation_split": 0.3, "validation_freq": [1, 4], "validation_batch_size": 2}),
    case(5, valid=7, options={"batch_size": 3, "epochs": 2, "steps_per_epoch": 2, "validation_steps": 2, "validation_batch_size": 3}),
    case(6, valid=5, options={"batch_size": 4, "epochs": 2, "validation_split": 0.5}),
    case(7, weighted=True, options={"batch_size": 4, "epochs": 2, "validation_split": 0.25, "weighted_metrics": ["acc"]}),
    case(8, options={"epochs": 3, "validation_split": 0.0}),
    case(9, options={"batch_size": 4, "epochs": 5, "steps_per_epoch": 2}),
    case(10, options={"batch_size": 4, "epochs": 2, "steps_per_epoch": 50}),
]


def test_trainings_with_these_arguments_are_keras_s(trainhost, tmp_path):
    for given, ours in zip(CASES, run(trainhost, tmp_path, CASES), strict=True):
        assert "error" not in ours, (given["options"], ours)
        theirs = play(given)
        assert sorted(ours["result"]) == sorted(theirs), given["options"]
        for name, values in theirs.items():
            numpy.testing.assert_allclose(ours["result"][name], values, rtol=2e-5, err_msg=f"{given['options']} {name}")


def test_the_name_accuracy_chooses_by_shapes_and_loss_as_keras_s(trainhost, tmp_path):
    random = numpy.random.default_rng(20)
    logits, classes = random.normal(size=(40, 3)), random.integers(0, 3, size=40)
    one_hot, yes = numpy.eye(3)[classes], random.integers(0, 2, size=(40, 1))
    shares = numpy.exp(logits) / numpy.exp(logits).sum(1, keepdims=True)
    chance = random.uniform(size=(40, 1))
    losses = keras.losses
    cases = [
        ("cross_entropy", losses.CategoricalCrossentropy(from_logits=True), logits, one_hot),
        ("cross_entropy", losses.SparseCategoricalCrossentropy(from_logits=True), logits, classes),
        ("categorical_crossentropy", "categorical_crossentropy", shares, one_hot),
        ("sparse_categorical_crossentropy", "sparse_categorical_crossentropy", shares, classes),
        ("binary_crossentropy", "binary_crossentropy", chance, yes),
        ("mse", "mse", shares, one_hot),
        ("mse", "mse", chance, yes),
    ]
    given = [{"loss": name, "scores": scores.tolist(), "target": target.tolist(), "integers": target is classes}
             for name, _, scores, target in cases]
    for (name, loss, scores, target), ours in zip(cases, run(trainhost, tmp_path, given), strict=True):
        model = keras.Sequential([keras.Input(scores.shape[1:]), keras.layers.Activation("linear")])
        model.compile(loss=loss, metrics=["accuracy"])
        theirs = model.evaluate(scores.astype("float32"), target, verbose=0, return_dict=True)
        numpy.testing.assert_allclose(ours["result"]["accuracy"], theirs["accuracy"], rtol=1e-6, err_msg=name)
        numpy.testing.assert_allclose(ours["result"]["loss"], theirs["loss"], rtol=1e-5, err_msg=name)
