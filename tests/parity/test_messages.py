# The tester itself: which errors of Lua's pass for one of Python's.
import pytest
from exchange import Result
from messages import compare_error

LISTED = "f() received an invalid combination of arguments - got (int), but expected one of:\n * (Tensor input)\n * (Tensor input, int dim)\n"

SAME = [
    (RuntimeError("size mismatch"), "torch.f: size mismatch", "shape"),
    (TypeError("f(): argument 'dim' (position 2) must be int, not str"),
     "torch.f: argument 'dim' must be an integer, got string \"a\"", "usage"),
    (TypeError('f() missing 1 required positional arguments: "other"'), "torch.f: missing argument 'other' (a Tensor)", "usage"),
    (TypeError(LISTED), "torch.f: received an invalid combination of arguments - got (number 1), but expected one of:\n"
     " * (Tensor input)\n * (Tensor input, int dim)", "usage"),
    (RuntimeError("expected dtype float"), "torch.f: expected dtype float", "dtype"),
    (RuntimeError("expected all tensors on the same device"), "torch.f: expected all tensors on the same device", "device"),
    (RuntimeError("cannot resize variables that require grad"), "torch.f: cannot resize variables that require grad", "shape"),
    (ValueError("margin must be positive"), "margin must be positive", "usage"),
    (TypeError("expected Tensor as element 1 in argument 0, but got int"),
     "torch.f: argument 'tensors' must be a list of Tensors, got number 3 at [2]", "usage"),
    (MemoryError("not enough memory: you tried to allocate 1 bytes"),
     "torch.f: not enough memory: you tried to allocate 1 bytes", "memory"),
    (RuntimeError("x INTERNAL ASSERT FAILED"), "torch.f: x INTERNAL ASSERT FAILED", "internal"),
]

OTHER = [
    (RuntimeError("size mismatch"), None, ""),
    (RuntimeError(""), "torch.f: an argument is wrong", "usage"),
    (RuntimeError("size mismatch"), "torch.f: an argument is wrong", "usage"),
    (RuntimeError("size mismatch"), "torch.f: size mismatch", "internal"),
    (RuntimeError("size mismatch"), "torch.f: size mismatch", "memory"),
    (RuntimeError("size mismatch"), "torch.f: size mismatch", "usage"),
    (RuntimeError("size mismatch"), "torch.f: size mismatch", "dtype"),
    (RuntimeError("expected dtype float"), "torch.f: expected dtype float", "shape"),
    (TypeError("the size is no int"), "torch.f: the size is no int", "shape"),
    (TypeError(LISTED), "torch.f: argument 'dim' must be an integer, got nil", "usage"),
    (TypeError(LISTED), "torch.f: expected one of:\n * (Tensor input)\n * (Tensor input, int dim)", "usage"),
    (TypeError("f(): argument 'dim' (position 2) must be int, not str"), "torch.f: argument 'other' must be an integer", "usage"),
    (TypeError("f(): argument 'dim' (position 2) must be int, not str"), "torch.f: argument 'dim' must be a string", "usage"),
    (TypeError('f() missing 1 required positional arguments: "other"'), "torch.f: missing argument 'input'", "usage"),
    (TypeError(LISTED), "torch.f: expected an argument\n * (Tensor input)", "usage"),
    (TypeError(LISTED), "torch.f: argument 'size' must be an integer", "usage"),
    (TypeError("expected Tensor as element 1 in argument 0, but got int"), "argument 'tensors' must be a list of Tensors", "usage"),
    (TypeError("something else"), "torch.f: argument 'dim' must be an integer", "usage"),
]


@pytest.mark.parametrize("error, text, kind", SAME)
def test_the_same_error_passes(error, text, kind):
    assert compare_error(error, Result(error=text, kind=kind)) is None


@pytest.mark.parametrize("error, text, kind", OTHER)
def test_another_error_does_not(error, text, kind):
    assert compare_error(error, Result(error=text, kind=kind))


def test_the_class_is_pythons_where_lua_tells_one():
    error = IndexError("start out of range")
    for name, passes in (("IndexError", True), ("", True), ("RuntimeError", False)):
        got = Result(error="torch.f: start out of range", kind="usage", type=name)
        assert (compare_error(error, got) is None) == passes
