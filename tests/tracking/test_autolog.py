# mlflow.autolog and mlflow.callback, read by the real MLflow: the keys and steps of its own Keras and Lightning autolog.
import json
import os
import pathlib
import signal
import subprocess

import pytest

import numpy
import yaml
from mlflow import MlflowClient

# Recorded from mlflow 3.17.2 with keras 3.15: mlflow.tensorflow.autolog(), Sequential Dense 4-8-3, Adam, 3 epochs,
# validation_split = 0.2, EarlyStopping(patience=1, restore_best_weights=True), batch_size = 16.
KERAS_PARAMS = {
    "batch_size": "16", "epochs": "3", "shuffle": "True", "validation_split": "0.2", "initial_epoch": "0",
    "validation_freq": "1", "class_weight": "None", "sample_weight": "None", "steps_per_epoch": "None",
    "validation_steps": "None", "validation_batch_size": "None",
    "opt_name": "adam", "opt_beta_1": "0.9", "opt_beta_2": "0.999", "opt_amsgrad": "False", "opt_clipnorm": "None",
    "opt_global_clipnorm": "None", "opt_clipvalue": "None", "opt_use_ema": "False", "opt_ema_momentum": "0.99",
    "opt_ema_overwrite_frequency": "None", "opt_loss_scale_factor": "None", "opt_gradient_accumulation_steps": "None",
    "monitor": "val_loss", "min_delta": "0", "patience": "1", "baseline": "None", "restore_best_weights": "True",
}
KERAS_OTHER_VALUES = {"opt_learning_rate", "opt_epsilon", "opt_weight_decay"}  # PyTorch's defaults are not Keras's
KERAS_METRICS = {"loss", "accuracy", "val_loss", "val_accuracy", "validation_loss", "validation_accuracy"}
KERAS_TAGS = {"mlflow.autologging", "mlflow.latest_checkpoint_artifact", "mlflow.user", "mlflow.source.name",
              "mlflow.source.type", "mlflow.runName"}
# Of mlflow.pytorch.autolog() with Lightning's fit and test; the options of PyTorch's Adam that are None there have no
# value here.
LIGHTNING_PARAMS = {"epochs", "optimizer_name", "lr", "betas", "eps", "weight_decay", "amsgrad", "maximize", "capturable",
                    "differentiable", "decoupled_weight_decay", "monitor", "mode", "patience", "min_delta", "stopped_epoch"}

KERAS = """
local mlflow, torch, train = require "mlflow", require "torch", require "train"
local nn = torch.nn
torch.manual_seed(1)
mlflow.autolog{{{options}}}
local losses = {{{losses}}}
local model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
train.fit{{model = model, optimizer = "adam", loss = "cross_entropy", metrics = {{"accuracy"}}, quiet = true,
  train = {{torch.randn(60, 4), torch.randint(0, 3, {{60}})}}, batch_size = 16, epochs = {epochs}, validation_split = 0.2,
  callbacks = {{train.EarlyStopping{{patience = 1, restore_best_weights = true}},
    train.on("epoch_end", function(state) state.logs.val_loss = losses[state.epoch + 1] or state.logs.val_loss end)}}}}
print(mlflow.last_active_run().info.run_id)
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """One store for all: making one takes Python's mlflow seconds."""
    return tmp_path_factory.mktemp("autolog")


def client_of(folder):
    return MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")


def weights_of(path):
    """The tensors of a .safetensors file of float32."""
    data = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    return {name: numpy.frombuffer(data[start + about["data_offsets"][0]:start + about["data_offsets"][1]],
                                   numpy.float32).reshape(about["shape"])
            for name, about in header.items() if name != "__metadata__"}


def steps(client, run_id, key):
    return [point.step for point in client.get_metric_history(run_id, key)]


def files(client, run_id, path=None):
    found = set()
    for item in client.list_artifacts(run_id, path):
        found |= files(client, run_id, item.path) if item.is_dir else {item.path}
    return found


def keras(trainhost, folder, losses="3, 2, 1", options="", epochs=3):
    (folder / "train.lua").write_text(KERAS.format(losses=losses, options=options, epochs=epochs))
    run_id = trainhost.run("train.lua", cwd=folder).stdout.split()[-1]
    client = client_of(folder)
    return client, client.get_run(run_id)


def models(client, run_id):
    """The folders of the LoggedModels of a run, which are whole, by their names."""
    run = client.get_run(run_id)
    found = {model.name: model for model in client.search_logged_models([run.info.experiment_id]) if model.source_run_id == run_id}
    assert all(model.status == "READY" for model in found.values())
    assert {model.model_id for model in found.values()} <= {output.model_id for output in run.outputs.model_outputs}
    return {name: pathlib.Path(model.artifact_location) for name, model in found.items()}


def test_what_keras_autolog_logs(trainhost, folder):
    client, run = keras(trainhost, folder)
    run_id = run.info.run_id
    assert run.info.status == "FINISHED" and run.info.run_name
    assert KERAS_PARAMS.items() <= run.data.params.items()
    assert KERAS_OTHER_VALUES <= set(run.data.params)
    assert set(run.data.metrics) == KERAS_METRICS
    for key in KERAS_METRICS:
        assert steps(client, run_id, key) == [0, 1, 2], key  # Keras's own has validation_* at step 0 alone
    assert KERAS_TAGS <= set(run.data.tags)
    assert run.data.tags["mlflow.latest_checkpoint_artifact"].startswith("checkpoints/latest_checkpoint")
    assert {"trainhost.version", "trainhost.seed", "trainhost.num_threads"} <= set(run.data.tags)
    assert run.data.tags["trainhost.seed"] == "1"
    found = files(client, run_id)
    assert {"model_summary.txt", "checkpoints/latest_checkpoint_metrics.json", "source/train.lua"} <= found
    assert (models(client, run_id)["model"] / "MLmodel").exists()
    for phase in ("train", "validation"):
        assert any(path.startswith(f"tensorboard_logs/{phase}/events.out.tfevents") for path in found)
    text = pathlib.Path(client.download_artifacts(run_id, "source/train.lua")).read_text()
    assert text == (folder / "train.lua").read_text()


def test_the_data_are_inputs_as_keras_autolog_logs_them(trainhost, folder):
    _, run = keras(trainhost, folder)
    inputs = {one.tags[0].value: one.dataset for one in run.inputs.dataset_inputs if one.tags[0].key == "mlflow.data.context"}
    assert set(inputs) == {"train", "eval"}
    for context, rows in (("train", 48), ("eval", 12)):
        dataset = inputs[context]
        assert (dataset.name, dataset.source_type, len(dataset.digest)) == ("dataset", "code", 8)
        profile = json.loads(dataset.profile)
        assert (profile["features_shape"], profile["features_size"]) == ([rows, 4], rows * 4)
        spec = json.loads(dataset.schema)["mlflow_tensorspec"]
        assert json.loads(spec["features"])[0]["tensor-spec"] == {"dtype": "float32", "shape": [-1, 4]}
        assert json.loads(spec["targets"])[0]["tensor-spec"] == {"dtype": "int64", "shape": [-1]}
    _, again = keras(trainhost, folder)
    assert {one.dataset.digest for one in again.inputs.dataset_inputs} == {one.digest for one in inputs.values()}
    _, none = keras(trainhost, folder, options="log_datasets = false")
    assert not none.inputs.dataset_inputs


def test_an_early_stop_as_keras_autolog_logs_it(trainhost, folder):
    client, run = keras(trainhost, folder, losses="1, 2, 3, 4", epochs=5)
    run_id = run.info.run_id
    assert {"stopped_epoch": 1, "restored_epoch": 0}.items() <= run.data.metrics.items()
    assert steps(client, run_id, "stopped_epoch") == steps(client, run_id, "restored_epoch") == [0]
    points = {key: [(p.step, p.value) for p in client.get_metric_history(run_id, key)] for key in ("loss", "val_loss")}
    assert points["val_loss"] == [(0, 1), (1, 2), (2, 1)]  # the restored epoch's again, a step after the stop
    assert points["loss"][2] == (2, points["loss"][0][1])


def test_what_lightning_autolog_logs(trainhost, folder):
    client, run = keras(trainhost, folder, losses="1, 2, 3, 4", epochs=5, options='style = "lightning"')
    run_id = run.info.run_id
    assert LIGHTNING_PARAMS <= set(run.data.params)
    assert {"optimizer_name": "Adam", "betas": "(0.9, 0.999)", "amsgrad": "False"}.items() <= run.data.params.items()
    assert not any(key.startswith("opt_") for key in run.data.params)
    early = {"stopped_epoch", "wait_count", "best_score", "restored_epoch"}
    assert set(run.data.metrics) == {"train_loss", "train_accuracy", "val_loss", "val_accuracy"} | early
    assert steps(client, run_id, "train_loss") == [0, 1]
    assert all(steps(client, run_id, key) == [0] for key in early)
    assert run.data.tags["Mode"] == "training"


def test_the_every_k_callback(trainhost, folder):
    client, run = keras(trainhost, folder, epochs=5, losses="5, 4, 3, 2, 1",
                        options='every = "2ep", log_models = true, keep_last_models = 2')
    run_id = run.info.run_id
    logged = models(client, run_id)
    assert set(logged) == {"epoch_4", "epoch_5", "model"}
    weights = weights_of(logged["epoch_5"] / "model.safetensors")
    assert {name: tensor.shape for name, tensor in weights.items()} == {
        "0.weight": (8, 4), "0.bias": (8,), "2.weight": (3, 8), "2.bias": (3,)}
    about = json.loads((logged["epoch_4"] / "metrics.json").read_text())
    assert (about["epoch"], about["global_step"], about["val_loss"]) == (3, 12, 2)


def test_input_example_and_signature(trainhost, folder):
    client, run = keras(trainhost, folder, options="log_input_examples = true")
    model = models(client, run.info.run_id)["model"]
    about = yaml.safe_load((model / "MLmodel").read_text())
    for side, width in (("inputs", 4), ("outputs", 3)):
        assert json.loads(about["signature"][side]) == [
            {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, width]}}]
    example = json.loads((model / "input_example.json").read_text())
    assert len(example) == 5 and all(len(row) == 4 for row in example)
    assert json.loads((model / "serving_input_example.json").read_text()) == {"inputs": example}
    client, run = keras(trainhost, folder, options="log_model_signatures = false")
    model = models(client, run.info.run_id)["model"]
    assert "signature" not in yaml.safe_load((model / "MLmodel").read_text())
    client, run = keras(trainhost, folder, options="log_models = false, checkpoint = false")
    assert not any(path.startswith("checkpoints/") for path in files(client, run.info.run_id))
    assert not models(client, run.info.run_id)


def test_trainings_side_by_side_do_not_collide(trainhost, folder):
    code = KERAS.format(losses="", options='every = 1, log_models = true', epochs=3).replace("manual_seed(1)",
                                                                                          "manual_seed(host.param('seed', 1))")
    (folder / "train.lua").write_text('local host = require "host"\n' + code + 'print(model[2].weight:sum():item())\n')
    processes = [subprocess.Popen([trainhost.path, "train.lua", "--set", f"seed={seed}"], cwd=folder, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) for seed in range(4)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
    client = client_of(folder)
    for seed, (out, _) in enumerate(outputs):
        run_id, total = out.split()[-2:]
        run = client.get_run(run_id)
        assert (run.data.params["seed"], run.info.status) == (str(seed), "FINISHED")
        weights = weights_of(models(client, run_id)["model"] / "model.safetensors")
        assert abs(weights["2.weight"].sum() - float(total)) < 1e-5


SLOW = """
local mlflow, torch, train = require "mlflow", require "torch", require "train"
mlflow.autolog{log_models = false, checkpoint = false}
train.fit{model = torch.nn.Linear(2, 1), optimizer = "sgd", loss = "mse", train = {torch.ones(8, 2), torch.ones(8, 1)},
  epochs = 100000, quiet = true, callbacks = {train.on("epoch_end", function(state)
    if state.epoch == 2 then print(mlflow.active_run().info.run_id); io.stdout:flush() end
    if ERROR and state.epoch == 3 then error("boom") end
  end)}}
"""


def test_ctrl_c_ends_the_run_killed(trainhost, folder):
    (folder / "train.lua").write_text("ERROR = false" + SLOW)
    process = subprocess.Popen([trainhost.path, "train.lua"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    run_id = process.stdout.readline().strip()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert client_of(folder).get_run(run_id).info.status == "KILLED"


def test_an_error_ends_the_run_failed(trainhost, folder):
    (folder / "train.lua").write_text("ERROR = true" + SLOW)
    done = trainhost.run("train.lua", cwd=folder, check=False)
    assert done.returncode == 1 and "boom" in done.stderr
    assert client_of(folder).get_run(done.stdout.split()[0]).info.status == "FAILED"


def test_a_plain_loop_that_fails_ends_its_run_failed(trainhost, folder):
    (folder / "loop.lua").write_text("""local mlflow, torch = require "mlflow", require "torch"
        mlflow.autolog()
        local net = torch.nn.Linear(2, 1)
        local optimizer = torch.optim.SGD(net:parameters(), {lr = 0.5})
        for step = 1, 3 do
          optimizer:zero_grad()
          net(torch.ones(4, 2)):pow(2):mean():backward()
          optimizer:step()
        end
        print(mlflow.active_run().info.run_id)
        error("boom")""")
    done = trainhost.run("loop.lua", cwd=folder, check=False)
    run_id = done.stdout.split()[0]
    client = client_of(folder)
    run = client.get_run(run_id)
    assert run.info.status == "FAILED"
    assert run.data.params["opt_learning_rate"] == "0.5"
    assert steps(client, run_id, "loss") == [1, 2, 3]
    assert "source/loop.lua" in files(client, run_id)


def test_reloaded_versions_are_artifacts(trainhost, folder):
    (folder / "policies.lua").write_text("return {{name = 'p', on_epoch_end = function() end}} -- first\n")
    (folder / "train.lua").write_text("""local mlflow, torch, train = require "mlflow", require "torch", require "train"
        mlflow.autolog{log_models = false, checkpoint = false}
        train.fit{model = torch.nn.Linear(2, 1), optimizer = "sgd", loss = "mse", train = {torch.ones(8, 2), torch.ones(8, 1)},
          epochs = 4, quiet = true, callbacks = {train.reload("policies.lua"), train.on("epoch_end", function(state)
            if state.epoch == 1 then
              require("host").file.write_atomic("policies.lua", "return {{name = 'p', on_epoch_end = function() end}} -- second\\n")
            end
          end)}}
        print(mlflow.last_active_run().info.run_id)""")
    run_id = trainhost.run("train.lua", cwd=folder).stdout.split()[-1]
    client = client_of(folder)
    versions = sorted(path for path in files(client, run_id) if path.startswith("reload/"))
    texts = [pathlib.Path(client.download_artifacts(run_id, path)).read_text() for path in versions]
    assert [text.split("-- ")[1].strip() for text in texts] == ["first", "second"]


def test_failures_are_in_errors_jsonl(trainhost, folder):
    (folder / "train.lua").write_text("""local mlflow, torch, train = require "mlflow", require "torch", require "train"
        local run <close> = mlflow.start_run()
        train.fit{model = torch.nn.Linear(2, 1), optimizer = "sgd", loss = "mse", train = {torch.ones(8, 2), torch.ones(8, 1)},
          epochs = 3, quiet = true, callbacks = {mlflow.callback(), train.on("epoch_end", function(state)
            state.logs["not a key!"] = 1
          end)}}
        print(run.info.run_id)""")
    done = trainhost.run("train.lua", cwd=folder)
    assert done.stderr.count("not a key!") == 1, done.stderr  # one line on the console
    run_id = done.stdout.split()[-1]
    client = client_of(folder)
    assert "not a key!" in client.get_run(run_id).data.tags["trainhost.last_error"]
    text = pathlib.Path(client.download_artifacts(run_id, "errors.jsonl")).read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["epoch"], line["step"], line["retries"]) for line in lines] == [(0, 1, 0), (1, 2, 0), (2, 3, 0)]
