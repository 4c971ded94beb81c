# cross_entropy warns once, at the user's line, when its first batch has gone through a softmax already.
import pytest

PRELUDE = "local torch = require 'torch' local nn, F = torch.nn, torch.nn.functional torch.manual_seed(1)\n"
WARNING = "cross_entropy: the rows of its first batch are not negative and sum to 1"


def warnings_of(trainhost, tmp_path, code):
    script = tmp_path / "script.lua"
    script.write_text(PRELUDE + code)
    return [line for line in trainhost.run(script).stderr.splitlines() if "cross_entropy" in line]


@pytest.mark.parametrize("code", [
    "local x = torch.randn(4, 3):softmax(1)\nfor _ = 1, 3 do\n  F.cross_entropy(x, torch.tensor{0, 1, 2, 0}) end",
    "local x = torch.randn(3, {requires_grad = true}):softmax(0)\n\nF.cross_entropy(x, torch.tensor(1)):backward()",
    "local x = torch.randn(2, 3, 4, 5):softmax(1)\n\nF.cross_entropy(x, torch.zeros(2, 4, 5):long())",
    "local net = nn.Sequential(nn.Linear(2, 3), nn.Softmax(1)) local loss = nn.CrossEntropyLoss() for _ = 1, 2 do\n\n"
    "  loss(net(torch.ones(4, 2)), torch.zeros(4):long()) end",
    "local x = torch.randn(4, 3):softmax(1)\n\nF.cross_entropy(x:half(), torch.rand(4, 3):softmax(1):half())",
    "local x = torch.eye(3)\n\nF.cross_entropy{input = x, target = torch.arange(3)}",
])
def test_warns_once_at_the_line(trainhost, tmp_path, code):
    lines = warnings_of(trainhost, tmp_path, code)
    assert len(lines) == 1 and f"script.lua:4: {WARNING}" in lines[0]


@pytest.mark.parametrize("code", [
    "F.cross_entropy(torch.randn(4, 3), torch.zeros(4):long())",
    "F.cross_entropy(torch.randn(4, 3):log_softmax(1), torch.zeros(4):long())",
    "F.cross_entropy(torch.rand(4, 3), torch.zeros(4):long())",
    "F.cross_entropy(torch.ones(4, 1), torch.zeros(4):long())",  # one class
    "F.cross_entropy(torch.randn(3, 4):softmax(0), torch.zeros(3):long())",  # of another dimension
    "F.cross_entropy(torch.randn(2, 3, 4):softmax(2), torch.zeros(2, 4):long())",
    "F.cross_entropy(torch.tensor{{2.0, -1.0}}, torch.tensor{0})",  # sums to 1, but is negative
    "F.cross_entropy(torch.zeros(0, 3), torch.zeros(0):long())",
    "nn.CrossEntropyLoss()(torch.randn(4, 3), torch.zeros(4):long())",
    "F.nll_loss(torch.randn(4, 3):softmax(1), torch.zeros(4):long())",
    # The first batch is looked at, no later one.
    "local t = torch.zeros(4):long() F.cross_entropy(torch.randn(4, 3), t) F.cross_entropy(torch.randn(4, 3):softmax(1), t)",
    "torch.func.vmap(function(x) return F.cross_entropy(x, torch.tensor(0)) end)(torch.randn(4, 3))",
    "torch.manual_seed(1) F.cross_entropy(torch.randn(4, 3, {device = 'meta'}), torch.zeros(4, {device = 'meta'}):long())",
])
def test_logits_and_log_probabilities_do_not_warn(trainhost, tmp_path, code):
    assert warnings_of(trainhost, tmp_path, code) == []


def test_each_loss_object_looks_at_its_first_batch(trainhost, tmp_path):
    lines = warnings_of(trainhost, tmp_path, """local t, x = torch.zeros(4):long(), torch.randn(4, 3)
local good, bad = nn.CrossEntropyLoss(), nn.CrossEntropyLoss()
good(x, t)
bad(x:softmax(1), t)
good(x:softmax(1), t)
bad(x:softmax(1), t)
""")
    assert len(lines) == 1 and "script.lua:5: " in lines[0]


def test_errors_of_the_operator_come_through(trainhost, tmp_path):
    code = PRELUDE + "print(pcall(F.cross_entropy, nil, nil)) print(pcall(F.cross_entropy, torch.ones(2, 3), torch.ones(5):long()))"
    assert "argument 'input' is missing" in trainhost.lua(code) and "Expected input batch_size" in trainhost.lua(code)
