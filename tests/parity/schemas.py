# Cases made from the schemas of the operators: random arguments of the right kinds, kept where Python takes them.
import functools
import random
import types
import warnings

import coverage
import torch
from names import SPACES
from opinfo import Wanted

ATTEMPTS = 60  # to find arguments that Python takes
SHAPES = [(3,), (2, 3), (3, 3), (2, 3, 4), (), (4,), (1, 2, 4, 4), (2, 3, 4, 4), (1, 2, 3, 4, 4), (0, 3)]
PREFIXES = {"torch.linalg": "linalg_", "torch.fft": "fft_", "torch.special": "special_", "torch.sparse": "_sparse_"}
STRINGS = ["mean", "sum", "none", "reduced", "constant", "linear", "ij", "left", "fro"]
DTYPES = [torch.float32] * 5 + [torch.int64, torch.bool, torch.float64]

def _not_run():
    """Operators that are not run with random arguments: name -> reason."""
    reasons = {
        "ends Python, too, with arguments that fit the schema":
            "mkldnn_rnn_layer mkldnn_rnn_layer_backward native_batch_norm native_batch_norm_backward batch_norm_backward "
            "quantized_lstm_cell embedding_bag remainder pdist",
        "takes first pivots from memory that ATen leaves undefined: Python's own results vary from call to call":
            "linalg_lstsq lstsq",
        "Python reads beyond the arguments where trainhost raises":
            "lu_unpack fused_moving_avg_obs_fake_quant fbgemm_pack_gemm_matrix_fp16 multilabel_margin_loss_forward "
            "multilabel_margin_loss",
        "torch.ops takes a tensor of one element for a number in Python": "fake_quantize_per_tensor_affine",
        "the state of the process, see test_numbers.py": "set_grad_enabled manual_seed seed initial_seed",
        "the result is opaque to both sides": "to_mkldnn fbgemm_linear_quantize_weight",
        "torch.ops.aten gives Python a dtype's number": "promote_types result_type",
        "trainhost checks indices where Python does so on request alone":
            "sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor sparse_compressed_tensor",
    }
    return {name: reason for reason, names in reasons.items() for name in names.split()}


NOT_RUN = _not_run()


def names():
    """The public functions and methods that are nothing but an operator."""
    return [entry.name for entry in coverage.entries()
            if entry.kind in ("function", "method", "operator") and entry.name.rpartition(".")[2] not in NOT_RUN
            and not isinstance(find(entry.name), types.FunctionType) and schemas_of(entry.name)]


def find(name):
    """Python's function of that name."""
    prefix, _, short = name.rpartition(".")
    if prefix == "torch.Tensor":
        return getattr(torch.Tensor, short)
    if prefix == "torch.ops.aten":
        return getattr(torch.ops.aten, short)
    return getattr(SPACES[prefix], short)


def schemas_of(name):
    prefix, _, short = name.rpartition(".")
    try:
        found = torch._C._jit_get_schemas_for_operator(f"aten::{PREFIXES.get(prefix, '')}{short}")
    except RuntimeError:
        return []
    return [schema for schema in found if (schema.name, schema.overload_name) in dispatched()
            and not any(argument.is_out for argument in schema.arguments)]


@functools.cache
def dispatched():
    """The overloads that are operators, and no functions of TorchScript."""
    return {(name, overload) for name, _, overload in (full.partition(".") for full in
                                                        torch._C._dispatch_get_all_op_names())}


def cases_of(name, count, seed, totals):
    """Up to `count` Wanted of one name."""
    function, method = find(name), name.startswith("torch.Tensor.")
    rng = random.Random(f"{seed} {name}")
    taken = 0
    candidates = schemas_of(name)
    for attempt in range(ATTEMPTS):
        schema = candidates[attempt % len(candidates)]
        generator = torch.Generator().manual_seed(rng.getrandbits(31))
        try:
            args, kwargs = arguments_of(schema, rng, generator, method)
        except NotImplementedError:
            continue
        if method and not isinstance(args[0], torch.Tensor) or not accepted(function, args, kwargs):
            continue
        yield Wanted(f"{name} schema #{taken}", name, "schema", function, args, kwargs, order=1)
        taken += 1
        totals[0] += 1
        if taken == count:
            return


def accepted(function, args, kwargs):
    copies = [value.detach().clone() if isinstance(value, torch.Tensor) else value for value in args]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(*copies, **kwargs)
        return True
    except Exception:
        return False


def arguments_of(schema, rng, generator, method):
    shape, alike = rng.choice(SHAPES), rng.random() < 0.7
    dtype = rng.choice(DTYPES)
    args, kwargs = [], {}
    left_out = False
    for place, argument in enumerate(schema.arguments):
        optional = argument.has_default_value() and not (method and place == 0)
        if optional and (argument.kwarg_only or left_out or rng.random() < 0.6):
            left_out = left_out or not argument.kwarg_only
            continue
        value = value_of(str(argument.real_type), argument.name, shape if alike else rng.choice(SHAPES), dtype, rng, generator)
        if argument.kwarg_only:
            kwargs[argument.name] = value
        else:
            args.append(value)
    return tuple(args), kwargs


def value_of(kind, name, shape, dtype, rng, generator):
    if kind.startswith("Optional["):
        return None if rng.random() < 0.4 else value_of(kind[9:-1], name, shape, dtype, rng, generator)
    if kind.startswith("List["):
        return [value_of(kind[5:-1], name, shape, dtype, rng, generator) for _ in range(rng.randint(1, 3))]
    if kind == "Tensor":
        return tensor_of(name, shape, dtype, rng, generator)
    if kind in ("int", "SymInt"):
        return rng.choice([0, 1, 1, 2, 3])
    if kind == "float":
        return rng.choice([0.5, 1.0, 0.25])
    if kind == "number":
        return rng.choice([0, 1, 2, 0.5])
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "str":
        return rng.choice(STRINGS)
    if kind == "ScalarType":
        return rng.choice([torch.float32, torch.float64, torch.int64])
    if kind == "Device":
        return torch.device("cpu")
    if kind == "MemoryFormat":
        return torch.contiguous_format
    if kind == "Layout":
        return torch.strided
    raise NotImplementedError(kind)


def tensor_of(name, shape, dtype, rng, generator):
    if any(word in name for word in ("ind", "target", "label", "length", "offset", "repeats")):
        return torch.randint(0, 2, shape, generator=generator)
    if "mask" in name or "condition" in name:
        return torch.rand(shape, generator=generator) < 0.5
    if dtype == torch.bool:
        return torch.rand(shape, generator=generator) < 0.5
    if not dtype.is_floating_point:
        return torch.randint(1, 5, shape, generator=generator, dtype=dtype)
    return torch.rand(shape, generator=generator, dtype=dtype).requires_grad_(rng.random() < 0.5)
