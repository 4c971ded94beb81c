# Modules on both sides: PyTorch's samples as Lua, and what is compared: text, initial state, outputs, gradients.
import re

import exchange
import torch
from torch import nn
from torch.nn import functional as F

FUNCTIONS = {F.relu: "torch.nn.functional.relu", F.gelu: "torch.nn.functional.gelu", torch.tanh: "torch.tanh"}
RECORDED = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer, nn.LayerNorm, nn.ReLU)
BODY = """
local nn = torch.nn
%s
torch.manual_seed(7)
local m = %s
local keys, values = {}, {}
for key, value in pairs(m:state_dict()) do
  keys[#keys + 1] = key
  values[#values + 1] = value:clone()
end
local text, n = tostring(m), #values
m:train(%s)
local inputs = {%s}
for _, p in ipairs(m:parameters()) do inputs[#inputs + 1] = p end
torch.manual_seed(5)
local function run()
  local results = table.pack(m(%s))
  for i = 1, results.n do
    if tostring(results[i]):find "^PackedSequence" then
      results[i] = {results[i].data, results[i].batch_sizes}
    end
  end
  return table.unpack(results, 1, results.n)
end
return text, table.concat(keys, " "), values, X.leaves(%s)
"""
WITH_GRADIENTS, WITHOUT = "X.with_gradients(inputs, 1, run)", "torch.no_grad(run)"


def record_constructors(monkeypatch):
    """Modules that samples hand to constructors tell how they were made."""
    for cls in RECORDED:
        def init(self, *args, _init=cls.__init__, **kwargs):
            _init(self, *args, **kwargs)
            self.made_with = args, kwargs
        monkeypatch.setattr(cls, "__init__", init)


class Writer:
    """Lua expressions of arguments; tensors that take gradients become locals."""

    def __init__(self, exchange):
        self.exchange, self.locals, self.leaves, self.known = exchange, [], [], {}

    def value(self, value):
        if value is None:
            return "nil"
        if isinstance(value, torch.Tensor):
            if id(value) in self.known:
                return self.known[id(value)][0]
            name = f"t{len(self.locals)}"
            self.known[id(value)] = name, value  # it stays, and with it its id
            self.locals.append(f"local {name} = {self.exchange.tensor(value)}")
            if value.requires_grad:
                self.leaves.append((name, value))
            return name
        if isinstance(value, nn.utils.rnn.PackedSequence):
            return f"nn.utils.rnn.PackedSequence({self.arguments(tuple(value), {})})"
        if isinstance(value, (list, tuple)):
            return "{" + ", ".join(map(self.value, value)) + "}"
        if callable(value) and value in FUNCTIONS:
            return FUNCTIONS[value]
        if isinstance(value, RECORDED):
            args, kwargs = value.made_with
            state = ", ".join(f'["{key}"] = {self.value(tensor.detach())}' for key, tensor in value.state_dict().items())
            made = f"nn.{type(value).__name__}({self.arguments(args, kwargs)})"
            name = f"made{len(self.locals)}"
            self.locals.append(f"local {name} = {made}\n{name}:load_state_dict({{{state}}})")
            return name
        return self.exchange.lua(value)

    def arguments(self, args, kwargs):
        parts = [self.value(value) for value in args]
        named = [f"{name} = {self.value(value)}" for name, value in kwargs.items() if value is not None]
        return ", ".join(parts + (["{" + ", ".join(named) + "}"] if named else []))


def add(to, name, cls, made, called, training=True, gradients=True):
    """Adds the case to an Exchange; made and called are (args, kwargs). Gives what Python makes of it."""
    writer = Writer(to)
    arguments = writer.arguments(*called)
    leaves = list(writer.leaves)
    constructor = f"nn.{cls.__name__}({writer.arguments(*made)})"
    to.case(name, BODY % ("\n".join(writer.locals), constructor, str(training).lower(),
                          ", ".join(name for name, _ in leaves), arguments, WITH_GRADIENTS if gradients else WITHOUT))
    return lambda: python(cls, made, called, [value for _, value in leaves], training, gradients)


def flat(value):
    if isinstance(value, nn.utils.rnn.PackedSequence):
        return [value.data, value.batch_sizes]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in flat(item)]
    return [value]


def python(cls, made, called, leaves, training, gradients):
    torch.manual_seed(7)
    m = cls(*made[0], **made[1])
    state = {key: value.clone() for key, value in m.state_dict().items()}
    text = repr(m)
    m.train(training)
    torch.manual_seed(5)
    with torch.set_grad_enabled(gradients):
        results = flat(m(*called[0], **called[1]))
    if gradients:
        inputs = leaves + list(m.parameters())
        outputs = [value for value in results if isinstance(value, torch.Tensor) and value.requires_grad]
        weights = [torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape) for value in outputs]
        if outputs:
            results += torch.autograd.grad(outputs, inputs, weights, allow_unused=True)
    return text, " ".join(state), list(state.values()), results


def differences(expected, got, rtol=0.0, atol=0.0):
    """What differs of one case, in lines."""
    if got.error:
        return [f"error: {got.error}"]
    text, keys, state, results = got.values
    lines = []
    if text != expected[0]:
        lines.append(f"text: {text!r} is not {expected[0]!r}")
    if keys != expected[1]:
        lines.append(f"keys: {keys!r} is not {expected[1]!r}")
    if line := exchange.difference(expected[2], state):
        lines.append(f"state: {line}")
    theirs = list(expected[3])
    while theirs and theirs[-1] is None:
        theirs.pop()
    while results and results[-1] is None:
        results.pop()
    if line := exchange.difference(theirs, results, rtol, atol):
        lines.append(f"results: {line}")
    return lines


def matches(pattern, message):
    """Does an error's text have PyTorch's pattern?"""
    return re.search(pattern, message) is not None
