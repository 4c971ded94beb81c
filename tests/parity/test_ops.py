# Operators against Python: value, dtype, shape and gradient, on PyTorch's own sample inputs (OpInfo).
import itertools
import random

import pytest
import tolerances
import torch
from exchange import Exchange, difference

OPERATORS = {
    "elementwise": "abs add addcmul atan2 bitwise_and ceil clamp div exp floor_divide fmod heaviside lerp log logaddexp "
                   "logical_not maximum mul nan_to_num pow remainder round rsqrt sigmoid sign sin sub tanh true_divide "
                   "where xlogy",
    "comparison": "eq ge isclose isfinite isnan lt ne signbit",
    "reduction": "all amax aminmax any argmax count_nonzero cumsum logsumexp max mean median min norm prod std std_mean "
                 "sum var",
    "shape": "broadcast_to cat chunk expand flatten flip movedim permute repeat reshape roll split squeeze stack "
             "tensor_split tile transpose unbind unflatten unsqueeze view",
    "indexing": "diagonal gather index_add index_fill index_select masked_fill masked_select narrow scatter scatter_add "
                "scatter_reduce select take take_along_dim tril topk sort searchsorted",
    "linalg": "addmm baddbmm bmm dot einsum linalg.cholesky linalg.det linalg.inv linalg.norm linalg.qr linalg.solve "
              "kron linalg.svdvals linalg.vector_norm matmul mm outer",
    "fft": "fft.fft fft.ifft2 fft.irfft fft.rfft fft.fftshift",
    "special": "digamma erf erfinv lgamma special.bessel_j0 special.entr special.ndtr special.zeta",
    "network": "nn.functional.adaptive_avg_pool2d nn.functional.avg_pool2d nn.functional.conv1d nn.functional.conv2d "
               "nn.functional.conv_transpose2d nn.functional.embedding nn.functional.gelu nn.functional.layer_norm "
               "nn.functional.leaky_relu nn.functional.linear nn.functional.max_pool2d nn.functional.relu "
               "nn.functional.silu nn.functional.softplus nn.functional.unfold log_softmax softmax",
    "loss": "nn.functional.binary_cross_entropy_with_logits nn.functional.cross_entropy nn.functional.huber_loss "
            "nn.functional.mse_loss nn.functional.nll_loss nn.functional.smooth_l1_loss",
}
# Samples whose function takes its arguments in another order than PyTorch's: position -> that of the sample.
ORDER = {"where": (1, 0, 2), "einsum": (1, 0), "nn.functional.embedding": (1, 0)}
SAMPLES = 3  # of each operator and dtype
SECOND_DTYPES = (torch.float64, torch.int64, torch.bool, torch.bfloat16, torch.complex64, torch.uint8, torch.int32)


def flatten(value):
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in flatten(item)]
    return [value]


def ramp(tensor):
    return torch.linspace(0.5, 1.5, tensor.numel(), dtype=tensor.dtype).reshape(tensor.shape)


class Case:
    """One call: Python's results and gradients, and the Lua code of the same."""

    def __init__(self, op, sample, exchange):
        self.tensors, self.declared = [], []  # the inputs that take a gradient, by position
        self.exchange, self.lines = exchange, []
        arguments = [self.take(sample.input), *map(self.take, sample.args)]
        keywords = {name: self.take(value) for name, value in sample.kwargs.items()}
        self.python = lambda: op.op(*[value for value, _ in arguments],
                                    **{name: value for name, (value, _) in keywords.items()})
        given = [arguments[i][1] for i in ORDER.get(op.name, range(len(arguments)))]
        while given and given[-1] == "nil":
            given.pop()
        named = [f'["{name}"] = {code}' for name, (_, code) in keywords.items() if code != "nil"]
        if named:
            given.append("{" + ", ".join(named) + "}")
        self.call = f'X.find("{op.name}")({", ".join(given)})'

    def take(self, value):
        """A copy for Python and the Lua expression of the same."""
        if value is None:
            return None, "nil"
        if isinstance(value, torch.Tensor):
            if value.layout != torch.strided:
                raise TypeError("a sparse input")
            copy = value.detach().clone(memory_format=torch.contiguous_format).requires_grad_(value.requires_grad)
            name = f"t{len(self.lines)}"
            self.lines.append(f"local {name} = {self.exchange.tensor(copy)}")
            if copy.requires_grad:
                self.tensors.append(copy)
                self.declared.append(name)
            return copy, name
        if isinstance(value, (list, tuple)):
            pairs = [self.take(item) for item in value]
            return type(value)(pair[0] for pair in pairs) if type(value) in (list, tuple) else value, \
                "{" + ", ".join("torch.None" if code == "nil" else code for _, code in pairs) + "}"
        return value, self.exchange.lua(value)

    def lua(self):
        return "\n  ".join([*self.lines, f"return X.with_gradients({{{', '.join(self.declared)}}}, function()",
                            f"  return {self.call}", "end)"])

    def expected(self):
        results = flatten(self.python())
        outputs = [torch.view_as_real(r) if r.is_complex() else r for r in results
                   if isinstance(r, torch.Tensor) and r.requires_grad]
        if not outputs:
            return results
        return results + list(torch.autograd.grad(outputs, self.tensors, [ramp(o) for o in outputs], allow_unused=True))


def cases_of(op, exchange):
    """(name, Case, what Python gives) for the first samples in float32 with gradients and in a second dtype."""
    rng = random.Random(op.full_name)
    second = [dtype for dtype in SECOND_DTYPES if dtype in op.dtypes]
    for dtype in [torch.float32] * (torch.float32 in op.dtypes) + rng.sample(second, min(1, len(second))):
        gradients = dtype == torch.float32 and op.supports_autograd
        taken = 0
        for number, sample in enumerate(itertools.islice(op.sample_inputs("cpu", dtype, gradients), 20)):
            if taken == SAMPLES:
                break
            try:
                case = Case(op, sample, exchange)
            except TypeError:  # an input without a Lua value, such as a Python complex number
                continue
            torch.manual_seed(0)
            yield f"{op.full_name} {str(dtype).removeprefix('torch.')} #{number}", case, case.expected()
            taken += 1


def run(ops, trainhost, folder):
    """{case: (operator, what is wrong or None)}"""
    exchange, expected = Exchange(folder), {}
    for op in ops:
        for name, case, results in cases_of(op, exchange):
            expected[name] = op.name, results
            exchange.case(name, "torch.manual_seed(0)\n  " + case.lua())
    got, outcome = exchange.run(trainhost), {}
    for name, (operator, results) in expected.items():
        result = got[name]
        outcome[name] = operator, result.error and f"error {result.error}" or difference(
            results, flatten(result.values), *tolerances.of(operator))
    return outcome


@pytest.fixture(scope="module")
def outcome(trainhost, tmp_path_factory):
    from torch.testing._internal.common_methods_invocations import op_db

    wanted = set(" ".join(OPERATORS.values()).split())
    torch.set_num_threads(1)
    torch.manual_seed(0)
    plain = {op.name for op in op_db if not op.variant_test_name}
    ops = [op for op in op_db if op.name in wanted and not (op.variant_test_name and op.name in plain)]
    assert wanted == {op.name for op in ops}, wanted - {op.name for op in ops}
    return run(ops, trainhost, tmp_path_factory.mktemp("ops"))


@pytest.mark.parametrize("kind", OPERATORS)
def test_operators(outcome, kind):
    names = set(OPERATORS[kind].split())
    of_kind = {name: text for name, (operator, text) in outcome.items() if operator in names}
    wrong = {name: text for name, text in of_kind.items() if text}
    assert {operator for operator, _ in outcome.values()} >= names
    assert not wrong, f"{len(wrong)} of {len(of_kind)} calls differ\n" + "\n".join(
        f"{name}: {text:.300}" for name, text in wrong.items())


def test_the_sample_is_as_large_as_promised(outcome):
    assert len({operator for operator, _ in outcome.values()}) >= 100
    print(f"{len(outcome)} calls of {len({operator for operator, _ in outcome.values()})} operators")


# Lua and Python from the same seed: every draw, and the state left behind for the next.
RANDOM = {
    "torch.rand(5)": None, "torch.randn(2, 3)": None, "torch.randint(10, {4})": "torch.randint(10, (4,))",
    "torch.randint(3, 9, {4})": "torch.randint(3, 9, (4,))", "torch.randperm(20)": None,
    "torch.empty(6):uniform_(-1, 1)": "torch.empty(6).uniform_(-1, 1)",
    "torch.empty(6):normal_(2, 0.5)": "torch.empty(6).normal_(2, 0.5)",
    "torch.empty(6):exponential_()": "torch.empty(6).exponential_()",
    "torch.empty(6):bernoulli_(0.3)": "torch.empty(6).bernoulli_(0.3)",
    "torch.bernoulli(torch.full({8}, 0.5))": "torch.bernoulli(torch.full((8,), 0.5))",
    "torch.multinomial(torch.arange(1, 6):float(), 3)": "torch.multinomial(torch.arange(1, 6).float(), 3)",
    "torch.normal(0, 1, {4})": "torch.normal(0, 1, (4,))",
    "torch.dropout(torch.ones(10), 0.5, true)": "torch.dropout(torch.ones(10), 0.5, True)",
    "torch.rand({3}, {dtype = torch.float64})": "torch.rand(3, dtype=torch.float64)",
    "torch.randn_like(torch.ones(3))": None, "torch.poisson(torch.full({5}, 3.0))": "torch.poisson(torch.full((5,), 3.0))",
}
# Lua's operators and number types, as Python's.
SYNTAX = {
    "x + 1": None, "1 + x": None, "x - 2.5": None, "2 - x": None, "x * x": None, "3 * x": None, "x / 2": None,
    "2 / x": None, "x // 2": None, "x % 3": None, "x ^ 2": "x ** 2", "2 ^ x": "2 ** x", "x ^ -0.5": "x ** -0.5",
    "-x": None, "~m": None, "m & n": None, "m | n": None, "m ~ n": "m ^ n", "k << 2": None, "k >> 1": None, "~k": None,
    "k & 3": None, "k ~ 1": "k ^ 1", "k / 2": None, "k // 2": None, "k % 3": None, "k + 1.5": None, "k * true": "k * True",
    "#x": "len(x)", "k + h": None, "h * 2.0": None, "x:lt(2)": "x < 2", "x:ge(k:sum())": "x >= k.sum()",
    "5 // k": None, "7 % k": None, "k ^ 2": "k ** 2", "x + k": None, "1 / k": None,
}


def test_random_numbers_from_a_seed(trainhost, tmp_path):
    exchange, expected = Exchange(tmp_path), {}
    for lua, python in RANDOM.items():
        torch.manual_seed(1234)
        expected[lua] = [eval(python or lua), torch.rand(1)]
        exchange.case(lua, f"torch.manual_seed(1234)\n  local first = {lua}\n  return first, torch.rand(1)")
    check(expected, exchange.run(trainhost))


def test_operator_syntax(trainhost, tmp_path):
    values = {"x": torch.linspace(0.5, 4, 6).reshape(2, 3), "k": torch.arange(1, 4), "h": torch.arange(3).half(),
              "m": torch.tensor([True, False, True]), "n": torch.tensor([True, True, False])}
    exchange, expected = Exchange(tmp_path), {}
    local = "local x, k, h, m, n = " + ", ".join(exchange.tensor(value) for value in values.values())
    for lua, python in SYNTAX.items():
        expected[lua] = [eval(python or lua, {}, dict(values))]
        exchange.case(lua, f"{local}\n  return {lua}")
    check(expected, exchange.run(trainhost))


def test_a_number_beside_a_tensor_is_what_it_is_in_python(trainhost, tmp_path):
    """Every dtype with numbers that round, overflow, underflow and are no numbers; in place, too."""
    dtypes = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.int32, torch.int64,
              torch.uint8, torch.bool]
    numbers = [0.1, 1 / 3, -2.5, 1e-46, 1e39, -1e300, float("inf"), float("nan"), 0, 3, -7, 2 ** 24 + 1, 2 ** 53 + 1, True]
    operators = {"+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floor_divide"}
    exchange, expected = Exchange(tmp_path), {}
    for dtype, number, (symbol, name) in itertools.product(dtypes, numbers, operators.items()):
        x = torch.tensor([0, 1, 3, 7]).to(dtype)
        forms = {f"x {symbol} n": lambda x, n: eval(f"x {symbol} n"), f"n {symbol} x": lambda x, n: eval(f"n {symbol} x"),
                 f"x:{name}_(n)": lambda x, n: getattr(x.clone(), name + "_")(n)}
        for lua, python in forms.items():
            try:
                result = [python(x, number)]
            except (RuntimeError, TypeError):  # bool - bool, a float into integers
                continue
            case = f"{dtype} {number} {lua}"
            expected[case] = result
            exchange.case(case, f"local x, n = {exchange.tensor(x)}, {exchange.lua(number)}\n  return {lua}")
    assert len(expected) > 1000
    check(expected, exchange.run(trainhost))


def check(expected, got):
    wrong = {name: got[name].error or difference(results, got[name].values) for name, results in expected.items()
             if got[name].error or difference(results, got[name].values)}
    assert not wrong, f"{len(wrong)} of {len(expected)} differ\n" + "\n".join(f"{k}: {v}" for k, v in wrong.items())
