# tostring(x) is repr(x): hundreds of random tensors of every dtype, shape and magnitude.
import random
import warnings

import pytest
import torch
from exchange import Exchange

DTYPES = ([torch.float32] * 5 + [
    torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
    torch.uint16, torch.uint32, torch.uint64, torch.bool, torch.complex32, torch.complex64, torch.complex128,
    torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz])
# Not float8_e8m0fnu: Python asks the values of that dtype whether they are finite and zero, which answers wrongly
# there (nan is finite, the smallest value is zero), and so it prints 2^-127 as "0."; trainhost prints the values.


def random_tensor(rng, generator):
    dtype = rng.choice(DTYPES)
    shape = rng.choice([[], [rng.choice([1, 3, 14, 40, 999, 1000, 1001, 3000])], [40, 50], [0, 3], [0], [2, 20, 50],
                        [rng.choice([1, 2, 3, 6, 7, 8, 20]) for _ in range(rng.choice([2, 2, 3, 4]))]])
    values = torch.randn(shape, dtype=torch.float64, generator=generator)
    values = values * rng.choice([1, 1, 10, 1e3, 1e-3, 1e6, 1e9, 1e-6, 1e30])
    kind = rng.random()
    if kind < 0.25:
        values = values.round()
    elif kind < 0.4:
        odd = rng.choice([float("nan"), float("inf"), -float("inf"), 0.0, -0.0])
        values = torch.where(torch.rand(shape, generator=generator) < 0.3, odd, values)
    elif kind < 0.45:
        values = values * 0
    if dtype.is_complex:
        imaginary = torch.randn(shape, dtype=torch.float64, generator=generator) * rng.choice([1, 1e4])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # complex32 is experimental
            return torch.complex(values, imaginary).to(torch.complex64 if dtype == torch.complex32 else dtype).to(dtype)
    if dtype == torch.bool:
        return values > 0
    if dtype.is_floating_point:
        return values.float().to(dtype) if dtype.itemsize == 1 else values.to(dtype)
    return torch.randint(-128 if dtype.is_signed else 0, 128, shape, generator=generator).to(dtype)


@pytest.fixture(scope="module")
def results(trainhost, tmp_path_factory):
    """{name: (what Python prints, what trainhost prints)}"""
    rng, generator = random.Random(2026), torch.Generator().manual_seed(2026)
    exchange, expected = Exchange(tmp_path_factory.mktemp("print")), {}

    def add(tensor, code="%s", python=lambda x: x):
        name = f"{len(expected)} {tensor.dtype} {tuple(tensor.shape)}"
        expected[name] = repr(python(tensor))
        exchange.expression(name, "tostring(" + code % exchange.tensor(tensor) + ")")

    for _ in range(300):
        tensor = random_tensor(rng, generator)
        variant = rng.random()
        differentiable = tensor.dtype.is_complex or tensor.is_floating_point() and tensor.element_size() > 1
        if variant < 0.15 and tensor.dim() >= 2:
            add(tensor, "%s:transpose(0, 1)", lambda x: x.transpose(0, 1))
        elif variant < 0.3 and differentiable:
            add(tensor, "%s:requires_grad_()", lambda x: x.requires_grad_())
        elif variant < 0.4 and differentiable and tensor.dtype != torch.complex32:
            add(tensor, "%s:requires_grad_():exp()", lambda x: x.requires_grad_().exp())
        else:
            add(tensor)
    ones = torch.ones(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CSR tensors are in beta
        add(ones, "%s:to_sparse()", lambda x: x.to_sparse())
        add(ones.double(), "%s:to_sparse_csr()", lambda x: x.to_sparse_csr())
    add(ones.half(), '%s:to("meta")', lambda x: x.to("meta"))
    add(torch.tensor([1 + 2j]), "%s:conj()", lambda x: x.conj())
    add(torch.tensor([1 + 2j]), "%s:conj().imag", lambda x: x.conj().imag)
    add(ones, "%s:requires_grad_() + 1", lambda x: x.requires_grad_() + 1)
    add(ones, "(%s:requires_grad_() * 2)[0]", lambda x: (x.requires_grad_() * 2)[0])
    got = exchange.run(trainhost)
    return {name: (text, got[name].error or got[name].values[0]) for name, text in expected.items()}


def test_every_tensor_prints_as_in_python(results):
    wrong = {name: pair for name, pair in results.items() if pair[0] != pair[1]}
    report = "\n".join(f"{name}\n--- Python\n{a}\n--- trainhost\n{b}" for name, (a, b) in list(wrong.items())[:5])
    assert not wrong, f"{len(wrong)} of {len(results)} differ\n{report}"
    assert len(results) > 300


@pytest.mark.parametrize("options", [
    {"precision": 2}, {"threshold": 5, "edgeitems": 2}, {"linewidth": 40}, {"sci_mode": True}, {"sci_mode": False},
    {"profile": "full"}, {"profile": "short"}, {"precision": 3, "threshold": 0, "edgeitems": 0}])
def test_print_options(trainhost, options, tmp_path):
    exchange = Exchange(tmp_path)
    tensors = [torch.linspace(-3, 1e4, 30), torch.arange(20), torch.arange(1200.0).reshape(4, 300) / 7]
    given = ", ".join(f"{key} = {exchange.lua(value)}" for key, value in options.items())
    for i, tensor in enumerate(tensors):
        exchange.case(str(i), f"torch.set_printoptions{{{given}}}\n  return tostring({exchange.tensor(tensor)})")
    got = exchange.run(trainhost)
    with torch._tensor_str.printoptions(**options):
        expected = [repr(tensor) for tensor in tensors]
    assert [got[str(i)].values[0] if got[str(i)].values else got[str(i)].error for i in range(len(tensors))] == expected
