# Arguments by name: each parameter of Python's functions is taken by its name in Lua as well (decisions: a last table).
# PyTorch says which functions and names there are. A call with values that fit nothing must then do the same by position
# and by name, and a name that no function has must be refused. What operators of C++ take is in test_dispatch.py.
import inspect
import types

import pytest
import torch
import torch.autograd.forward_ad
import torch.utils.checkpoint
from names import SPACES

MODULES = {**SPACES, "torch.Tensor": torch.Tensor} | {
    f"torch.{name}": eval(f"torch.{name}", {"torch": torch}) for name in (
        "autograd", "autograd.anomaly_mode", "autograd.forward_ad", "autograd.functional", "autograd.graph", "cuda", "cuda.amp",
        "cuda.nvtx", "random", "amp", "func", "accelerator", "cpu", "serialization", "utils.checkpoint", "backends.cudnn",
        "backends.cuda", "backends.mha", "backends.mkldnn", "nn.utils")}
# Classes and functions of C++, which say nothing of their parameters.
BUILTIN = {
    "torch.Generator": "device", "torch.device": "type index", "torch.finfo": "type", "torch.iinfo": "type",
    "torch.Tensor.requires_grad_": "requires_grad", "torch.tensor": "data | dtype device requires_grad pin_memory",
    "torch.as_tensor": "data dtype device", "torch.frombuffer": "buffer | dtype count offset requires_grad",
    "torch.Tensor.new_tensor": "data | dtype device requires_grad layout pin_memory", "torch.Tensor.type": "dtype non_blocking",
    "torch.Tensor.cuda": "device non_blocking memory_format", "torch.Tensor.cpu": "memory_format",
    "torch.Tensor.record_stream": "s", "torch.Stream": "device priority",
    "torch.Event": "device enable_timing blocking interprocess",
    "torch.get_rng_state": "", "torch.set_anomaly_enabled": "mode check_nan",
}
# What cannot be seen so, or is not taken, and why.
SKIPPED = {
    "torch.save": "pickle_module and pickle_protocol choose among Python's own writers",
    "torch.serialization.save": "pickle_module and pickle_protocol choose among Python's own writers",
    "torch.autograd.backward": "grad_variables is the deprecated name of grad_tensors",
    "torch.enable_grad": "a decorator in Python; in Lua the function is called at once",
    "torch.autograd.enable_grad": "a decorator in Python; in Lua the function is called at once",
    "torch.tensor": "its first argument is data always (decisions.md 2)",
    "torch.as_tensor": "its first argument is data always (decisions.md 2)",
    "torch.autograd.grad": "an unknown name alone: that `outputs` is missing is found first",
    "torch.Tensor.index": "functorch.dim's, in place of the operator",
}
REMOVED = ("eig", "lstsq", "matrix_rank", "solve", "symeig", "reinforce")  # they raise, whatever is given


def parameters():
    """(path, names by position, names alone, whether any others are taken)"""
    for prefix, module in MODULES.items():
        for name in dir(module):
            value = getattr(module, name, None)
            home = str(getattr(value, "__module__", None) or "torch")
            if name.startswith("_") or not callable(value) or not home.startswith("torch") or name in REMOVED:
                continue
            if isinstance(value, type) and not name[0].islower():
                continue  # classes of Python, but those in BUILTIN
            try:
                given = list(inspect.signature(value).parameters.values())
            except (TypeError, ValueError):
                continue
            kinds = {p.kind for p in given}
            if inspect.Parameter.VAR_POSITIONAL in kinds:
                continue  # f(*args): a last table may be the user's
            if prefix == "torch.Tensor" and isinstance(value, types.FunctionType):
                given = given[1:]
            named = [p for p in given if not p.name.startswith("_")]
            yield (f"{prefix}.{name}", [p.name for p in named if p.kind == p.POSITIONAL_OR_KEYWORD],
                   [p.name for p in named if p.kind == p.KEYWORD_ONLY], inspect.Parameter.VAR_KEYWORD in kinds)
    for path, names in BUILTIN.items():
        by_position, _, alone = names.partition("|")
        yield path, by_position.split(), alone.split(), False


LUA = r"""
local torch = require "torch"
local x = torch.zeros(2, 2, {requires_grad = true})
local function find(path)
  local value = torch
  for part in path:gmatch "[^.]+" do
    if part == "Tensor" then value = x elseif part ~= "torch" then value = value[part] end
  end
  return value
end
-- What a call comes to, as text: how values print is not the point.
local function outcome(...)
  local ok, failure = pcall(...)
  if ok then return "no error" end
  local of_value, message = pcall(function() return failure.message end)
  return (tostring(of_value and message or failure):gsub("0x%x+", ""))
end
local function names(text)
  local list = {}
  for name in text:gmatch "%S+" do list[#list + 1] = name end
  return list
end
for line in io.lines(arg[1]) do
  local path, positional, alone, any = line:match "^(.-)\t(.-)\t(.-)\t(.-)$"
  local there, f = pcall(find, path)
  if not there or f == nil then
    print(path .. "\tabsent\t")
  else
    local by_position, by_name, only = path:find "^torch%.Tensor%." and {x} or {}, {}, {}
    local first = #by_position
    positional, alone = names(positional), names(alone)
    for i, name in ipairs(positional) do
      local value = coroutine.create(print)  -- fits nothing
      by_position[first + i], by_name[name == "end" and "end_" or name] = value, value
    end
    for _, name in ipairs(alone) do
      local value = coroutine.create(print)
      only[name], by_name[name] = value, value
    end
    if #alone > 0 then by_position[#by_position + 1] = only end
    local function with(keywords)
      if first == 1 then return outcome(f, x, keywords) end
      return outcome(f, keywords)
    end
    local expected, got = outcome(f, table.unpack(by_position)), with(by_name)
    local refused = any == "True" or with({no_such_name = 1}):find("no_such_name", 1, true)
    local wrong = expected ~= got and ("by position: %s; by name: %s"):format(expected, got)
      or not refused and "an unknown name is taken" or ""
    print(path .. "\tthere\t" .. wrong:gsub("%s+", " "))
  end
end
"""


@pytest.fixture(scope="module")
def answers(trainhost, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keywords")
    rows = [row for row in parameters() if row[1] or row[2]]
    (folder / "names.txt").write_text("".join(
        f"{path}\t{' '.join(by)}\t{' '.join(alone)}\t{any_name}\n" for path, by, alone, any_name in rows))
    (folder / "keywords.lua").write_text(LUA)
    lines = trainhost.run(folder / "keywords.lua", "--", folder / "names.txt").stdout.splitlines()
    found = [line.split("\t") for line in lines if line.count("\t") == 2 and line.startswith("torch.")]
    assert len(found) == len(rows), lines[-3:]
    return {path: (there == "there", wrong) for path, there, wrong in found}


def test_arguments_are_taken_by_name(answers, lines):
    wrong = [f"{path}: {text}" for path, (there, text) in answers.items() if there and text and path not in SKIPPED]
    there = sum(there for there, _ in answers.values())
    lines.append(f"keywords: {there} of {len(answers)} functions of Python are there; {len(wrong)} refuse a name")
    assert there > 250
    assert not wrong, "\n".join(wrong)


def test_no_skip_is_stale(answers):
    stale = [path for path in SKIPPED if path not in answers or not answers[path][1]]
    assert not stale, stale
