# Libraries of custom operators: the same .so opened by trainhost and by PyTorch, values and gradients equal, and what is
# said of files that are no such library.
import json

import pytest
import torch


@pytest.fixture(scope="module")
def libraries(trainhost):
    folder = trainhost.path.parent / "tests"
    return {name: folder / f"liblibrary_{name}.so"
            for name in ("operators", "more", "twice", "no_torch", "other_torch", "python_module")}


CALLS = """
local host, torch = require "host", require "torch"
torch.ops.load_library(host.args[1])
local ops = torch.ops.trainhost_test
local out = {}
local function leaf() return torch.tensor({-2.0, -0.5, 0.25, 3.0}, {dtype = torch.float64, requires_grad = true}) end
local function record(name, y, x)
  y:sum():backward()
  out[name] = {value = y:tolist(), grad = x.grad:tolist(), grad_fn = "<" .. y.grad_fn:name() .. ">"}
end
local x = leaf(); record("cube", ops.cube(x), x)
x = leaf(); record("soft_clip", ops.soft_clip(x), x)
x = leaf(); record("soft_clip_limit", ops.soft_clip(x, {limit = 2}), x)
x = leaf(); record("weighted", ops.weighted(x, x * x, {alpha = 3, dims = {0}, keepdim = true}), x)
x = leaf(); record("weighted_mean", ops.weighted(x, nil, {alpha = 0.5, mode = "mean", eps = 0}), x)
x = leaf(); record("weighted_dtype", ops.weighted(x, {dtype = torch.float32}), x)
x = leaf()
local first = torch.autograd.grad(ops.cube(x):sum(), x, {create_graph = true})[1]
out.second = {value = first:tolist(), grad = torch.autograd.grad(first:sum(), x)[1]:tolist()}
local stacked, text, pair, total, none = ops.describe({torch.ones(2), torch.zeros(2)}, {3, 4}, {0.5, 1.25},
  {device = "cpu", word = "there"})
out.describe = {stacked:tolist(), text, pair, total, none}
out.describe_defaults = {select(2, ops.describe({torch.ones(1)}, 7, {1}))}
local y = torch.ones(2)
out.in_place = {rawequal(ops.twice_(y), y), y:tolist()}
print(host.json.encode(out))
"""


def python_calls(path):
    torch.ops.load_library(str(path))
    ops = torch.ops.trainhost_test
    out = {}

    def leaf():
        return torch.tensor([-2.0, -0.5, 0.25, 3.0], dtype=torch.float64, requires_grad=True)

    def record(name, y, x):
        y.sum().backward()
        out[name] = {"value": y.tolist(), "grad": x.grad.tolist(), "grad_fn": f"<{y.grad_fn.name()}>"}

    x = leaf(); record("cube", ops.cube(x), x)
    x = leaf(); record("soft_clip", ops.soft_clip(x), x)
    x = leaf(); record("soft_clip_limit", ops.soft_clip(x, limit=2.0), x)
    x = leaf(); record("weighted", ops.weighted(x, x * x, alpha=3, dims=[0], keepdim=True), x)
    x = leaf(); record("weighted_mean", ops.weighted(x, None, alpha=0.5, mode="mean", eps=0.0), x)
    x = leaf(); record("weighted_dtype", ops.weighted(x, dtype=torch.float32), x)
    x = leaf()
    first = torch.autograd.grad(ops.cube(x).sum(), x, create_graph=True)[0]
    out["second"] = {"value": first.tolist(), "grad": torch.autograd.grad(first.sum(), x)[0].tolist()}
    stacked, text, pair, total, none = ops.describe([torch.ones(2), torch.zeros(2)], [3, 4], [0.5, 1.25], device="cpu",
                                                    word="there")
    out["describe"] = [stacked.tolist(), text, pair, total, none]
    out["describe_defaults"] = list(ops.describe([torch.ones(1)], 7, [1.0])[1:])
    y = torch.ones(2)
    ops.twice_(y)
    out["in_place"] = [True, y.tolist()]
    return out


def test_operators_and_gradients_are_pythons(trainhost, libraries):
    ours = json.loads(trainhost.lua(CALLS, "--", libraries["operators"]))
    theirs = python_calls(libraries["operators"])
    for name in theirs:
        assert ours[name] == theirs[name], name
    assert ours.keys() == theirs.keys()


NESTED = """
local host, torch = require "host", require "torch"
torch.ops.load_library(host.args[1])
local ops, None = torch.ops.trainhost_test, torch.None
local function t(...) return torch.tensor {...} end
local function list(x) -- tensors as lists, None as "None"
  if x == None then return "None" end
  if torch.is_tensor(x) then return x:tolist() end
  if type(x) ~= "table" then return x end
  local out = {}
  for k, v in pairs(x) do out[k] = list(v) end
  return out
end
local out = {
  rows = ops.rows {{1, 2}, {4}, {3}},
  float_rows = ops.rows {{4 / 2}},
  doubled = list(ops.doubled {x = {a = t(1), b = t(2, 3)}}),
  keys = ops.keys {x = {c = t(1), a = t(1), b = t(1)}},
  groups = list(ops.groups {{t(1)}, {t(2), t(3)}}),
  pair = list {ops.pair {t(5), 6}},
  holes = list(ops.holes {t(1), None, t(2)}),
  gaps = list(ops.gaps {1.5, None, 2}),
  by_number = list(ops.by_number {x = {[3] = {1.0, 2.5}, [-1] = {0.5}}}),
}
out.by_number = {out.by_number[3], out.by_number[-1]}
print(host.json.encode(out))
assert(#ops.rows {{}, {1}}[1] == 0 and #ops.groups {} == 0)
assert(#ops.gaps() == 0 and #ops.gaps(nil) == 0)
local wrong = {
  {ops.rows, {{1, "x"}}, "rows: argument 'x' must be a value of type int[][], got table"},
  {ops.rows, {{a = 1}, {2}}, "rows: argument 'x' must be a value of type int[][], got table"},
  {ops.keys, 3, "keys: argument 'x' must be a value of type Dict(str, Tensor), got number 3"},
  {ops.pair, {t(1)}, "pair: argument 'x' must be a value of type (Tensor, int), got table"},
  {ops.pair, {t(1), 2, 3}, "pair: argument 'x' must be a value of type (Tensor, int), got table"},
  {ops.stream, 3, "expected one of:\\n * trainhost_test::stream(Stream x) -> int, which takes what Lua has no value for"},
}
for _, case in ipairs(wrong) do
  local ok, err = pcall(case[1], case[2])
  assert(not ok and err.message:find(case[3], 1, true), tostring(err))
end
"""


def test_lists_of_lists_dicts_and_tuples(trainhost, libraries):
    ours = json.loads(trainhost.lua(NESTED, "--", libraries["operators"]))
    torch.ops.load_library(str(libraries["operators"]))
    ops, t = torch.ops.trainhost_test, lambda *x: torch.tensor(x)

    def plain(x):
        if x is None:
            return "None"
        if isinstance(x, torch.Tensor):
            return x.tolist()
        if isinstance(x, dict):
            return {k: plain(v) for k, v in x.items()}
        return [plain(v) for v in x] if isinstance(x, (list, tuple)) else x

    by_number = ops.by_number({3: [1.0, 2.5], -1: [0.5]})
    theirs = {"rows": ops.rows([[1, 2], [4], [3]]), "float_rows": ops.rows([[2]]),
              "doubled": ops.doubled({"a": t(1), "b": t(2, 3)}), "keys": "a b c ",
              "groups": ops.groups([[t(1)], [t(2), t(3)]]), "pair": ops.pair((t(5), 6)),
              "holes": ops.holes([t(1), None, t(2)]),
              "gaps": ops.gaps([1.5, None, 2.0]), "by_number": [by_number[3], by_number[-1]]}
    assert ours == plain(theirs)


def test_a_namespace_may_be_used_before_and_grow_after(trainhost, libraries):
    assert trainhost.lua("""
        local host, torch = require "host", require "torch"
        local ops, x = torch.ops.trainhost_test, torch.tensor {2.0}
        assert(not pcall(function() return ops.cube end))
        torch.ops.load_library(host.args[1])
        assert(ops.cube(x):item() == 8 and not pcall(function() return ops.fourth end))
        assert(not pcall(ops.cube, x, 3) and not pcall(function() return ops.cube.scaled end))
        torch.ops.load_library(host.args[2])
        assert(ops.fourth(x):item() == 16 and ops.cube(x, 3):item() == 24 and ops.cube.scaled(x, 2):item() == 16)
        assert(ops.cube.default(x):item() == 8)
        torch.ops.load_library(host.args[2]) -- once more: nothing happens
        local paths = {}
        for path in pairs(torch.ops.loaded_libraries) do paths[#paths + 1] = path end
        assert(#paths == 2 and torch.ops.loaded_libraries[host.args[1]])
        print(tostring(ops.cube.scaled), ops.cube.scaled._schema)
    """, "--", libraries["operators"].resolve(), libraries["more"].resolve()) == \
        "trainhost_test.cube.scaled\ttrainhost_test::cube.scaled(Tensor x, Scalar by) -> Tensor\n"


REFUSED = [
    ("no_torch", "it has nothing of LibTorch in it, so it registers no operators"),
    ("other_torch", "it was built against another LibTorch: 2.13.0, which is loaded here, has no c10::gone_since_1_0("),
    ("python_module", "it is a Python module: it needs PyModule_Create2"),
    ("twice", "Only a single TORCH_LIBRARY can be used to register the namespace trainhost_test"),
]


@pytest.mark.parametrize("name, why", REFUSED, ids=[name for name, _ in REFUSED])
def test_a_library_that_cannot_be_opened_says_why(trainhost, libraries, name, why):
    out = trainhost.lua("""
        local host, torch = require "host", require "torch"
        torch.ops.load_library(host.args[1])
        local ok, err = pcall(torch.ops.load_library, host.args[2])
        print(ok, err.kind, err.message)
        -- What failed left nothing behind: it fails again, and what was there works.
        assert(not pcall(torch.ops.load_library, host.args[2]))
        assert(not torch.ops.loaded_libraries[host.args[2]])
        assert(torch.ops.trainhost_test.cube(torch.ones(1)):item() == 1)
    """, "--", libraries["operators"], libraries[name].resolve())
    path = libraries[name].resolve()
    assert out.startswith(f"false\tio\ttorch.ops.load_library: could not load this library: {path}: {why}")


def test_damaged_files_are_errors(trainhost, libraries, tmp_path):
    whole = libraries["operators"].read_bytes()
    paths = []
    for i, cut in enumerate([0, 3, 16, 63, 64, 200, 4000, len(whole) // 2]):
        paths.append(tmp_path / f"cut{i}.so")
        paths[-1].write_bytes(whole[:cut])
    for i, at in enumerate([4, 16, 32, 54, 56]):  # class, type, place, size and number of the program headers
        paths.append(tmp_path / f"flip{i}.so")
        paths[-1].write_bytes(whole[:at] + b"\xff" * (8 if at == 32 else 2) + whole[at + (8 if at == 32 else 2):])
    out = trainhost.lua("""
        local host, torch = require "host", require "torch"
        for _, path in ipairs(host.args) do
          local ok, err = pcall(torch.ops.load_library, path)
          print(ok, err.kind)
        end
    """, "--", *paths)
    assert out == "false\tio\n" * len(paths)
