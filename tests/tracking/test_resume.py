# A training that goes on in its run of a server that has gone meanwhile.
import os
import subprocess
import threading

SCRIPT = """
local torch, train, mlflow, host = require "torch", require "train", require "mlflow", require "host"
local known = host.file.exists "run" and host.file.read "run" or nil
local run <close> = mlflow.start_run{run_id = known}
if not known then
  assert(run:wait_id())
  host.file.write_atomic("run", run.info.run_id)
end
host.file.write_atomic("fits", "")  -- from now on the server tells nothing
local model = torch.nn.Linear(1, 1)
train.fit{model = model, optimizer = "sgd", loss = "mse", train = {torch.ones(8, 1), torch.ones(8, 1)}, batch_size = 4, epochs = 6,
  quiet = true, metrics = {"mae"},
  callbacks = {mlflow.callback{log_models = false}, train.BackupAndRestore{backup_dir = "backup"},
    train.on("epoch_end", function(state) if not known and state.epoch == 2 then os.exit(9) end end)}}
"""


def test_a_server_that_tells_nothing_of_what_the_run_has_is_asked_once(trainhost, client, proxy, tmp_path):
    over = threading.Event()
    asked = []

    def hang(handler, body):
        if "metrics/get-history" not in handler.path or not (tmp_path / "fits").exists():
            return False
        asked.append(handler.path)
        over.wait(60)
        handler.drop()
        return True

    script = tmp_path / "train.lua"
    script.write_text(SCRIPT)

    def train():
        return subprocess.run([trainhost.path, script], cwd=tmp_path, capture_output=True, text=True, timeout=300,
                              env={**os.environ, "MLFLOW_TRACKING_URI": proxy(hang).uri})

    assert train().returncode == 9
    assert asked == []
    (tmp_path / "fits").unlink()
    done = train()
    over.set()
    assert done.returncode == 0, done.stderr
    assert len(asked) == 1, "of two keys"
    assert done.stderr.count("cannot be asked in time (mlflow: 'http://") == 1
    run = (tmp_path / "run").read_text()
    for key in ("loss", "mae"):
        assert {point.step for point in client.get_metric_history(run, key)} == set(range(6))
