# Numbers that cross between trainhost and Python without losing a bit: hexadecimal floats, one tensor a line.
import torch

# dump(name, tensor) prints a tensor, say(name, text) a string.
LUA = r"""
local torch = require "torch"
local nn, F = torch.nn, torch.nn.functional
local function dump(name, t)
  local values = t:detach():to(torch.float64):reshape(-1):tolist()
  for i, v in ipairs(values) do values[i] = ("%a"):format(v) end
  print(("T|%s|%s|%s"):format(name, table.concat(t.shape, ","), table.concat(values, " ")))
end
local function say(name, text) print(("S|%s|%s"):format(name, (tostring(text):gsub("\n", "\\n")))) end
"""


def read(text):
    """What dump and say printed: name -> float64 tensor or str."""
    out = {}
    for line in text.splitlines():
        if line.startswith("T|"):
            _, name, shape, values = line.split("|")
            numbers = [float.fromhex(v) for v in values.split()]
            out[name] = torch.tensor(numbers, dtype=torch.float64).reshape([int(n) for n in shape.split(",") if n])
        elif line.startswith("S|"):
            _, name, value = line.split("|", 2)
            out[name] = value.replace("\\n", "\n")
    return out


def same_bits(ours, theirs):
    theirs = theirs.detach().double()
    assert ours.shape == theirs.shape
    if not torch.equal(ours, theirs):
        worst = (ours - theirs).abs().max().item()
        raise AssertionError(f"not bit-equal: worst difference {worst:g} of {theirs.abs().max().item():g}")


def lua_value(value):
    """A Python value as Lua source."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(map(lua_value, value)) + "}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {lua_value(v)}" for k, v in value.items()) + "}"
    return repr(value)
