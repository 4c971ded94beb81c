# trainhost --dry-run: one batch of each phase, all callbacks run, nothing is written.

SCRIPT = """
local torch, train, mlflow, host = require "torch", require "train", require "mlflow", require "host"
local model = torch.nn.Linear(2, 1)
local x = torch.randn(12, 2)
mlflow.set_experiment("a new one")
local run <close> = mlflow.start_run{run_name = "r"}
run:log_param("mine", 1)
run:log_text("words", "notes.txt")
local heard = {}
local spy = {name = "spy"}
for _, event in ipairs{"train_begin", "epoch_begin", "batch_end", "valid_batch_end", "epoch_end", "train_end", "checkpoint_save"} do
  spy["on_" .. event] = function(_, state) heard[#heard + 1] = event end
end
local history = train.fit{model = model, optimizer = "sgd", loss = "mse", train = {x, x:sum(1, {keepdim = true})},
  validation_data = {x, x:sum(1, {keepdim = true})}, batch_size = 3, epochs = 9, quiet = true,
  callbacks = {spy, train.ModelCheckpoint{filepath = "out/{epoch}-{val_loss:.2f}", save_best_only = true},
    train.CSVLogger "logs/log.csv", mlflow.callback{every = 1},
    train.EarlyStopping{patience = 3}}}
print(host.dry_run(), #history.loss, history.val_loss[1] ~= nil)
print(table.concat(heard, " "))
print(train.evaluate{model = model, loss = "mse", data = {x, x:sum(1, {keepdim = true})}, batch_size = 3}.loss ~= nil)
print(mlflow.get_run(run.info.run_id).data.params.mine)
"""


def test_all_callbacks_run_and_nothing_is_written(trainhost, tmp_path):
    script = tmp_path / "train.lua"
    script.write_text(SCRIPT)
    work, temporary = tmp_path / "work", tmp_path / "tmp"
    work.mkdir()
    temporary.mkdir()
    done = trainhost.run("--dry-run", script, cwd=work, env={"MLFLOW_TRACKING_URI": "", "TMPDIR": str(temporary)})
    assert done.stdout == ("true\t1\ttrue\ntrain_begin epoch_begin batch_end valid_batch_end epoch_end train_end\n"
                           "true\n1\n"), done.stderr
    assert list(work.iterdir()) == []
    assert list(temporary.iterdir()) == []
    assert trainhost.run("--quiet", script, cwd=work).stdout.startswith("false\t9\t")
    assert sorted(path.name for path in work.iterdir()) == ["logs", "mlflow.db", "mlruns", "out"]


THREADS = """
local torch, host = require "torch", require "host"
io.output("out.txt")
io.write("words")
io.close()
io.input("out.txt")
io.stdout:write(io.read("a"), "\\n")
local writer = torch.utils.tensorboard.SummaryWriter("tb")
writer:add_embedding(torch.ones(2, 2), {"a", "b"})
host.checkpoint.submit("ck", {tensors = {model = {w = torch.ones(200000)}}}, "latest")
"""


def test_what_threads_write_at_the_end_is_gone_too(trainhost, tmp_path):
    old = tmp_path / "work" / "tb" / "projector_config.pbtxt"
    old.parent.mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
    old.write_text("old")
    work, temporary = tmp_path / "work", tmp_path / "tmp"
    done = trainhost.run("--dry-run", "-e", THREADS, cwd=work, env={"TMPDIR": str(temporary)})
    assert done.stdout == "words\n", done.stderr
    assert "warning" not in done.stderr
    assert [path.name for path in work.rglob("*")] == ["tb", "projector_config.pbtxt"]
    assert old.read_text() == "old"
    for name in ["out.txt", "tb", "ck", "latest"]:
        assert f"dry run: {name} is not written" in done.stderr, done.stderr
    assert list(temporary.iterdir()) == []


def test_a_run_of_the_environment_is_not_touched(trainhost, tmp_path):
    store = tmp_path / "mlflow.db"
    code = "local run <close> = require('mlflow').start_run() print(run.info.run_id)"
    run_id = trainhost.lua(code, cwd=tmp_path).strip()
    bytes_before = store.read_bytes()
    trainhost.run("--dry-run", "-e", "local mlflow = require 'mlflow' mlflow.set_experiment{experiment_id = 7} "
                  "local run <close> = mlflow.start_run() run:log_metric('a', 1)", cwd=tmp_path,
                  env={"MLFLOW_RUN_ID": run_id})
    assert store.read_bytes() == bytes_before


def test_what_a_training_would_find_at_its_start_is_found(trainhost, tmp_path):
    (tmp_path / "file").write_text("")
    code = SCRIPT.replace('"out/{epoch}', '"file/{epoch}')
    failed = trainhost.run("--dry-run", "-e", code, cwd=tmp_path, check=False)
    assert failed.returncode == 1 and "cannot write into the folder 'file' of filepath 'file/" in failed.stderr
    failed = trainhost.run("--dry-run", "-e", SCRIPT.replace("patience = 3", "monitor = 'val_los'"), cwd=tmp_path, check=False)
    assert failed.returncode == 1 and "unknown monitor 'val_los'; did you mean 'val_loss'" in failed.stderr
