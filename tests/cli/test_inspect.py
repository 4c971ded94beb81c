# trainhost inspect: what a checkpoint holds, and that it is whole.
TRAIN = """
local torch, train = require "torch", require "train"
local net = torch.nn.Linear(3, 2)
train.fit {model = net, optimizer = torch.optim.Adam(net:parameters(), {lr = 0.1}), loss = torch.nn.functional.mse_loss, epochs = 2,
  quiet = true, train = {{torch.ones(4, 3), torch.ones(4, 2)}},
  callbacks = {train.ModelCheckpoint {filepath = "out/{epoch}", monitor = "loss"}}}
"""


def test_a_checkpoint_is_shown_and_a_damaged_one_is_an_error(trainhost, tmp_path):
    (tmp_path / "train.lua").write_text(TRAIN)
    trainhost.run("train.lua", cwd=tmp_path)
    shown = trainhost.run("inspect", "out/2/", cwd=tmp_path).stdout
    assert shown.startswith("out/2: whole, 5 files, ") and "\nafter epoch 2, step 2, " in shown
    assert "\nscript train.lua, XXH3-128 " in shown and "\nmodel.safetensors " in shown
    row = next(line.split() for line in shown.splitlines() if line.startswith("  weight "))
    assert row[1] == "float32" and len(row[2]) == 32 and row[3:] == ["[2,", "3]"]
    both = trainhost.run("inspect", "out", cwd=tmp_path).stdout.splitlines()
    assert [line.split(",")[0] for line in both] == ["out/2: whole", "out/1: whole"]
    weights = tmp_path / "out/2/model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    broken = trainhost.run("inspect", "out/2", cwd=tmp_path, check=False)
    assert broken.returncode == 1 and not broken.stdout
    assert broken.stderr.startswith("trainhost inspect: checkpoint out/2: model.safetensors is damaged, in the tensor '")
    both = trainhost.run("inspect", "out", cwd=tmp_path, check=False)
    assert both.returncode == 1 and "out/2: DAMAGED" in both.stdout and "out/1: whole" in both.stdout


def test_what_is_no_checkpoint_is_refused(trainhost, tmp_path):
    assert trainhost.run("inspect", check=False).returncode == 2
    gone = trainhost.run("inspect", tmp_path, check=False)
    assert gone.returncode == 1 and "there is no checkpoint in" in gone.stderr
