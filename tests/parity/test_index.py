# x[key] and x[key] = value: hundreds of random keys, each with Python's result, shape and dtype, or its error.
import random
import warnings

import pytest
import torch
from exchange import Exchange, difference


class Key:
    """One random item as Python's object, as Lua in a table, and as text in an index expression (or None)."""

    def __init__(self, python, lua, text):
        self.python, self.lua, self.text = python, lua, text


def random_key(rng, size, exchange):
    integer = lambda: rng.randint(-size - 1, size)
    kind = rng.random()
    if kind < 0.3:
        value = integer()
        return Key(value, rng.choice([str(value), f"{value}.0", f'"{value}"']), str(value))
    if kind < 0.62:
        start, stop = (None if rng.random() < 0.4 else integer() for _ in range(2))
        step = rng.choice([None, None, 1, 2, 3, -1, 0]) if rng.random() < 0.5 else None
        show = lambda side: "" if side is None else str(side)
        text = f"{show(start)}:{show(stop)}" + (f":{show(step)}" if step is not None or rng.random() < 0.2 else "")
        sides = ", ".join("nil" if side is None else str(side) for side in (start, stop, step))
        return Key(slice(start, stop, step), rng.choice([f'"{text}"', f"torch.slice({sides})"]), text)
    if kind < 0.69:
        return Key(Ellipsis, '"..."', "...")
    if kind < 0.76:
        return Key(None, "torch.None", "None")
    if kind < 0.81:
        value = rng.random() < 0.5
        return Key(value, str(value).lower(), str(value))
    if kind < 0.87:  # a list index
        values = [integer() for _ in range(rng.choice([0, 1, 2, 3]))]
        if rng.random() < 0.3:
            values = [rng.random() < 0.5 for _ in range(size)]
        elif rng.random() < 0.2:
            values = [values, values]
        return Key(values, exchange.lua(values), None)
    if kind < 0.94:
        shape = rng.choice([(), (2,), (3,), (1, 3), (0,)])
        tensor = torch.tensor([integer() for _ in range(int(torch.Size(shape).numel()))], dtype=torch.int64)
        tensor = tensor.reshape(shape)
        return Key(tensor, exchange.tensor(tensor), None)
    mask = torch.tensor([rng.random() < 0.5 for _ in range(size)], dtype=torch.bool)
    return Key(mask, exchange.tensor(mask), None)


def random_case(rng, exchange):
    """(tensor, Python's key, Lua's key)"""
    shape = [rng.choice([0, 1, 2] if rng.random() < 0.2 else [3, 4, 5]) for _ in range(rng.choice([0, 1, 2, 2, 3, 3, 4]))]
    dtype = rng.choice([torch.float32, torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool])
    tensor = torch.arange(int(torch.Size(shape).numel())).reshape(shape).to(dtype)
    count = min(rng.choice([1, 1, 2, 2, 3, 4]), len(shape) + 1)
    keys = [random_key(rng, shape[i] if i < len(shape) else 3, exchange) for i in range(count)]
    python = tuple(key.python for key in keys)
    texts = [key.text for key in keys]
    if None not in texts and rng.random() < 0.6:
        text = rng.choice([", ", ","]).join(texts)
        named = text.isidentifier()  # decisions: such a string is an attribute; "None," is the key
        return tensor, python if count > 1 or named else python[0], f'"{text},"' if named else f'"{text}"'
    if count == 1 and not isinstance(keys[0].python, list):
        return tensor, python[0], keys[0].lua
    return tensor, python if count > 1 or isinstance(keys[0].python, list) else python[0], \
        "{" + ", ".join(key.lua for key in keys) + "}"


def attempt(action):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # indexing with uint8
        try:
            return action(), None
        except Exception as error:
            return None, str(error).split("\n")[0]


def check(expected, failure, result):
    """What is wrong, or None."""
    if failure is None:
        return f"error {result.error}" if result.error else difference([expected], result.values)
    if result.error is None:
        return f"no error, expected {failure!r}"
    # Of several things wrong with one key either may be found first.
    early = ("slice step cannot be zero", "too many indices", "expected sequence of length", "Could not infer dtype")
    same = failure in result.error or "too many indices" in failure or any(text in result.error for text in early)
    return None if same else f"expected the error {failure!r}, got {result.error!r}"


def report(wrong, total):
    assert not wrong, f"{len(wrong)} of {total} differ\n" + "\n".join(f"{k}: {v}" for k, v in list(wrong.items())[:10])


def test_reading(trainhost, tmp_path):
    rng, exchange, expected = random.Random(11), Exchange(tmp_path), {}
    for number in range(300):
        tensor, python, lua = random_case(rng, exchange)
        name = f"{number}: {tensor.dtype} {list(tensor.shape)} [{lua}]"
        expected[name] = attempt(lambda: tensor[python])
        exchange.expression(name, f"({exchange.tensor(tensor)})[{lua}]")
    got = exchange.run(trainhost)
    wrong = {name: text for name, pair in expected.items() if (text := check(*pair, got[name]))}
    report(wrong, len(expected))
    failures = sum(failure is not None for _, failure in expected.values())
    assert 40 < failures < 200, f"{failures} of the keys are wrong: the sample is one-sided"


def test_assignment(trainhost, tmp_path):
    rng, exchange, expected = random.Random(12), Exchange(tmp_path), {}

    def assign(tensor, key, value):
        tensor[key] = value
        return tensor

    for number in range(300):
        tensor, python, lua = random_case(rng, exchange)
        target, _ = attempt(lambda: tensor[python])
        value = rng.choice([1, 2.5, True, 300, -1, None, None, None])
        if value is None:
            shape = list(target.shape) if target is not None else [2]
            shape = rng.choice([shape, shape, shape[1:], [1] + shape, [2]])
            numbers = [rng.randint(0, 5) for _ in range(int(torch.Size(shape).numel()))]
            value = torch.tensor(numbers).reshape(shape).to(rng.choice([tensor.dtype, torch.float32, torch.int64]))
        name = f"{number}: {tensor.dtype} {list(tensor.shape)} [{lua}] = {exchange.lua(value):.60}"
        expected[name] = attempt(lambda: assign(tensor.clone(), python, value))
        exchange.case(name, f"local x = {exchange.tensor(tensor)}\n  x[{lua}] = {exchange.lua(value)}\n  return x")
    got = exchange.run(trainhost)
    wrong = {name: text for name, pair in expected.items() if (text := check(*pair, got[name]))}
    report(wrong, len(expected))
    failures = sum(failure is not None for _, failure in expected.values())
    assert 40 < failures < 250, f"{failures} of the keys are wrong: the sample is one-sided"


def random_number(rng, size):
    value = rng.randint(-size - 1, size)
    text = rng.choice([str] * 6 + [hex, oct, bin, lambda v: f"- {-v}", lambda v: f"+{v}", lambda v: f"~{~v}"])(value)
    return rng.choice(["99999999999999999999", "-99999999999999999999"]) if rng.random() < 0.02 else text


def random_sequence(rng, size, depth):
    """A list or tuple in which nearly all is well."""
    kind = rng.random()
    element = lambda: random_number(rng, size)
    if kind < 0.2:
        element = lambda: str(rng.random() < 0.5)
    elif kind < 0.3:
        element = lambda: rng.choice(["1.0", "0.5", "True", "-1.9", "1e0", "0"])
    count = size if kind < 0.2 and rng.random() < 0.8 else rng.choice([0, 1, 1, 2, 2, 3])
    if depth > 0 and rng.random() < 0.5:
        parts = [random_sequence(rng, size, depth - 1) for _ in range(rng.choice([1, 1, 2, 3, 33 if depth == 1 else 3]))]
        parts = parts if rng.random() < 0.2 else parts[:1] * len(parts)  # rows of one length
    else:
        parts = [element() for _ in range(count)]
    if rng.random() < 0.15:
        parts.insert(rng.randint(0, len(parts)), rng.choice(["None", "...", "slice(0, 2)", "slice(1)", "[0, 1]", "True"]))
    open, close = rng.choice(["[]", "[]", "()"])
    comma = "," if len(parts) == 1 and open == "(" or parts and rng.random() < 0.1 else ""
    return open + rng.choice([", ", ","]).join(parts) + comma + close


def random_text(rng, sizes):
    parts = []
    for size in sizes[:rng.choice([1, 1, 1, 2, 2, 3])]:
        kind = rng.random()
        if kind < 0.6:
            parts.append(random_sequence(rng, size, rng.choice([0, 0, 1, 1, 2])))
        elif kind < 0.75:
            parts.append(random_number(rng, size))
        elif kind < 0.85:
            side = lambda: rng.choice(["", "None", "True", random_number(rng, size), random_number(rng, size)])
            parts.append(rng.choice([":", " : "]).join([side(), side()]) + rng.choice(["", ":", ":1", ":2"]))
        else:
            parts.append(rng.choice(["...", "None", "True", "1.0", "(0)", "([0, 1])", "01", "0 1", "1_0", "()", "-None"]))
    text = ", ".join(parts) + rng.choice([""] * 5 + [","])
    return text + "," if text.isidentifier() else text


def test_texts(trainhost, tmp_path):
    """What Python makes of the same text, lists and tuples in it included, read and assigned."""
    rng, exchange, expected = random.Random(13), Exchange(tmp_path), {}
    texts = ["[[0,1],[1,2]]", "[[0,1]]", "[[True,False,True]]", "[0, None]", "[0, ...]", "(0,1)", "(0,1),", "1:2,(0,1)",
             "[1.0]", "0x1", "99999999999999999999:", "[(0,1),(1,2)]", "()", "(),", "[[]]", "[0,[1,2]]", "[0,[1,2]],"]
    while len(texts) < 400:
        texts.append(random_text(rng, (3, 4, 5)))
    tensor = torch.arange(60).reshape(3, 4, 5)

    def assign(text):
        x = tensor.clone()
        exec(f"x[{text}] = -1", {"x": x})
        return x

    def attempt_text(action):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            result, failure = attempt(action)
        is_syntax = failure is not None and "(<string>, line 1)" in failure
        return result, "" if is_syntax else failure and failure.replace(" or have an __index__ method", "")

    for number, text in enumerate(texts):
        expected[f"{number}: [{text}]"] = attempt_text(lambda: eval(f"x[{text}]", {"x": tensor}))
        exchange.expression(f"{number}: [{text}]", f'({exchange.tensor(tensor)})["{text}"]')
        expected[f"{number}: [{text}] = -1"] = attempt_text(lambda: assign(text))
        exchange.case(f"{number}: [{text}] = -1",
                      f'local x = {exchange.tensor(tensor)}\n  x["{text}"] = -1\n  return x')
    got = exchange.run(trainhost)
    wrong = {name: text for name, pair in expected.items() if (text := check(*pair, got[name]))}
    report(wrong, len(expected))
    failures = sum(failure is not None for _, failure in expected.values())
    assert 200 < failures < 500, f"{failures} of the keys are wrong: the sample is one-sided"


@pytest.mark.parametrize("lua, python", [
    ('"1:, 0"', lambda x, v: x.__setitem__((slice(1, None), 0), v)),
    ("{{0, 0}}", lambda x, v: x.__setitem__([0, 0], v)),
    ('{"...", {true, false, true}}', lambda x, v: x.__setitem__((Ellipsis, [True, False, True]), v))])
def test_gradients_of_assignment(trainhost, tmp_path, lua, python):
    weight, value = torch.arange(6.0).reshape(2, 3), torch.tensor(3.0)
    exchange = Exchange(tmp_path)
    exchange.case("gradient", f"local w, v = {exchange.tensor(weight)}, {exchange.tensor(value)}\n"
                              f"  return X.with_gradients({{w, v}}, 1, function()\n    local x = w * 2\n"
                              f"    x[{lua}] = v * v\n    return x * x\n  end)")
    weight, value = weight.requires_grad_(), value.requires_grad_()
    x = weight * 2
    python(x, value * value)
    ramp = torch.linspace(0.5, 1.5, 6).reshape(2, 3)
    gradients = torch.autograd.grad([x * x], [weight, value], [ramp])
    result = exchange.run(trainhost)["gradient"]
    assert result.error is None, result.error
    assert difference([x * x, *gradients], result.values) is None
