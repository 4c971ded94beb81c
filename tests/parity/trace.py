# Python's calls of PyTorch, recorded as they run and written as the same calls in Lua.
import torch
from names import KEYWORDS, OPERATORS, lua_method, method_name, public_path
from torch.overrides import TorchFunctionMode

COMMUTATIVE = {"__radd__", "__rmul__", "__rand__", "__ror__", "__rxor__"}
SEED = 5  # of every call, on both sides
LARGEST = 1 << 20  # elements of an input


class Untranslatable(Exception):
    """Something of Python that has no counterpart in Lua."""


def leaves(value):
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


class Trace:
    """What one Python function does to its tensors: the inputs, the calls, what is returned or raised."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.declarations, self.calls, self.code = [], [], []
        self.known = {}  # id of a tensor -> its Lua expression
        self.kept = []  # what must live while ids are compared
        self.inputs, self.declared = [], []  # the leaves that take a gradient
        self.copies = {}

    # --- Inputs

    def copy(self, value):
        """The value with fresh tensors, which Lua gets too."""
        if isinstance(value, torch.Tensor):
            if id(value) not in self.copies:
                self.copies[id(value)] = self.declare(fresh(value))
                self.kept.append(value)
            return self.copies[id(value)]
        if type(value) in (list, tuple):
            return type(value)(map(self.copy, value))
        if type(value) is dict:
            return {name: self.copy(item) for name, item in value.items()}
        return value

    def declare(self, tensor):
        name = f"t{len(self.declarations)}"
        self.declarations.append(f"local {name} = {self.exchange.tensor(tensor)}")
        self.known[id(tensor)] = name
        self.kept.append(tensor)
        if tensor.requires_grad:
            self.inputs.append(tensor)
            self.declared.append(name)
        return tensor

    # --- Calls

    def run(self, function, args, kwargs):
        """Runs the function with recorded calls; the exception that it raised, if any, is kept in `error`."""
        self.result, self.error = None, None
        direct = public_path(function) or method_name(function)
        try:
            if direct:
                self.result = self.call(function, args, kwargs)
            else:
                with _Recorder(self):
                    self.result = function(*args, **kwargs)
        except Untranslatable:
            raise
        except Exception as error:
            self.error = error

    def call(self, function, args, kwargs):
        torch.default_generator.manual_seed(SEED)
        number = len(self.calls)
        try:
            code = self.lua_call(function, args, kwargs)
        except Untranslatable as reason:
            code = reason
        self.calls.append(function)
        self.failing = code
        result = function(*args, **kwargs)
        parts = leaves(result)
        self.kept.append((result, parts))
        tensors = [part for part in parts if isinstance(part, torch.Tensor)]
        single = len(parts) == 1 and isinstance(result, torch.Tensor)
        self.code.append((number, code, result, bool(tensors)))
        for position, part in enumerate(parts, 1):
            if isinstance(part, torch.Tensor):
                self.known.setdefault(id(part), f"c{number}" if single else f"c{number}[{position}]")
        return result

    def lua_call(self, function, args, kwargs):
        name = getattr(function, "__name__", "")
        if name in ("__get__", "__set__"):
            if name == "__set__":
                raise Untranslatable("an attribute is set")
            attribute = getattr(function.__self__, "__name__", None) or function.__self__.fget.__name__
            return f"{self.lua(args[0])}.{attribute}"
        path, method = public_path(function), method_name(function)
        if path is None and method is None:
            path = torch.overrides.resolve_name(function)
            if path and path.startswith("torch.Tensor."):
                path, method = None, path.rpartition(".")[2]
            if not path and not method:
                raise Untranslatable(f"calls {function}")
        if path is None and method in OPERATORS:
            if method == "__getitem__":
                key = self.key(args[1])
                return f"{self.lua(args[0])}[{f'{{{key}}}' if isinstance(args[1], list) else key}]"
            if method in ("__rdiv__", "__rtruediv__") and isinstance(args[1], torch.Tensor):
                return "({0}:reciprocal() * {1})".format(*map(self.lua, args))  # which is what Python does there
            if method in COMMUTATIVE and isinstance(args[1], torch.Tensor):
                method = "__" + method[3:]  # as Python does it: the tensor itself stays the first operand
            return "(" + OPERATORS[method].format(*map(self.lua, args)) + ")"
        given = [self.lua(value) if value is not None else "nil" for value in args]
        if path is None:
            path = f"{given.pop(0)}:{lua_method(method)}"
        # What is None is left out, but for overloads that have no default there.
        named = [(f'["{name}"]' if name in KEYWORDS else name) + f" = {self.lua(value)}"
                 for name, value in kwargs.items() if value is not None or path.startswith("torch.ops.")]
        if named:
            given.append("{" + ", ".join(named) + "}")
        head, _, last = path.rpartition(".")
        return (f'{head}["{last}"]' if last in KEYWORDS else path) + f"({', '.join(given)})"

    def lua(self, value):
        if isinstance(value, torch.Tensor):
            if id(value) not in self.known:
                self.declare_constant(value)
            return self.known[id(value)]
        if type(value) in (list, tuple, torch.Size, range) or isinstance(value, tuple) and hasattr(value, "_fields"):
            return "{" + ", ".join(map(self.lua, value)) + "}"
        try:
            return self.exchange.lua(value)
        except TypeError as error:
            raise Untranslatable(str(error)) from None

    def declare_constant(self, tensor):
        if tensor.requires_grad and not tensor.is_leaf:
            raise Untranslatable("a tensor of unseen origin that takes a gradient")
        self.declare(tensor)

    def key(self, value):
        """An index as Lua writes it."""
        if isinstance(value, tuple):
            return "{" + ", ".join(map(self.key, value)) + ("" if len(value) else " ") + "}"
        if isinstance(value, slice):
            return "torch.slice(" + ", ".join("nil" if side is None else self.lua(side)
                                              for side in (value.start, value.stop, value.step)) + ")"
        if value is Ellipsis:
            return '"..."'
        return self.lua(value)

    # --- The same in Lua

    def lua_body(self, order, results=None):
        """Lua statements that do the same and return the results and, of `order` 1 or 2, their gradients."""
        lines = []
        whole = bool(self.code) and results is None and self.result is self.code[-1][2]
        for position, (number, code, result, has_tensors) in enumerate(self.code):
            last = position == len(self.code) - 1
            if not has_tensors and not (last and whole):
                continue
            if isinstance(code, Untranslatable):
                raise code
            lines.append("X.seed()")
            if last and whole:
                lines.append(f"return {code}")
            elif isinstance(result, torch.Tensor):
                lines.append(f"local c{number} = {code}")
            else:
                lines.append(f"local c{number} = X.leaves({code})")
        if not whole:
            shown = self.result if results is None else results
            if code_of_last := self.last_without_tensors(results):
                lines.append(f"local _ = {code_of_last}")
            lines.append("return " + ", ".join(self.known[id(leaf)] for leaf in leaves(shown) if self.is_known(leaf)))
        body = "\n    ".join(lines)
        head = "\n  ".join(self.declarations)
        return f"{head}\n  return X.with_gradients({{{', '.join(self.declared)}}}, {order}, function()\n    {body}\n  end)"

    def last_without_tensors(self, results):
        """The last call, which lua_body left out because it returned no tensor, where it filled `results`."""
        if results is None or not self.code or self.code[-1][3]:
            return None
        if isinstance(self.code[-1][1], Untranslatable):
            raise self.code[-1][1]
        return self.code[-1][1]

    def lua_error(self):
        """Lua statements of the call that raised, with all before it."""
        if isinstance(self.failing, Untranslatable):
            raise self.failing
        lines = [*self.declarations, *(f"{name}:requires_grad_()" for name in self.declared)]
        lines += [f"local c{n} = {code}" if isinstance(result, torch.Tensor) else f"local c{n} = X.leaves({code})"
                  for n, code, result, has_tensors in self.code if has_tensors]
        return "\n  ".join([*lines, f"X.seed()\n  return {self.failing}"])

    def names(self):
        """The public names of the functions that were called: "torch.add", "torch.Tensor.add"."""
        found = []
        for function in self.calls:
            path, method = public_path(function), method_name(function)
            if getattr(function, "__name__", "") == "__get__":
                method = getattr(function.__self__, "__name__", None) or function.__self__.fget.__name__
            if path or method:
                found.append(path or f"torch.Tensor.{method}")
        return found

    def is_known(self, leaf):
        return isinstance(leaf, torch.Tensor) and id(leaf) in self.known

    def results(self):
        """What Lua's results are compared with."""
        if self.code and self.result is self.code[-1][2]:
            return leaves(self.result)
        return [leaf for leaf in leaves(self.result) if self.is_known(leaf)]


class _Recorder(TorchFunctionMode):
    def __init__(self, trace):
        super().__init__()
        self.trace = trace

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return self.trace.call(function, args, kwargs or {})


def fresh(tensor):
    """A tensor of its own with the same values, strides, offset and flags."""
    if isinstance(tensor, torch.nn.Parameter):
        tensor = tensor.detach().requires_grad_(tensor.requires_grad)
    if type(tensor) is not torch.Tensor:
        raise Untranslatable(f"a {type(tensor).__name__}")
    if tensor.is_quantized or tensor.is_nested or tensor.device.type != "cpu":
        raise Untranslatable(f"a tensor that is quantized, nested or on {tensor.device}")
    taken = tensor.requires_grad
    with torch.no_grad():
        x = tensor.detach()
        if x.layout != torch.strided:
            return x.clone().requires_grad_(taken)
        conj, neg = x.is_conj(), x.is_neg()
        x = x.conj() if conj else x
        x = torch._neg_view(x) if neg else x
        storage = x.untyped_storage()
        if storage.nbytes() > LARGEST * x.element_size():
            raise Untranslatable(f"an input of more than {LARGEST} elements")
        copy = torch.empty(0, dtype=x.dtype).set_(storage.clone(), x.storage_offset(), x.shape, x.stride())
        copy = torch._neg_view(copy) if neg else copy
        copy = copy.conj() if conj else copy
        return copy.requires_grad_(taken)
