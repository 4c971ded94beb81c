# trainhost check: findings as FILE:LINE: TEXT, its exit codes, and --explain, which runs up to the training.
import json

FIT = """
local torch, train, mlflow = require "torch", require "train", require "mlflow"
print("script", arg[1])
local run <close> = mlflow.start_run()
local x = torch.randn(4, 2)
local model = torch.nn.Linear(2, 2)
train.fit{model = model, optimizer = "sgd", loss = "mse", train = {x, x}, validation_data = {x, x}, epochs = 3,
  callbacks = {train.ModelCheckpoint{filepath = "out/{epoch}"}, mlflow.callback(), train.EarlyStopping{patience = 2},
    {name = "mine", on_epoch_end = function() error "never called" end}}}
"""


def test_findings_and_exit_codes(trainhost, tmp_path):
    good, bad = tmp_path / "good.lua", tmp_path / "bad.lua"
    good.write_text("local torch = require 'torch'\nprint(torch.zeros(2))\n")
    bad.write_text("local torch = require 'torch'\nprint(torch.zerros(2))\nerror 'it is not run'\n")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/stub.lua").write_text("nothing()\n")
    clean = trainhost.run("check", good)
    assert clean.stdout == "" and clean.stderr == ""
    failed = trainhost.run("check", tmp_path, check=False)
    assert failed.returncode == 1
    assert failed.stdout.startswith(f"{bad}:2: torch has no 'zerros'; did you mean 'zeros'") and failed.stdout.count("\n") == 1
    for words in [[], ["--explian", good], [tmp_path / "none.lua"], ["--explain", good, bad]]:
        wrong = trainhost.run("check", *words, check=False)
        assert wrong.returncode == 2 and wrong.stderr.startswith("trainhost check: ") and wrong.stderr.count("\n") == 1


def test_explain_shows_the_order_and_writes_nothing(trainhost, tmp_path):
    script = tmp_path / "train.lua"
    script.write_text(FIT)
    work = tmp_path / "work"
    work.mkdir()
    out = trainhost.run("check", "--explain", script, "--", "word", cwd=work).stdout.splitlines()
    assert out[0] == "script\tword"
    assert out[1] == f"{script}: the callbacks of its train.fit, in the order in which they hear each event"
    order = {}
    for line in out[2:]:  # long ones go on below, further in
        event, names = ("", line.strip()) if line.startswith("   ") else line.split(None, 1)
        event = event or list(order)[-1]
        order[event] = (order[event] + " " if event in order else "") + names
    assert order["epoch_end"].split(", ") == ["mine (user)", "EarlyStopping (policy)", "History (logging)", "mlflow (logging)",
                                               "Progress (logging)", "ModelCheckpoint (checkpoint)"]
    assert list(work.iterdir()) == []


def test_explain_of_many_callbacks_stays_short(trainhost, tmp_path):
    script = tmp_path / "train.lua"
    script.write_text("""local torch, train = require "torch", require "train"
      local x, list = torch.randn(4, 2), {}
      for i = 1, 300 do list[i] = train.on("epoch_end", {every = i}, print) end
      for i = 1, 300 do list[#list + 1] = {name = ("mine"):rep(i) , on_epoch_end = print, on_batch_end = print} end
      train.fit{model = torch.nn.Linear(2, 2), optimizer = "sgd", loss = "mse", train = {x, x}, epochs = 3, callbacks = list}""")
    out = trainhost.run("check", "--explain", script, cwd=tmp_path).stdout.splitlines()
    assert len(out) < 60 and max(map(len, out[1:])) <= 120
    shown = "\n".join(out)
    assert "on epoch_end x300 (user)" in shown and "... 288 more (user)" in shown and "History (logging)" in shown
    assert "predict_" not in shown


def test_explain_tells_what_the_training_would_refuse(trainhost, tmp_path):
    script = tmp_path / "train.lua"
    script.write_text(FIT.replace("patience = 2", 'monitor = ("val_los")'))
    failed = trainhost.run("check", "--explain", script, cwd=tmp_path, check=False)
    assert failed.returncode == 1 and failed.stdout.count("unknown monitor 'val_los'; did you mean 'val_loss'?") == 1
    script.write_text(FIT.replace("patience = 2", 'monitor = "val_" .. "los"'))  # computed: the text does not show it
    assert trainhost.run("check", script, cwd=tmp_path).stdout == ""
    failed = trainhost.run("check", "--explain", script, cwd=tmp_path, check=False)
    (line,) = [line for line in failed.stdout.splitlines() if "unknown monitor" in line]
    assert failed.returncode == 1 and line.startswith(f"{script}:7: ") and failed.stderr == ""
    script.write_text("print(1)")
    failed = trainhost.run("check", "--explain", script, check=False)
    assert failed.returncode == 1 and f"{script}:1: it ended without train.fit" in failed.stdout


def test_findings_as_json(trainhost, tmp_path):
    script = tmp_path / "train.lua"
    script.write_text(FIT.replace('loss = "mse"', 'loss = "mes"').replace("epochs", "epoch"))
    for more in ([], ["--explain"]):
        done = trainhost.run("check", "--json", *more, script, cwd=tmp_path, check=False)
        found = json.loads(done.stdout.removeprefix("script\tnil\n"))
        assert done.returncode == 1 and {each["line"] for each in found} == {7} and len(found) == 2
        assert all(each["file"] == str(script) and each["severity"] == "error" and each["column"] > 1 for each in found)
        assert {each["message"]: each["hint"] for each in found}["train.fit: unknown loss 'mes'"].startswith("valid: ")
    script.write_text("print(1)")
    assert json.loads(trainhost.run("check", "--json", script).stdout) == []
