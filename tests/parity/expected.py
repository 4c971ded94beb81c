# Cases that are known to differ, each with its reason. An entry that no case needs any more is an error, so
# the list only grows shorter.
import fnmatch

# (operator, aspect, part of what is wrong) -> reason; * stands for anything in the first two
FAILURES = {
    ("complex", "error", "argument 'real' (position 1) must be Tensor, not int"):
        "Lua has no complex numbers of its own: torch.complex(2, 3) makes one",
    ("torch.ops.aten.std", "schema", "greatest difference"): "torch.ops takes None for the boolean `unbiased` in Python",
    ("torch.ops.aten.var", "schema", "greatest difference"): "torch.ops takes None for the boolean `unbiased` in Python",
}

# Why a case of PyTorch's test database is not run -> at most how many of a hundred that are.
DROPPED = {
    "the error is one of Python's language": 0.5,
    "an error of the database that Python does not raise": 0.2,
    "out=: the call without it returns no tensors": 0.1,
    "out=: the result is sparse": 0.1,
}


def whole():
    """The operators that are run whole in a sample, too."""
    return {operator for operator, _, _ in FAILURES}


# Entries of PyTorch's test database of which nothing can be run here.
NOT_RUN = {
    "nn.functional.batch_norm.without_cudnn": "an entry for CUDA alone, without dtypes on the CPU",
    "torch._scaled_mm": "has no sample for the CPU",
    "torch._scaled_mm_v2": "has no sample for the CPU",
    "torch.ops.aten._flash_attention_forward": "a kernel of CUDA alone",
    "torch.ops.aten._efficient_attention_forward": "a kernel of CUDA alone",
}


def reason(outcome):
    """The key of FAILURES that explains a failure, or None."""
    for key in FAILURES:
        operator, aspect, text = key
        if (fnmatch.fnmatch(outcome.operator, operator) and fnmatch.fnmatch(outcome.aspect, aspect)
                and text in outcome.wrong):
            return key
    return None
