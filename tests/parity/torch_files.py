# What the tests of torch.save's files share: values compared to the last bit, files written again by trainhost.
import torch

REWRITE = """
  local torch = require "torch"
  for i, name in ipairs(arg) do torch.save(torch.load(name), name .. ".ours") end"""


def rewritten(trainhost, folder, *names, **options):
    trainhost.run("-e", REWRITE, "--", *names, cwd=folder, **options)


def same(a, b, path="value"):
    """Equal in type, order of keys, dtype, shape, strides and every bit."""
    assert type(a) is type(b), f"{path}: {type(a)} and {type(b)}"
    if isinstance(a, torch.Tensor):
        assert (a.dtype, a.shape, a.layout, a.requires_grad, a.device) == (b.dtype, b.shape, b.layout, b.requires_grad, b.device), path
        if a.is_meta:
            assert a.stride() == b.stride()
        elif a.layout == torch.sparse_coo:
            assert a.is_coalesced() == b.is_coalesced(), path
            same(a._indices(), b._indices(), path)
            same(a._values(), b._values(), path)
        elif a.layout != torch.strided:
            rows = a.layout in (torch.sparse_csr, torch.sparse_bsr)
            same(a.crow_indices() if rows else a.ccol_indices(), b.crow_indices() if rows else b.ccol_indices(), path)
            same(a.col_indices() if rows else a.row_indices(), b.col_indices() if rows else b.row_indices(), path)
            same(a.values(), b.values(), path)
        else:
            assert a.stride() == b.stride() and a.storage_offset() == b.storage_offset(), path
            assert (a.is_conj(), a.is_neg()) == (b.is_conj(), b.is_neg()), path
            assert bytes(a.untyped_storage()) == bytes(b.untyped_storage()), path
    elif isinstance(a, dict):
        assert list(a) == list(b), path
        for key in a:
            same(a[key], b[key], f"{path}[{key!r}]")
        if hasattr(a, "__dict__"):
            same(vars(a), vars(b), path)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b)):
            same(x, y, f"{path}[{i}]")
    else:
        assert a == b or a != a and b != b, path
