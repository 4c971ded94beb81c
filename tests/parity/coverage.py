# What PyTorch has, read from PyTorch: the functions and attributes of its public namespaces, and its operators.
import dataclasses
import pathlib
import re
import types

import torch
from names import OPERATORS, SPACES, lua_method

SKIPS = pathlib.Path(__file__).resolve().parent / "skips.tsv"
LEAST = 0.98  # of the names are callable
VALUES = (torch.dtype, torch.layout, torch.memory_format, float, torch.Generator)
# Types that scripts call as functions have small letters; dtype, layout ... cannot be called at all.
NOT_MADE = (torch.dtype, torch.layout, torch.memory_format, torch.qscheme)


@dataclasses.dataclass(repr=False)
class Entry:
    name: str  # "torch.linalg.norm", "torch.Tensor.add", "torch.ops.aten.copy"
    kind: str  # "function", "value", "method", "attribute", "operator"
    callable: bool = False
    equal: bool = False
    skip: str = ""  # the reason


# Modules whose functions others import for their own use.
IMPORTED = (torch.overrides, torch._jit_internal, torch._utils, torch.nn.modules.utils)


def listed(module):
    """The names of a namespace that are functions, or values of PyTorch's own types."""
    for name in dir(module):
        value = getattr(module, name, None)
        if name.startswith("_"):
            continue
        if isinstance(value, type):
            if name.islower() and callable(value) and value not in NOT_MADE and value.__module__.startswith("torch"):
                yield name, "function"
        elif isinstance(value, VALUES):
            yield name, "value"
        elif callable(value) and is_of(value, module):
            yield name, "function"


def is_of(value, module):
    """Is it PyTorch's, and no helper that the module merely imported?"""
    if not isinstance(value, (types.BuiltinFunctionType, types.FunctionType, types.MethodType)):
        return hasattr(value, "__wrapped__") and value.__wrapped__.__module__.startswith("torch")
    home = getattr(value, "__module__", None)
    if module is not torch.Tensor and any(getattr(other, value.__name__, None) is value for other in IMPORTED):
        return False
    imported = ("torch._C", "torch.overrides", "torch._jit_internal", "torch.utils", "torch._utils", "typing", "torch.types")
    if isinstance(value, types.FunctionType) and home is not None and module is not torch.Tensor:
        return home.startswith("torch") and home not in imported
    return True


def entries():
    found = [Entry(f"{prefix}.{name}", kind) for prefix, module in SPACES.items() if prefix != "torch.nn.init"
             for name, kind in listed(module)]
    for name in dir(torch.Tensor):
        value = getattr(torch.Tensor, name, None)
        if name in OPERATORS or not name.startswith("_") and callable(value):
            found.append(Entry(f"torch.Tensor.{name}", "method"))
        elif not name.startswith("_"):
            found.append(Entry(f"torch.Tensor.{name}", "attribute"))
    operators = {full.removeprefix("aten::").split(".")[0] for full in torch._C._dispatch_get_all_op_names()
                 if full.startswith("aten::")}
    found += [Entry(f"torch.ops.aten.{name}", "operator") for name in sorted(operators) if not name.startswith("_")]
    return found


def skips():
    """Pattern -> reason."""
    rows = [line.split("\t") for line in SKIPS.read_text().splitlines() if line and not line.startswith("#")]
    return {pattern: reason for pattern, reason in rows}


LUA = r"""
local torch = require "torch"
local tensors = {torch.zeros(2, 2), torch.zeros({2, 2}, {dtype = torch.complex64})}
local function find(path)
  local value = torch
  for part in path:gmatch("[^.]+") do value = value[part] end
  return value
end
local function is_callable(value)
  local meta = debug.getmetatable(value)
  return type(value) == "function" or meta and meta.__call
end
-- Of the first tensor that has it; one that refuses for its dtype or layout has it, too.
local function attribute(name)
  for _, x in ipairs(tensors) do
    local ok, value = pcall(function() return x[name] end)
    if ok then return true, tostring(value) end
    if not tostring(value):find("has no", 1, true) then return true end
  end
  return false
end
for line in io.lines(arg[1]) do
  local kind, name = line:match("^(%S+) (.+)$")
  local ok, there, text = pcall(function()
    if kind == "attribute" then return attribute(name) end
    if kind == "method" then return is_callable(tensors[1][name]) end
    if kind == "expression" then
      local f = load("local torch, a, b = ... return " .. name)
      local works = pcall(f, torch, torch.tensor{3, 4}, torch.tensor{0, 1})
      return works or f(torch, torch.ones(2, 2), torch.ones(2, 2)) ~= nil
    end
    local value = find(name)
    if kind == "value" then return value ~= nil, tostring(value) end
    return is_callable(value)
  end)
  print((ok and there and "yes" or "no") .. "\t" .. (ok and text and text:gsub("%s+", " ") or ""))
end
"""


def check(found, trainhost, folder):
    """Asks trainhost which of the entries it has; values and attributes are compared, too."""
    script, names = folder / "coverage.lua", folder / "names.txt"
    script.write_text(LUA)
    lines = []
    for entry in found:
        short = entry.name.rpartition(".")[2]
        if entry.name.startswith("torch.Tensor.") and short in OPERATORS:
            lines.append("expression " + OPERATORS[short].format("a", "b"))
        elif entry.kind in ("method", "attribute"):
            lines.append(f"{entry.kind} {lua_method(short)}")
        else:
            lines.append(f"{entry.kind} {entry.name.removeprefix('torch.')}")
    names.write_text("\n".join(lines) + "\n")
    answers = trainhost.run(script, "--", names).stdout.splitlines()
    assert len(answers) == len(found), answers[-3:]
    for entry, answer in zip(found, answers):
        there, text = answer.split("\t")
        entry.callable = there == "yes"
        if entry.kind in ("value", "attribute"):
            entry.equal = entry.callable and text == value_text(entry)


def value_text(entry):
    """What Lua's tostring gives of the value."""
    short = entry.name.rpartition(".")[2]
    try:
        value = getattr(torch.zeros(2, 2) if entry.kind == "attribute" else torch, short)
    except RuntimeError:  # not for this dtype
        value = getattr(torch.zeros(2, 2, dtype=torch.complex64), short)
    if isinstance(value, (bool, type(None))):
        return {True: "true", False: "false", None: "nil"}[value]
    if isinstance(value, float):
        return f"{value:.14g}"
    return str(tuple(value)) if isinstance(value, tuple) else re.sub(r"\s+", " ", str(value))


def mark_equal(found, outcomes):
    """What a case went through without a difference is equal, under each of its names."""
    agreed = {name for outcome in outcomes if outcome.wrong is None for name in outcome.calls}
    same = {}
    for entry in found:
        same.setdefault(identity(entry.name), []).append(entry)
    for group in same.values():
        if any(entry.name in agreed for entry in group):
            for entry in group:
                entry.equal = True


def identity(name):
    """The same for names of one object, and for an operator and the public function that is nothing but it."""
    prefix, _, short = name.rpartition(".")
    if prefix == "torch.ops.aten":
        for space, start in (("torch.linalg", "linalg_"), ("torch.fft", "fft_"), ("torch.special", "special_")):
            if short.startswith(start) and hasattr(SPACES[space], short.removeprefix(start)):
                return id(getattr(SPACES[space], short.removeprefix(start)))
        if isinstance(getattr(torch, short, None), types.BuiltinFunctionType):
            return id(getattr(torch, short))
        return getattr(torch.Tensor, short, name) if not hasattr(torch, short) else name
    if prefix == "torch.Tensor":
        return getattr(torch.Tensor, short, name)
    return id(getattr(SPACES[prefix], short))


def table(found):
    """The whole table as tab-separated text."""
    rows = ["name\tkind\tcallable\tequal\treason"]
    rows += ["\t".join([entry.name, entry.kind, "yes" if entry.callable else "no", "yes" if entry.equal else "",
                        entry.skip]) for entry in found]
    return "\n".join(rows) + "\n"
