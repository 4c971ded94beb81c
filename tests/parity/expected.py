# Cases that are known to differ, each with its reason. An entry that no case needs any more is an error in a whole run
# (a sample may miss the case), so the list only grows shorter.
import fnmatch

# (operator, aspect, part of what is wrong) -> reason; * stands for anything in the first two
FAILURES = {
    (f"torch.{name}", "schema", "expected torch.float32"):
        "Python's parser cannot read the default at::Reduction::Mean and takes 0 (none); the operator's own default, the "
        "mean, is what its documentation and nn.functional say"
    for name in ("cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "triplet_margin_loss")
} | {
    ("complex", "error", "argument 'real' (position 1) must be Tensor, not int"):
        "Lua has no complex numbers of its own: torch.complex(2, 3) makes one",
    ("torch.ops.aten.std", "schema", "greatest difference"): "torch.ops takes None for the boolean `unbiased` in Python",
    ("torch.ops.aten.var", "schema", "greatest difference"): "torch.ops takes None for the boolean `unbiased` in Python",
    ("torch.randint_like", "schema", "derivative for aten::randint_like is not implemented"):
        "with a tensor as bound the result requires a gradient, as in C++; Python's binding cuts it off",
}

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
