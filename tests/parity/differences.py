# What differs between a result or an error of Python's and of Lua's, in a line.
import re

import tolerances
import torch
from exchange import Sparse, as_bytes, difference


def compare(operator, expected, got):
    rtol, atol = tolerances.of(operator)
    if expected == [None] and not got:  # Python's functions return None, Lua's nothing
        return None
    if len(expected) != len(got):
        return f"expected {len(expected)} values, got {len(got)}"
    for place, (a, b) in enumerate(zip(expected, got)):
        if text := one(a, b, rtol, atol, tolerances.is_undefined(operator)):
            return f"[{place}] {text}"
    return None


def one(a, b, rtol, atol, undefined):
    if isinstance(a, torch.Tensor) and a.layout != torch.strided:
        return sparse(a, b, rtol, atol)
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        if a.dtype != b.dtype or a.shape != b.shape:
            return f"expected {a.dtype} {tuple(a.shape)}, got {b.dtype} {tuple(b.shape)}"
        if a.stride() != b.lua_strides:
            return f"expected strides {a.stride()}, got {b.lua_strides} of shape {tuple(a.shape)}"
        if a.requires_grad != b.lua_requires_grad:
            return f"expected requires_grad {a.requires_grad}, got {b.lua_requires_grad}"
        a = a.detach().resolve_conj().resolve_neg()
        if undefined or as_bytes(a) == as_bytes(b):
            return None
    return difference(a, b, rtol, atol)


def sparse(a, b, rtol, atol):
    if not isinstance(b, Sparse):
        return f"expected a tensor of layout {a.layout}, got {b!r:.100}"
    a = a.detach()
    parts = {torch.sparse_coo: lambda: [a._indices(), a._values()],
             torch.sparse_csr: lambda: [a.crow_indices(), a.col_indices(), a.values()],
             torch.sparse_bsr: lambda: [a.crow_indices(), a.col_indices(), a.values()],
             torch.sparse_csc: lambda: [a.ccol_indices(), a.row_indices(), a.values()],
             torch.sparse_bsc: lambda: [a.ccol_indices(), a.row_indices(), a.values()]}[a.layout]()
    if (str(a.layout), list(a.shape)) != (b.layout, b.shape):
        return f"expected {a.layout} {tuple(a.shape)}, got {b.layout} {b.shape}"
    return difference(parts, b.parts, rtol, atol)


def plain(text):
    """A message without what the two languages spell differently."""
    text = re.sub(r"\s+", " ", text.strip().lower())
    text = re.sub(r"\b(none|nil)\b", "nil", text)
    text = re.sub(r"['\"`]", "", text)
    text = text.replace("tuple", "table").replace("list", "table").replace("(", "{").replace(")", "}")
    text = text.replace("[", "{").replace("]", "}").replace("torch.size", "")
    return re.sub(r"\s+", " ", text).rstrip(".")


def is_of_pytorch(error, args):
    """Is the error PyTorch's own, and one that Lua has? Python's speaks of its own classes; and a float of integer
    value is an integer where Lua calls for one (28 / 2 is 14.0)."""
    text = str(error)
    if isinstance(error, AttributeError) or any(part in text for part in (
            "descriptor '", "unsupported operand type", "failed to match any schema")):
        return False
    return not (isinstance(error, TypeError) and any(isinstance(x, float) and x.is_integer() for x in args))


# What PyTorch's argument parser says of Python's types, and what stands for it in Lua.
PARSER = [
    (r"received an invalid combination of arguments", r"no signature takes|argument|expected"),
    (r"argument '(\w+)'.* must be .*, not ", r"argument '(\w+)'.* must be |no signature takes"),
    (r"missing \d+ required positional arguments?: (\S+)", r"missing argument|is missing|no signature takes"),
    (r"expected Tensor as element \d+ in argument", r"must be a list of Tensors"),
    (r"unexpected keyword argument '(\w+)'", r"unknown keyword|no signature takes"),
]


def compare_error(error, result):
    message = str(error)
    if result.error is None:
        return f"expected the error {type(error).__name__}: {message[:200]}"
    if plain(message) in plain(result.error):
        return None
    if isinstance(error, TypeError):
        for theirs, ours in PARSER:
            if re.search(theirs, message) and re.search(ours, result.error):
                return None
    return (f"expected the error {type(error).__name__}: {message.splitlines()[0] if message else '':.200} | "
            f"got: {result.error:.200}")
