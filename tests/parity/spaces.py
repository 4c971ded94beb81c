# The namespaces beside the operators' own: CUDA, autocast, autograd, random numbers, torch.func, the libraries below.
import pathlib
import sys
import types
import warnings

import coverage
import torch
import torch.autograd.forward_ad
import torch.onnx  # otherwise there only if something has imported it

SKIPS = pathlib.Path(__file__).resolve().parent / "skips_beside.tsv"
NAMES = ("cuda", "cuda.amp", "cuda.nvtx", "cuda.memory", "cuda.random", "amp", "autograd", "autograd.graph", "autograd.forward_ad",
         "autograd.functional", "random", "func", "accelerator", "cpu", "mps", "xpu", "mtia")
# Of C++'s classes in torch those that are documented: the others are TorchScript's and Python's own.
CLASSES = ("dtype", "layout", "memory_format", "Size", "device", "Generator", "Stream", "Event", "finfo", "iinfo",
           "OutOfMemoryError", "AcceleratorError")
ELSEWHERE = ("torch.types", "torch.utils", "torch._utils", "torch.overrides", "torch._C._functorch", "torch._jit_internal")


def modules():
    found = {f"torch.{name}": eval(f"torch.{name}", {"torch": torch}) for name in NAMES}
    found["torch.backends"], found["torch"] = torch.backends, torch
    for name in dir(torch.backends):
        value = getattr(torch.backends, name)
        if isinstance(value, types.ModuleType) and value.__name__.startswith("torch.backends."):
            found[f"torch.backends.{name}"] = value
    return found


def kind_of(value, space):
    """Of what belongs to a namespace; nothing for what it merely imports."""
    if space == "torch":  # its functions and values are in coverage.py; here are its classes and namespaces
        if isinstance(value, types.ModuleType):
            return "space" if value.__name__.count(".") == 1 and sys.modules.get(value.__name__) is value else None
        documented = isinstance(value, type) and (value.__name__ in CLASSES or not hasattr(torch._C, value.__name__))
        return "name" if documented and value.__name__ in torch.__all__ else None
    if isinstance(value, types.ModuleType):
        return "space" if value.__name__.startswith(f"{space}.") else None
    if callable(value):
        home = str(getattr(value, "__module__", ""))
        return "name" if home.startswith("torch") and home not in ELSEWHERE else None
    return "name" if isinstance(value, (bool, int, float, str, torch.Generator)) else None


def entries():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for space, module in modules().items():
            for name in dir(module):
                kind = None if name.startswith("_") or name == "TYPE_CHECKING" else kind_of(getattr(module, name), space)
                if kind:
                    yield coverage.Entry(f"{space}.{name}", kind)


LUA = r"""
local torch = require "torch"
for path in io.lines(arg[1]) do
  local found, value = pcall(function()
    local at = torch
    for part in path:gmatch "[^.]+" do
      if part ~= "torch" then
        local next_value = at[part]
        if next_value == nil then error "absent" end
        at = next_value
      end
    end
    return at
  end)
  -- What a machine without the device has no value for is there all the same.
  print((found or type(value) == "table" and value.kind == "device") and "yes" or "no")
end
"""


def check(found, trainhost, folder):
    (folder / "spaces.lua").write_text(LUA)
    (folder / "spaces.txt").write_text("".join(f"{entry.name}\n" for entry in found))
    answers = trainhost.run(folder / "spaces.lua", "--", folder / "spaces.txt").stdout.splitlines()
    assert len(answers) == len(found), answers[-3:]
    for entry, answer in zip(found, answers, strict=True):
        entry.callable = answer == "yes"


def skips():
    """Pattern -> reason."""
    rows = [line.split("\t") for line in SKIPS.read_text().splitlines() if line and not line.startswith("#")]
    return dict(rows)
