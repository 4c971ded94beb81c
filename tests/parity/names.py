# Where Python's functions stand in PyTorch's public namespaces, and how Lua writes a call of each.
import torch

# As Lua writes it -> the namespace. The first that holds an object names it.
SPACES = {
    "torch": torch, "torch.linalg": torch.linalg, "torch.fft": torch.fft, "torch.special": torch.special,
    "torch.nn.functional": torch.nn.functional, "torch.sparse": torch.sparse, "torch.nested": torch.nested,
    "torch.signal.windows": torch.signal.windows, "torch.masked": torch.masked, "torch.nn.init": torch.nn.init,
}
KEYWORDS = {"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil",
            "not", "or", "repeat", "return", "then", "true", "until", "while"}
# Python's special methods whose counterpart in Lua is an operator.
OPERATORS = {
    "__add__": "{0} + {1}", "__radd__": "{1} + {0}", "__sub__": "{0} - {1}", "__rsub__": "{1} - {0}",
    "__mul__": "{0} * {1}", "__rmul__": "{1} * {0}", "__truediv__": "{0} / {1}", "__rtruediv__": "{1} / {0}",
    "__rdiv__": "{1} / {0}",
    "__div__": "{0} / {1}",
    "__floordiv__": "{0} // {1}", "__rfloordiv__": "{1} // {0}", "__mod__": "{0} % {1}", "__rmod__": "{1} % {0}",
    "__pow__": "{0} ^ {1}", "__rpow__": "{1} ^ {0}", "__and__": "{0} & {1}", "__rand__": "{1} & {0}",
    "__or__": "{0} | {1}", "__ror__": "{1} | {0}", "__xor__": "{0} ~ {1}", "__rxor__": "{1} ~ {0}",
    "__lshift__": "{0} << {1}", "__rlshift__": "{1} << {0}", "__rshift__": "{0} >> {1}", "__rrshift__": "{1} >> {0}",
    "__neg__": "-{0}", "__invert__": "~{0}", "__len__": "#{0}", "__abs__": "torch.abs({0})", "__pos__": "{0}:positive()",
    "__eq__": "torch.eq({0}, {1})", "__ne__": "torch.ne({0}, {1})", "__lt__": "torch.lt({0}, {1})",
    "__le__": "torch.le({0}, {1})", "__gt__": "torch.gt({0}, {1})", "__ge__": "torch.ge({0}, {1})",
    "__matmul__": "torch.matmul({0}, {1})", "__rmatmul__": "torch.matmul({1}, {0})",
    "__iadd__": "{0}:add_({1})", "__isub__": "{0}:sub_({1})", "__imul__": "{0}:mul_({1})", "__idiv__": "{0}:div_({1})",
    "__itruediv__": "{0}:div_({1})", "__ifloordiv__": "{0}:floor_divide_({1})", "__imod__": "{0}:remainder_({1})",
    "__ipow__": "{0}:pow_({1})", "__iand__": "{0}:bitwise_and_({1})", "__ior__": "{0}:bitwise_or_({1})",
    "__ixor__": "{0}:bitwise_xor_({1})", "__ilshift__": "{0}:bitwise_left_shift_({1})",
    "__irshift__": "{0}:bitwise_right_shift_({1})", "__getitem__": "{0}[{1}]",
}


def lua_method(name):
    return "rep" if name == "repeat" else name


def _paths():
    paths = {}
    for prefix, space in SPACES.items():
        for name in dir(space):
            value = getattr(space, name, None)
            if callable(value) and not isinstance(value, type) and not name.startswith("__"):
                held = paths.get(id(value))
                if held is None or held[1].startswith(f"{prefix}._") and not name.startswith("_"):
                    paths[id(value)] = value, f"{prefix}.{name}"
    methods = {}
    for name in dir(torch.Tensor):
        value = getattr(torch.Tensor, name, None)
        if callable(value):
            # Aliases share an object: the name that is public stands.
            held = methods.get(id(value))
            if held is None or held[1].startswith("_") and not name.startswith("_"):
                methods[id(value)] = value, name
    return paths, methods


_PATHS, _METHODS = _paths()


def public_path(function):
    """"torch.linalg.norm" of a function of a public namespace, "torch.ops.aten.x" of one that is not public, or None."""
    if isinstance(function, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        namespace, name = function.__module__.removeprefix("torch._ops."), function.__name__.split(".")[0]
        return f"torch.ops.{namespace}.{name}"
    held = _PATHS.get(id(function))
    if held is None:
        return None
    prefix, _, name = held[1].rpartition(".")
    if prefix == "torch" and name.startswith("_"):
        return f"torch.ops.aten.{name}"
    return held[1]


def method_name(function):
    """"add" of Tensor.add, or None."""
    held = _METHODS.get(id(function))
    return held and held[1]
