# One case of a campaign: what Python does with it, and the same as Lua code.
import opinfo
import torch
from differences import is_of_pytorch
from trace import Trace, Untranslatable, leaves


def prepare(wanted, exchange):
    """(trace, expected results, Lua code), or None for an error that is Python's alone."""
    start = len(exchange.bytes)
    try:
        return attempt(wanted, exchange)
    except Untranslatable:
        del exchange.bytes[start:]
        raise


def attempt(wanted, exchange):
    trace, out = Trace(exchange), None
    function, kwargs = wanted.function, wanted.kwargs
    args = tuple(trace.copy(value) for value in wanted.args)
    kwargs = {name: trace.copy(value) for name, value in kwargs.items()}
    if isinstance(function, opinfo.Out):
        for x in trace.inputs:
            x.requires_grad_(False)
        trace.inputs, trace.declared = [], []
        try:
            plain = function.function(*args, **kwargs)
        except Exception:
            return None
        if not all(isinstance(x, torch.Tensor) and x.layout == torch.strided for x in leaves(plain)):
            return None
        out = [trace.declare(x) for x in function.tensors(leaves(plain))]
        kwargs["out"] = out[0] if isinstance(plain, torch.Tensor) else tuple(out)
        function = function.function
    trace.run(function, args, kwargs)
    if trace.error is not None:
        if not is_of_pytorch(trace.error, args) or isinstance(trace.error, TypeError) and wanted.aspect != "error":
            return None
        code = trace.lua_error()
        exchange.case(wanted.name, code)
        return trace, None, code
    if wanted.aspect == "error":
        return None
    results = trace.results()
    shown = out if results == [None] and out else None  # Python returns nothing where it filled a list
    results = shown or results
    gradients, order = gradients_of(results, trace.inputs, wanted.order)
    body = trace.lua_body(order, shown)
    exchange.case(wanted.name, body)
    return trace, results + gradients, body


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
