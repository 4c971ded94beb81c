# A training that goes on in its run of a server that is, or was, away.
import os
import subprocess
import threading

import pytest

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


BEGUN_AWAY = """
local torch, train, mlflow, host = require "torch", require "train", require "mlflow", require "host"
torch.manual_seed(1)
mlflow.autolog{log_models = false, checkpoint = false}
train.fit{model = torch.nn.Linear(1, 1), optimizer = "sgd", loss = "mse", train = {torch.ones(8, 1), torch.ones(8, 1)},
  batch_size = 4, epochs = 4, quiet = true,
  callbacks = {train.BackupAndRestore{backup_dir = "backup", save_freq = "2ep"}, train.on("epoch_begin", function(state)
    if state.epoch ~= 3 or host.file.exists("id") then return end
    host.file.write_atomic("id", mlflow.active_run().info.run_id)
    while #host.checkpoint.list "backup" == 0 do host.sleep(0.01) end
    os.execute("kill -9 " .. host.pid())
  end)}}
print(mlflow.last_active_run().info.run_id)
"""


@pytest.mark.parametrize("meanwhile", ["nothing", "synced", "deleted"])
def test_a_run_that_began_without_its_server_is_gone_on_with(trainhost, client, proxy, tmp_path, meanwhile):
    away = threading.Event()

    def refuse(handler, body):
        if away.is_set():
            handler.answer(503)
        return away.is_set()

    uri = proxy(refuse).uri
    (tmp_path / "train.lua").write_text(BEGUN_AWAY)

    def play(*arguments):
        return subprocess.run([trainhost.path, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=300,
                              env={**os.environ, "MLFLOW_TRACKING_URI": uri})

    away.set()
    assert play("train.lua").returncode == -9
    away.clear()
    local = (tmp_path / "id").read_text()

    def found():
        return client.search_runs(["0"], f"tags.`trainhost.run_id` = '{local}'")

    if meanwhile != "nothing":
        assert play("sync").returncode == 0
        assert found()[0].info.run_id != local and found()[0].info.status == "KILLED"
    if meanwhile == "deleted":
        client.delete_run(found()[0].info.run_id)
    done = play("train.lua")
    assert done.returncode == 0, done.stderr
    run = client.get_run(done.stdout.split()[-1])
    assert run.info.status == "FINISHED"
    points = sorted(point.step for point in client.get_metric_history(run.info.run_id, "loss"))
    said = done.stderr.count("cannot be gone on with")
    if meanwhile == "deleted":
        assert said == 1 and points == [2, 3], done.stderr
    else:
        assert [one.info.run_id for one in found()] == [run.info.run_id], done.stderr
        assert said == 0 and points == [0, 1, 2, 3], done.stderr


def test_errors_and_tables_of_a_run_that_goes_on_are_not_lost(trainhost, client, proxy, artifacts, tmp_path):
    away = threading.Event()

    def refuse(handler, body):
        if away.is_set() and handler.command == "GET" and "mlflow-artifacts" in handler.path:
            handler.answer(503)
            return True
        return False

    uri = proxy(refuse).uri

    def play(run_id):
        (tmp_path / "script.lua").write_text(f"""
            local mlflow = require "mlflow"
            local run <close> = mlflow.start_run {{run_id = {f'"{run_id}"' if run_id else 'nil'}}}
            local began = os.time()
            run:log_table({{a = {{{1 + len(run_id)}}}}}, "t.json")
            run:log_error("error")
            assert(os.time() - began < 20)
            assert(mlflow.flush())
            print(run.info.run_id)""")
        done = subprocess.run([trainhost.path, "script.lua"], cwd=tmp_path, capture_output=True, text=True, timeout=120,
                              env={**os.environ, "MLFLOW_TRACKING_URI": uri})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    run_id = play("")
    play(run_id)

    def files():
        return sorted(item.path for item in client.list_artifacts(run_id))

    assert [name[:7] for name in files()] == ["errors-", "errors.", "t.json"]
    assert client.load_table("0", "t.json", [run_id])["a"].tolist() == [1, 33]
    away.set()
    play(run_id)
    assert [name[:2] for name in files() if name.startswith("t")] == ["t-", "t."]
    assert client.load_table("0", "t.json", [run_id])["a"].tolist() == [1, 33]
