# One case of a campaign: what Python does with it, and the same as Lua code.
import opinfo
import torch
from messages import is_of_pytorch
from trace import Trace, leaves


class Dropped(Exception):
    """A case that is not run: the reason."""


def prepare(wanted, exchange):
    """(trace, expected results, Lua code). Raises Dropped, or Untranslatable for what has no form in Lua."""
    trace, out = Trace(exchange), None
    function, kwargs = wanted.function, wanted.kwargs
    args = tuple(trace.copy(value) for value in wanted.args)
    kwargs = {name: trace.copy(value) for name, value in kwargs.items()}
    if isinstance(function, opinfo.Out):
        for x in trace.inputs:
            x.requires_grad_(False)
        trace.inputs, trace.declared = [], []
        out = outputs_of(function, args, kwargs, trace)
        kwargs["out"] = out[0] if function.single else tuple(out)
        function = function.function
    trace.run(function, args, kwargs)
    if trace.error is not None:
        if not is_of_pytorch(trace.error, args):
            raise Dropped("the error is one of Python's language")
        code = trace.lua_error()
        exchange.case(wanted.name, code)
        return trace, None, code
    if wanted.aspect == "error":
        raise Dropped("an error of the database that Python does not raise")
    results = trace.results()
    shown = out if results == [None] and out else None  # Python returns nothing where it filled a list
    results = shown or results
    gradients, order = gradients_of(results, trace.inputs, wanted.order)
    body = trace.lua_body(order, shown)
    exchange.case(wanted.name, body)
    return trace, results + gradients, body


def outputs_of(function, args, kwargs, trace):
    """The tensors that out= is given: of the shapes of what the call without it returns."""
    try:
        plain = function.function(*args, **kwargs)
    except Exception:
        raise Dropped("out=: the call without it raises already") from None
    if not all(isinstance(x, torch.Tensor) for x in leaves(plain)):
        raise Dropped("out=: the call without it returns no tensors")
    if not all(x.layout == torch.strided for x in leaves(plain)):
        raise Dropped("out=: the result is sparse")
    function.single = isinstance(plain, torch.Tensor)
    return [trace.declare(x) for x in function.tensors(leaves(plain))]


def ramp(tensor):
    return torch.linspace(0.5, 1.5, tensor.numel(), dtype=tensor.dtype).reshape(tensor.shape)


def gradients_of(results, inputs, order):
    """The gradients up to `order`, and up to which order Python could make them."""
    if not inputs or any(isinstance(x, torch.Tensor) and x.layout != torch.strided for x in results + inputs):
        return [], 0
    found, current = [], results
    for level in range(order):
        outputs = [torch.view_as_real(x.resolve_conj()) if x.is_complex() else x for x in current
                   if isinstance(x, torch.Tensor) and x.requires_grad]
        if not outputs:
            break
        try:
            current = list(torch.autograd.grad(outputs, inputs, [ramp(x) for x in outputs], allow_unused=True,
                                               create_graph=order == 2))
        except RuntimeError:  # no formula, or none for this dtype
            return gradients_of(results, inputs, 1) if level == 1 else ([], 0)
        found += current
    return found, order
