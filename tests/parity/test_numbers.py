# Random numbers, Lua's operators, and numbers beside tensors, against Python.
import itertools

import torch
from exchange import Exchange, difference

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
