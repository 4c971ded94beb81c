# System metrics beside those of Python's MLflow: at the same time on the same machine, GPUs included.
import os
import pathlib
import subprocess
import sys

import pytest
from test_mlflow import client_of

LUA = """
local mlflow = require "mlflow"
local run <close> = mlflow.start_run()
while #mlflow.get_metric_history(run.info.run_id, arg[1] .. "disk_usage_percentage") < 3 do require("host").sleep(0.2) end
print(run.info.run_id)
"""
PYTHON = """
import mlflow, sys, time
with mlflow.start_run() as run:
    client, key = mlflow.MlflowClient(), sys.argv[1] + "disk_usage_percentage"
    while len(client.get_metric_history(run.info.run_id, key)) < 3:
        time.sleep(0.2)
print(run.info.run_id)
"""
SETTINGS = {"MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "true", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "0.5",
            "MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING": "2"}


def near(ours, theirs, relative, absolute):
    return abs(ours - theirs) <= max(relative * abs(theirs), absolute)


@pytest.mark.parametrize("node", ["", "n0"])
def test_the_same_keys_steps_and_values_as_python(trainhost, tmp_path, node):
    pytest.importorskip("psutil")
    library = pathlib.Path(trainhost.path).parent / "tests/liblibrary_nvml.so"
    (tmp_path / "libnvidia-ml.so.1").symlink_to(library)
    env = {**SETTINGS, "LD_LIBRARY_PATH": str(tmp_path), "MLFLOW_SYSTEM_METRICS_NODE_ID": node}
    prefix = f"system/{node}/" if node else "system/"
    folders = [tmp_path / "ours", tmp_path / "theirs"]
    for folder in folders:
        folder.mkdir()
    python = subprocess.Popen([sys.executable, "-c", PYTHON, prefix], cwd=folders[1], env={**os.environ, **env},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    our_id = trainhost.run("-e", LUA, "--", prefix, cwd=folders[0], env=env).stdout.strip()
    their_id, errors = python.communicate(timeout=120)
    assert python.returncode == 0, errors
    ours, theirs = client_of(folders[0]), client_of(folders[1])
    mine, others = ours.get_run(our_id).data.metrics, theirs.get_run(their_id.strip()).data.metrics
    gpus = {f"{prefix}gpu_{i}_{what}" for i, what in ((0, "utilization_percentage"), (1, "utilization_percentage"))} | {
        f"{prefix}gpu_0_{what}" for what in ("memory_usage_percentage", "memory_usage_megabytes", "power_usage_watts",
                                             "power_usage_percentage")}
    assert set(mine) == set(others) and gpus <= set(mine)
    for key in mine:
        steps = [point.step for point in ours.get_metric_history(our_id, key)]
        assert steps == list(range(len(steps))) and len(steps) >= 3
        name = key.removeprefix(prefix)
        if name.startswith("gpu_"):
            assert mine[key] == others[key], key
        elif name.startswith("disk_"):
            assert near(mine[key], others[key], 0.05, 1), key
        elif name.startswith("system_memory"):
            assert near(mine[key], others[key], 0.3, 500 if name.endswith("megabytes") else 5), key
        else:
            assert mine[key] >= 0, key
    assert 0 <= mine[prefix + "cpu_utilization_percentage"] <= 100


def test_wrong_settings_of_the_environment_are_named(trainhost, tmp_path):
    for name, value in (("ENABLE_SYSTEM_METRICS_LOGGING", "yes"), ("SYSTEM_METRICS_SAMPLING_INTERVAL", "often"),
                        ("SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING", "1.5")):
        done = trainhost.run("-e", 'require("mlflow").start_run()', cwd=tmp_path, check=False,
                             env={"MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "1", f"MLFLOW_{name}": value})
        assert done.returncode == 1 and f"MLFLOW_{name} must be" in done.stderr and f"'{value}'" in done.stderr
    off = trainhost.run("-e", 'print(require("mlflow").start_run().info.status)', cwd=tmp_path,
                        env={"MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": " FALSE "})
    assert off.stdout == "RUNNING\n"
