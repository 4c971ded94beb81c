# What differs between a result of Python's and of Lua's, in a line.
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
