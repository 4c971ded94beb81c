# The cases that PyTorch's own test database gives: for each operator its sample inputs in several dtypes, as function,
# method, in place and with out=, from non-contiguous memory, with first and second gradients, and its errors.
import dataclasses
import functools
import itertools
import random

import numpy
import torch

ASPECTS = ("function", "gradgrad", "noncontiguous", "method", "inplace", "alias", "out", "error")
OTHER_DTYPES = (torch.float64, torch.int64, torch.bool, torch.bfloat16, torch.complex64, torch.float16, torch.uint8,
                torch.int32, torch.int8, torch.int16, torch.complex128)


@dataclasses.dataclass
class Size:
    """How many samples of an operator are taken: of float32, of how many other dtypes, of each of these, of each other
    way to call it, and how many errors."""
    first: int
    dtypes: int
    second: int
    variants: int
    errors: int


SAMPLE = Size(3, 1, 1, 1, 3)
WHOLE = Size(2000, len(OTHER_DTYPES), 2000, 25, 100)


@dataclasses.dataclass
class Wanted:
    """One call to try: `function(*args, **kwargs)`."""
    name: str  # "add float32 #3 inplace"
    operator: str  # "add", or "add.variant"
    aspect: str
    function: object
    args: tuple
    kwargs: dict
    order: int = 0  # of the gradients that are compared
    error: type | None = None
    random: object = None


def entries():
    from torch.testing._internal.common_methods_invocations import op_db

    # Kernels compiled for CUDA from source text.
    return [op for op in op_db if not op.name.startswith("jiterator")]


def seed_all(text):
    number = random.Random(text).getrandbits(31)
    torch.manual_seed(number)
    random.seed(number)
    numpy.random.seed(number)
    return random.Random(number)


def samples_of(op, dtype, gradients, seed, count):
    """(number, sample) of `count` samples, chosen by the seed, and how many there are."""
    rng = seed_all(f"{op.full_name} {dtype}")
    try:
        samples = list(itertools.islice(op.sample_inputs("cpu", dtype, requires_grad=gradients), 2000))
    except (StopIteration, RuntimeError):  # nothing for this device
        return [], 0
    except ValueError:
        if not gradients:
            raise
        return samples_of(op, dtype, False, seed, count)
    chosen = range(len(samples))
    if len(samples) > count:
        rng = random.Random(f"{seed} {op.full_name} {dtype}")
        chosen = sorted(rng.sample(chosen, count))
    return [(number, samples[number]) for number in chosen], len(samples)


def short(dtype):
    return str(dtype).removeprefix("torch.")


@functools.cache
def by_name():
    return {op.full_name: op for op in entries()}


def cases_of(name, size, seed, totals):
    """All Wanted of one entry. `totals` counts what was taken and what there is."""
    op = by_name()[name]
    rng = random.Random(f"{seed} {op.full_name}")
    second = [dtype for dtype in OTHER_DTYPES if dtype in op.dtypes]
    first = [torch.float32] if torch.float32 in op.dtypes else []
    if not first and second:
        first = [second.pop(rng.randrange(len(second)))]
    others = second if size.dtypes >= len(second) else rng.sample(second, size.dtypes)
    for dtype in first + others:
        main = dtype in first
        gradients = op.supports_autograd and (dtype.is_floating_point or dtype.is_complex)
        samples, count = samples_of(op, dtype, gradients, seed, size.first if main else size.second)
        totals[0] += len(samples)
        totals[1] += count
        for place, (number, sample) in enumerate(samples):
            name = f"{op.full_name} {short(dtype)} #{number}"
            args = (sample.input, *sample.args)
            twice = gradients and op.supports_gradgrad and place < size.variants and main
            aspect = "gradgrad" if twice else "function"
            yield Wanted(f"{name} {aspect}", op.full_name, aspect, op.op, args, sample.kwargs, gradients + twice)
            if place >= size.variants:
                continue
            if main or place == 0:
                yield from variants(op, name, sample, gradients)
    if op.error_inputs_func is not None:
        yield from errors(op, size.errors)


def variants(op, name, sample, gradients):
    args, kwargs = (sample.input, *sample.args), sample.kwargs

    count = itertools.count()

    def wanted(aspect, function, args=args, kwargs=kwargs, order=0):
        return Wanted(f"{name} {aspect}{next(count)}", op.full_name, aspect, function, args, kwargs, order)

    try:
        other = sample.noncontiguous()
        yield wanted("noncontiguous", op.op, (other.input, *other.args), other.kwargs, int(gradients))
    except (RuntimeError, TypeError, AttributeError):  # a sample of which PyTorch cannot make one
        pass
    if op.method_variant is not None and op.method_variant is not op.op:
        yield wanted("method", op.method_variant, order=int(gradients))
    inplace = op.inplace_variant
    if inplace is not None and not sample.broadcasts_input and isinstance(sample.input, torch.Tensor):
        yield wanted("inplace", lambda x, *args, **kwargs: inplace(x.clone(), *args, **kwargs),
                     order=int(gradients and op.supports_inplace_autograd))
    for alias in op.aliases:
        yield wanted("alias", alias.op, order=int(gradients))
        if alias.method_variant is not None:
            yield wanted("alias", alias.method_variant)
        if alias.inplace_variant is not None and not sample.broadcasts_input:
            yield wanted("alias", lambda x, *args, alias=alias, **kwargs: alias.inplace_variant(x.clone(), *args, **kwargs))
    if op.supports_out and "out" not in kwargs:
        yield wanted("out", Out(op.op, empty=False))
        yield wanted("out", Out(op.op, empty=True))


class Out:
    """Calls an operator with out= tensors of the results' shapes, or empty ones that it resizes."""

    def __init__(self, function, empty):
        self.function, self.empty = function, empty

    def tensors(self, results):
        return [x.new_empty(0) if self.empty else torch.zeros_like(x) for x in results]


def errors(op, count):
    seed_all(op.full_name)
    try:
        found = list(itertools.islice(op.error_inputs("cpu"), count))
    except Exception:  # some need another device
        return
    for number, wrong in enumerate(found):
        sample = wrong.sample_input
        yield Wanted(f"{op.full_name} error #{number}", op.full_name, "error", op.op, (sample.input, *sample.args),
                     sample.kwargs, error=wrong.error_type)
