# Files of torch.save against the real one: read here, written here, and an optimizer that goes on from them.
import collections
import zipfile

import pytest
import torch
from torch_files import rewritten, same

DTYPES = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16,
          torch.float32, torch.float64, torch.complex32, torch.complex64, torch.complex128, torch.uint16, torch.uint32,
          torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz,
          torch.float8_e8m0fnu]


def every_kind():
    generator = torch.Generator().manual_seed(1)
    raw = {d: torch.randint(0, 2 if d == torch.bool else 256, (3, 4 * d.itemsize), generator=generator,
                            dtype=torch.uint8).view(d) for d in DTYPES}
    base = torch.arange(24.)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Embedding(5, 2))
    shared = [1, 2]
    return {
        "dtypes": {str(d): t for d, t in raw.items()},
        "state": model.state_dict(),
        "parameter": torch.nn.Parameter(torch.rand(2)), "frozen": torch.nn.Parameter(torch.rand(2), requires_grad=False),
        "views": [base, base[3:], base.view(4, 6).t(), base.view(2, 3, 4)[:, 1], base[5], base.expand(2, 24), base[24:]],
        "grad": torch.rand(2, requires_grad=True), "empty": torch.empty(0, 3), "scalar": torch.tensor(2.5),
        "sparse": torch.eye(3).to_sparse(), "uncoalesced": torch.sparse_coo_tensor([[0, 0]], [1., 2.], (3,)),
        "csr": torch.eye(3).to_sparse_csr(), "bsc": torch.eye(4).to_sparse_bsc((2, 2)),
        "conj": torch.rand(2, dtype=torch.complex64).conj(), "neg": torch.rand(2, dtype=torch.complex64).conj().imag,
        "meta": torch.empty(2, 3, device="meta"),
        "plain": [None, True, False, 0, 1, 255, 256, 65535, 65536, -1, -129, 2**31 - 1, 2**31, -2**31 - 1, 2**63 - 1, -2**63,
                  0.1, float("inf"), float("nan"), -0.0, "", "text \u00e4 \U0001f600 \0", "x" * 300],
        "tuple": (1, (), (2,), (3, 4), (5, 6, 7, 8)), "set": {1, 2}, "numbers": {0: "zero", 2: "two", -1: 1.5, True: 3},
        "nothing": {}, "none": {"a": None, "b": 1, "c": None}, "no list": [], "size": torch.Size([2, 3]), "device": torch.device("cuda", 1), "dtype": torch.float16,
        "layout": torch.sparse_csr, "counter": collections.Counter("aab"), "bytes": b"\xff\0\x80", "lists": [shared, shared],
    }


def test_every_kind_of_value_comes_back_from_here_as_it_was(trainhost, tmp_path):
    value = every_kind()
    torch.save(value, tmp_path / "zip.pt")
    for protocol in (2, 3, 4, 5):
        torch.save(value, tmp_path / f"{protocol}.pt", pickle_protocol=protocol)
    plain = {key: value[key] for key in value if key not in ("meta",)}
    torch.save(plain, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    names = ["zip.pt", "2.pt", "3.pt", "4.pt", "5.pt", "old.pt"]
    rewritten(trainhost, tmp_path, *names)
    for name in names:
        got = torch.load(tmp_path / f"{name}.ours", weights_only=True)
        same(got, plain if name == "old.pt" else value)
        assert got["lists"][0] is got["lists"][1]
        assert len({t.untyped_storage().data_ptr() for t in got["views"]}) == 1
        assert zipfile.ZipFile(tmp_path / f"{name}.ours").testzip() is None
    for mmap in (True, False):
        same(torch.load(tmp_path / "zip.pt.ours", mmap=mmap), value)


def test_the_file_is_the_same_whichever_way_it_was_read(trainhost, tmp_path):
    torch.save(every_kind(), tmp_path / "a.pt")
    trainhost.lua("""
      local torch = require "torch"
      torch.save(torch.load("a.pt"), "read.pt")
      torch.save(torch.load("a.pt", {mmap = true}), "mapped.pt")
      torch.save(torch.load("read.pt"), "twice.pt")""", cwd=tmp_path)
    data = (tmp_path / "read.pt").read_bytes()
    assert (tmp_path / "mapped.pt").read_bytes() == data and (tmp_path / "twice.pt").read_bytes() == data


def test_what_lua_writes_python_reads(trainhost, tmp_path):
    trainhost.lua("""
      local torch = require "torch"
      local base = torch.arange(6):to(torch.float32)
      torch.save({
        model = torch.nn.Linear(2, 3):state_dict(), epoch = 3, loss = 0.1 + 0.2, best = true, name = "n\\u{e4}",
        history = {1, 2.5, torch.ones(2)}, none = torch.None, [0] = "zero", nothing = {}, list = torch.serialization.list {},
        pair = torch.serialization.tuple {1, "x"}, half = torch.ones(2):to(torch.float8_e4m3fn), views = {base, base[{torch.slice(2, 4)}]},
        size = base.shape, dtype = torch.uint16, device = torch.device("cuda:1"), parameter = torch.nn.Parameter(base),
        bytes = "\\xff\\0", inf = math.huge, whole = 3.0, min = math.mininteger,
      }, "lua.pt")
      torch.save(nil, "nil.pt")
      torch.save(torch.eye(2):to_sparse(), "sparse.pth")
      torch.save("text", "no_extension")""", cwd=tmp_path)
    got = torch.load(tmp_path / "lua.pt", weights_only=True)
    base = torch.arange(6.)
    linear = torch.nn.Linear(2, 3)
    assert type(got["model"]) is collections.OrderedDict
    assert linear.load_state_dict(got.pop("model"), strict=True) and got["views"][1].untyped_storage().data_ptr() == got["views"][0].untyped_storage().data_ptr()
    same(got, {0: "zero", "best": True, "bytes": b"\xff\0", "device": torch.device("cuda", 1), "dtype": torch.uint16, "epoch": 3,
               "half": torch.ones(2).to(torch.float8_e4m3fn), "history": [1, 2.5, torch.ones(2)], "inf": float("inf"), "list": [], "loss": 0.1 + 0.2,
               "min": -2**63, "name": "n\u00e4", "none": None, "nothing": {}, "pair": (1, "x"), "parameter": torch.nn.Parameter(base),
               "size": torch.Size([6]), "views": [base, base[2:4]], "whole": 3.0})
    assert torch.load(tmp_path / "nil.pt") is None and torch.load(tmp_path / "no_extension") == "text"
    same(torch.load(tmp_path / "sparse.pth"), torch.eye(2).to_sparse())


def test_lazy_modules_cross_in_both_ways(trainhost, tmp_path):
    net = "torch.nn.Sequential(torch.nn.LazyLinear(2), torch.nn.LazyBatchNorm1d())"
    lazy = eval(net)
    torch.save(lazy.state_dict(), tmp_path / "lazy.pt")
    trainhost.lua(f"""
      local torch = require "torch"
      local net = {net}
      assert(tostring(net:load_state_dict(torch.load("lazy.pt"))) == "<All keys matched successfully>")
      torch.save(net:state_dict(), "lua.pt")""", cwd=tmp_path)
    state = torch.load(tmp_path / "lua.pt", weights_only=False)
    kinds = {name: (type(value), value.requires_grad) for name, value in state.items()}
    assert kinds == {name: (type(value), value.requires_grad) for name, value in lazy.state_dict(keep_vars=True).items()}
    assert not eval(net).load_state_dict(state).missing_keys


def train(model, optimizer, steps):
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        x = torch.rand(8, 3, generator=generator)
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("name, options", [("AdamW", {"fused": True}), ("AdamW", {}), ("Adam", {"amsgrad": True}), ("SGD", {"momentum": 0.9}), ("SGD", {})])
def test_an_optimizer_of_python_goes_on_from_a_file_rewritten_here(trainhost, tmp_path, name, options):
    torch.manual_seed(0)
    make = lambda: torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))  # noqa: E731
    optim = lambda m: getattr(torch.optim, name)(m.parameters(), lr=0.01, **options)  # noqa: E731
    model = make()
    optimizer = optim(model)
    train(model, optimizer, 3)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "a.pt")
    rewritten(trainhost, tmp_path, "a.pt")
    got = torch.load(tmp_path / "a.pt.ours", weights_only=True)
    same(got, torch.load(tmp_path / "a.pt"))
    other = make()
    other.load_state_dict(got["model"], strict=True)
    optimizer2 = optim(other)
    optimizer2.load_state_dict(got["optimizer"])
    train(model, optimizer, 2)
    train(other, optimizer2, 2)
    same(other.state_dict(), model.state_dict())


def test_optimizers_hand_over_to_each_other_in_both_ways(trainhost, tmp_path):
    """Python trains 3 steps, Lua 2 more, Python 2 more: bit for bit as Python alone with the same kernels."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=True)
    train(model, optimizer, 3)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                "x": [torch.rand(8, 3, generator=torch.Generator().manual_seed(step)) for step in range(2)]}, tmp_path / "a.pt")
    trainhost.lua("""
      local torch = require "torch"
      local saved = torch.load("a.pt")
      local model = torch.nn.Linear(3, 2)
      model:load_state_dict(saved.model)
      local optimizer = torch.optim.AdamW(model:parameters(), {lr = 0.5})
      optimizer:load_state_dict(saved.optimizer)
      for _, x in ipairs(saved.x) do
        optimizer:zero_grad()
        model(x):square():sum():backward()
        optimizer:step()
      end
      torch.save({model = model:state_dict(), optimizer = optimizer:state_dict()}, "b.pt")""", cwd=tmp_path)
    got = torch.load(tmp_path / "b.pt")
    other = torch.nn.Linear(3, 2)
    other.load_state_dict(got["model"])
    optimizer2 = torch.optim.AdamW(other.parameters(), lr=0.7)
    optimizer2.load_state_dict(got["optimizer"])
    train(model, optimizer, 2)
    same(other.state_dict(), model.state_dict())
    train(model, optimizer, 2)
    train(other, optimizer2, 2)
    same(other.state_dict(), model.state_dict())
