# Nested tensors in files of torch.save, and integers that Lua does not hold.
import pytest
import torch
from torch_files import rewritten

PARTS = [torch.arange(6.).view(2, 3), torch.ones(1, 3), torch.zeros(0, 3)]


def parts_of(tensor):
    return [part.tolist() for part in tensor.unbind()]


@pytest.mark.parametrize("zip", [True, False])
def test_nested_tensors_come_and_go(trainhost, tmp_path, zip):
    nested = torch.nested.nested_tensor(PARTS)
    value = {"a": nested, "turned": nested.transpose(1, 2), "grad": nested.detach().clone().requires_grad_(),
             "ints": torch.nested.nested_tensor([torch.arange(3), torch.arange(1)])}
    torch.save(value, tmp_path / "a.pt", _use_new_zipfile_serialization=zip)
    out = trainhost.lua("""
      local x = require "torch".load("a.pt")
      print(x.a.is_nested, x.a:dim(), x.a:unbind()[2]:tolist()[1][3], x.grad.requires_grad)""", cwd=tmp_path)
    assert out.split() == ["true", "3", "1.0", "true"]
    rewritten(trainhost, tmp_path, "a.pt")
    got = torch.load(tmp_path / "a.pt.ours", weights_only=True)
    assert list(got) == list(value)
    for name, tensor in value.items():
        assert got[name].is_nested and got[name].dtype == tensor.dtype, name
        assert got[name].requires_grad == tensor.requires_grad
        assert parts_of(got[name]) == parts_of(tensor), name


def test_nested_tensors_made_in_lua_open_in_python(trainhost, tmp_path):
    trainhost.lua("""
      local torch = require "torch"
      torch.save({torch.nested.nested_tensor{torch.ones(2), torch.zeros(3)}}, "a.pt")""", cwd=tmp_path)
    assert parts_of(torch.load(tmp_path / "a.pt", weights_only=True)[0]) == [[1, 1], [0, 0, 0]]


class Wrong:
    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return torch._utils._rebuild_nested_tensor, self.parts


@pytest.mark.parametrize("buffer, sizes, strides, offsets, text", [
    (torch.ones(3), [[4]], [[1]], [0], "reaches beyond its storage"), (torch.ones(3), [[1]], [[1]], [3], "reaches beyond"),
    (torch.ones(3), [[2]], [[2**62]], [0], "beyond"), (torch.ones(3), [[-1]], [[1]], [0], "negative size"),
    (torch.ones(3), [[1]], [[1]], [-1], "offset"), (torch.ones(3), [[1]], [[1]], [0, 0], "do not fit each other"),
    (torch.ones(3), [[1]], [[1, 1]], [0], "do not fit each other"), (torch.ones(3, 1), [[1]], [[1]], [0], "no vector"),
    (torch.ones(3), [[1.]], [[1]], [0], "are not of int64")])
def test_damaged_nested_tensors_are_errors(trainhost, tmp_path, buffer, sizes, strides, offsets, text):
    torch.save(Wrong(buffer, torch.tensor(sizes), torch.tensor(strides), torch.tensor(offsets)), tmp_path / "a.pt")
    out = trainhost.lua("""print(select(2, pcall(require "torch".load, "a.pt")))""", cwd=tmp_path)
    assert text in out, out


def test_integers_beyond_64_bits_are_the_nearest_float(trainhost, tmp_path):
    integers = [2**63, -2**63 - 1, 2**64 - 1, 2**70, -2**70 + 1, 2**100 + 2**47, 2**100 + 2**47 + 1, 2**100 + 3 * 2**47,
                10**300, -10**300 + 7, 3**150]
    torch.save({"seed": integers[0], "list": integers, "plain": 2**63 - 1, "huge": -10**400}, tmp_path / "a.pt")
    out = trainhost.lua("""
      local torch = require "torch"
      local x = torch.load("a.pt")
      print(x.plain, x.huge == -math.huge, math.type(x.seed))
      for _, value in ipairs(x.list) do print(("%a"):format(value)) end""", cwd=tmp_path)
    lines = out.splitlines()
    assert lines[0].split() == [str(2**63 - 1), "true", "float"]
    assert [float.fromhex(line) for line in lines[1:]] == [float(value) for value in integers]


def test_the_warning_names_the_key(trainhost, tmp_path):
    torch.save({"state": {"seed": 2**64}, "weight": torch.ones(2)}, tmp_path / "a.pt")
    out = trainhost.run("-e", """local x = require "torch".load("a.pt") print(x.weight:sum():item())""", cwd=tmp_path)
    text = str(getattr(out, "stderr", "")) + str(getattr(out, "stdout", out))
    assert text.count("beyond 64 bits became the nearest float: 'seed'") == 1, text
