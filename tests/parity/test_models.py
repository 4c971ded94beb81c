# Real models, each beside its Python twin for 20 training steps: the names of its state, its first weights, the losses
# and the last weights.
import pathlib
import sys

import pytest
import tolerances
import torch
from exchange import Exchange, difference

MODELS = pathlib.Path(__file__).resolve().parent / "models"
sys.path.insert(0, str(MODELS))
from load import SIZES, load  # noqa: E402

STEPS = 20
LUA = """
local training = dofile("{folder}/load.lua")("{name}", "tiny")
local function state()
  local names, tensors = {{}}, {{}}
  for i, module in ipairs(training.modules) do
    for name, tensor in pairs(module:state_dict()) do
      names[#names + 1], tensors[#tensors + 1] = i - 1 .. "." .. name, tensor:clone()
    end
  end
  return names, tensors
end
local names, first = state()
local losses = {{}}
for step = 1, {steps} do
  local each = {{training.step()}}
  for i, loss in ipairs(each) do each[i] = loss:item() end
  losses[step] = each
end
local _, last = state()
return names, first, losses, last
"""


def state(training):
    pairs = [(f"{i}.{name}", tensor.clone()) for i, module in enumerate(training["modules"])
             for name, tensor in module.state_dict().items()]
    return [name for name, _ in pairs], [tensor for _, tensor in pairs]


@pytest.mark.parametrize("name", [name for name in SIZES if "tiny" in SIZES[name]])
def test_a_model_trains_as_its_python_twin(trainhost, tmp_path, name):
    exchange = Exchange(tmp_path)
    exchange.case(name, LUA.format(folder=MODELS, name=name, steps=STEPS))
    ours = exchange.run(trainhost)[name]
    assert ours.error is None, ours.error
    names, first, losses, last = ours.values
    training, _ = load(name, "tiny")
    their_names, their_first = state(training)
    assert names == their_names
    for tensor_name, expected, got in zip(names, their_first, first):
        text = difference(expected, got)
        assert text is None, f"{tensor_name} before the first step: {text}"
    rtol, atol = tolerances.of("model " + name)
    begun = None
    for number in range(STEPS):
        loss = training["step"]()
        each = [one.item() for one in (loss if isinstance(loss, tuple) else (loss,))]
        text = difference(each, losses[number], rtol, atol)
        assert text is None, f"loss of step {number}: {text}"
        begun = begun or each
    assert begun != each, "it does not learn"
    for tensor_name, expected, got in zip(names, state(training)[1], last):
        text = difference(expected, got, rtol, atol)
        assert text is None, f"{tensor_name} after {STEPS} steps: {text}"


# model: what it writes in Lua and in Python, for each way of writing.
WRITING = {
    "gpt": [("net:generate(ids, 14, {temperature = 0})", lambda net, ids: net.generate(ids, 14, 0)),
            ("net:generate(ids, 14, {temperature = 0.8, top_k = 5})", lambda net, ids: net.generate(ids, 14, 0.8, 5)),
            ("net:generate(ids, 14, {top_k = 5, cache = false})", lambda net, ids: net.generate(ids, 14, 1.0, 5, False))],
    "char_lstm": [("net:generate(ids, 14, 0.7)", lambda net, ids: net.generate(ids, 14, 0.7))],
}


@pytest.mark.parametrize("name", WRITING)
def test_a_model_writes_what_its_python_twin_writes(trainhost, tmp_path, name):
    """After 5 steps, from the same random numbers."""
    exchange = Exchange(tmp_path)
    for number, (lua, _) in enumerate(WRITING[name]):
        exchange.case(str(number), f"""
local training = dofile("{MODELS}/load.lua")("{name}", "tiny")
for _ = 1, 5 do training.step() end
local net, ids = training.modules[1], torch.tensor({{{{3, 1, 4}}, {{1, 5, 9}}}})
torch.manual_seed(2)
return {lua}""")
    ours = exchange.run(trainhost)
    for number, (_, write) in enumerate(WRITING[name]):
        training, _ = load(name, "tiny")
        for _ in range(5):
            training["step"]()
        torch.manual_seed(2)
        expected = write(training["modules"][0], torch.tensor([[3, 1, 4], [1, 5, 9]]))
        assert ours[str(number)].error is None, ours[str(number)].error
        assert difference(expected, ours[str(number)].values[0]) is None, (expected, ours[str(number)].values[0])
