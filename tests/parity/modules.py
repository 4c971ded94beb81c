# The cases of modules: PyTorch's own module inputs and those of layers.py, each made, run forward and backward in training
# and in evaluation, with all that is compared in one list.
import dataclasses
import functools
import inspect
import random

import layers
import torch
from case import Dropped, gradients_of
from messages import is_of_pytorch
from names import public_path
from torch import nn
from trace import SEED, Untranslatable, fresh, leaves


WHOLE = 100000  # inputs of a module and dtype
SAMPLE = 25


@dataclasses.dataclass
class Wanted:
    """One module, made with these arguments and called with those."""
    name: str  # "nn.Linear float32 #3 train"
    operator: str  # "nn.Linear"
    aspect: str  # "train", "eval" or "error"
    module: type
    made: tuple  # args, kwargs
    called: tuple | None
    dtype: torch.dtype


@dataclasses.dataclass
class Case:
    """What campaign.py asks a case for."""
    name: str
    error: Exception | None = None

    def names(self):
        return [f"torch.{self.name}"]


@functools.cache
def entries():
    """Name -> what has module_cls, supported_dtypes, module_inputs_func and module_error_inputs_func."""
    from torch.testing._internal.common_modules import module_db

    found = {info.name: [info] for info in module_db}
    for row in layers.rows():
        found.setdefault(row.name, []).append(row)
    return found


def missing_of(trainhost):
    """The modules that Lua has not."""
    names = sorted(name.removeprefix("nn.") for name in entries())
    code = 'local nn = require("torch").nn\nfor name in ("%s"):gmatch "%%S+" do print(name, (pcall(function() return nn[name] end))) end'
    return {f"nn.{line.split()[0]}" for line in trainhost.lua(code % " ".join(names)).splitlines() if line.endswith("false")}


def short(dtype):
    return str(dtype).removeprefix("torch.")


def cases_of(name, size, seed, totals):
    """All Wanted of one module, at most `size` inputs of each dtype. `totals` counts what was taken and what there is."""
    for number, info in enumerate(entries()[name]):
        for dtype in sorted(info.supported_dtypes("cpu"), key=str):
            for training in (True, False):
                title = f"{name} {short(dtype)}{' +' if number else ''}"
                torch.manual_seed(random.Random(f"{title} {training}").getrandbits(31))
                inputs = list(info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=training))
                chosen = range(len(inputs))
                if len(inputs) > size:
                    chosen = sorted(random.Random(f"{seed} {title}").sample(chosen, size))
                totals[0] += len(chosen)
                totals[1] += len(inputs)
                for place in chosen:
                    yield wanted_of(f"{title} #{place}", name, "train" if training else "eval", info, inputs[place], dtype)
        if info.module_error_inputs_func is not None:
            found = info.module_error_inputs_func(info, device="cpu", dtype=torch.float32, requires_grad=True, training=True)
            for place, wrong in enumerate(found):
                yield wanted_of(f"{name} #{place}", name, "error", info, wrong.module_error_input, torch.float32)


def wanted_of(title, name, aspect, info, given, dtype):
    made, called = given.constructor_input, given.forward_input
    return Wanted(f"{title} {aspect}", name, aspect, info.module_cls, (made.args, made.kwargs),
                  called and (called.args, called.kwargs), dtype)


class Writer:
    """Python's values as Lua code; the tensors among them are declared and copied for Python."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.declarations, self.inputs, self.declared, self.copies = [], [], [], {}

    def copy(self, value):
        """The value for Python, and its Lua expression."""
        if isinstance(value, nn.utils.rnn.PackedSequence):
            parts = [self.copy(part) for part in value]
            codes = ", ".join("nil" if part is None else code for part, code in parts)
            return nn.utils.rnn.PackedSequence(*[part for part, _ in parts]), f"torch.nn.utils.rnn.PackedSequence({codes})"
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        if type(value) in (list, tuple):
            parts = [self.copy(item) for item in value]
            return type(value)(part[0] for part in parts), "{" + ", ".join(part[1] for part in parts) + "}"
        if isinstance(value, nn.Module):
            return value, self.module(value)
        if isinstance(value, nn.LinearCrossEntropyOptions):
            fields = dataclasses.asdict(value)
            return value, f"torch.nn.LinearCrossEntropyOptions{self.named(fields)}"
        if callable(value) and public_path(value):
            return value, public_path(value)
        try:
            return value, self.exchange.lua(value)
        except TypeError as error:
            raise Untranslatable(str(error)) from None

    def tensor(self, value):
        if id(value) not in self.copies:
            copy, name = fresh(value), f"t{len(self.copies)}"
            self.declarations.append(f"local {name} = {self.exchange.tensor(copy)}")
            self.copies[id(value)] = copy, name, value
            if copy.requires_grad:
                self.inputs.append(copy)
                self.declared.append(name)
        copy, name, _ = self.copies[id(value)]
        # A clone, so that layers may write into their inputs.
        return (copy.clone(), f"{name}:clone()") if copy.requires_grad else (copy, name)

    def named(self, values):
        return "{" + ", ".join(f"{name} = {self.copy(value)[1]}" for name, value in values.items()) + "}"

    def module(self, value):
        """The expression of a module that another one is made with."""
        name = type(value).__name__
        if name not in layers.REMADE:
            raise Untranslatable(f"a {name} as an argument")
        state = ", ".join(f'["{key}"] = {self.copy(x.detach())[1]}' for key, x in value.state_dict().items())
        return (f"X.loaded(torch.{value.__class__.__module__.split('.')[1]}.{name}{self.named(layers.REMADE[name](value))}, "
                f"{{{state}}})")


def bound(module, args, kwargs):
    """The arguments of forward by position: Lua's modules take them so."""
    values = inspect.signature(module.forward).bind(*args, **kwargs)
    values.apply_defaults()
    given = []
    for name, parameter in inspect.signature(module.forward).parameters.items():
        value = values.arguments[name]
        given += value if parameter.kind is parameter.VAR_POSITIONAL else [value]
    while given and given[-1] is None:
        given.pop()
    return given


def prepare(wanted, exchange):
    """(case, expected results, Lua code). Raises Untranslatable or Dropped for what is not run."""
    writer, case = Writer(exchange), Case(wanted.operator)
    made = [writer.copy(value) for value in wanted.made[0]]
    named = {name: writer.copy(value) for name, value in wanted.made[1].items()}
    keywords = "{" + ", ".join(f"{name} = {code}" for name, (_, code) in named.items()) + "}" if named else None
    make = f"torch.{wanted.operator}({', '.join([code for _, code in made] + ([keywords] if keywords else []))})"
    lines, fields = [f"local m = {make}", f"m:to({wanted.dtype})"], {}
    if wanted.aspect == "eval":
        lines.append("m:eval()")
    order = 0
    try:
        torch.manual_seed(SEED)
        m = wanted.module(*[value for value, _ in made], **{name: value for name, (value, _) in named.items()})
        m.to(wanted.dtype).train(wanted.aspect != "eval")
        call, results, fields = "", [], fields_of(m)
        before = state_of(m)
        if wanted.called is not None:
            args, kwargs = wanted.called
            given = [writer.copy(value) for value in bound(m, args, kwargs)]
            call = ", ".join("nil" if value is None else code for value, code in given)
            torch.manual_seed(SEED)
            results = leaves(m(*[value for value, _ in given]))
        inputs = writer.inputs + [p for p in m.parameters() if p.requires_grad]
        gradients, order = gradients_of(results, inputs, 1)
        expected = [repr(m), *leaves(list(fields.values())), *before, *results, *gradients, *state_of(m)]
    except (Untranslatable, Dropped):
        raise
    except Exception as error:
        if not is_of_pytorch(error, wanted.made[0]):
            raise Dropped("the error is one of Python's language") from None
        case.error, expected = error, None
        if wanted.called is not None and "given" not in locals():
            given = [writer.copy(value) for value in wanted.called[0]]
            call = ", ".join(code for _, code in given)
    if wanted.aspect == "error" and case.error is None:
        raise Dropped("an error of the database that Python does not raise")
    forward = f"function() return m({call}) end" if wanted.called is not None else "nil"
    body = "\n  ".join([*writer.declarations, "X.seed()", *lines,
                        f"return X.module(m, {exchange.lua(list(fields))}, {{{', '.join(writer.declared)}}}, {order}, "
                        f"{forward})"])
    exchange.case(wanted.name, body)
    return case, expected, body


def fields_of(m):
    """What PyTorch lists as a module's settings, by name."""
    names = sorted(name for name in getattr(m, "__constants__", ()) if name in vars(m))
    return {name: [as_text(item) for item in value] if isinstance(value := getattr(m, name), (tuple, list)) else value
            for name in names}


def as_text(item):
    """None in a list is a value of Lua's, which prints as here."""
    return "None" if item is None else item


def state_of(m):
    """The names and values of a state dict; values that are not there yet have none."""
    state = m.state_dict()
    values = [x.detach().clone() for x in state.values()
              if isinstance(x, torch.Tensor) and not isinstance(x, nn.parameter.UninitializedTensorMixin)]
    return [" ".join(state), *values]
