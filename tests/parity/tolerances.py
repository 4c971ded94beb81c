# How far a result may be from Python's, each with its reason. What is not listed is equal bit for bit: both sides
# run the same LibTorch kernels on one thread.
import fnmatch

# operator pattern -> (rtol, atol, reason)
TOLERANCES = {
    "*lstsq*": (1e-4, 1e-4, "the driver gelsy takes first pivots from memory that ATen leaves undefined: Python's own "
                                  "results vary from call to call"),
}


# Operators whose values are those of the memory: only dtype, shape and strides are compared.
UNDEFINED = {"empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided", "resize_",
             "resize_as_", "resize", "resize_as", "new_empty_strided"}


def is_undefined(name):
    return name.rpartition(".")[2] in UNDEFINED


def of(name):
    """(rtol, atol) of an operator."""
    for pattern, (rtol, atol, _) in TOLERANCES.items():
        if fnmatch.fnmatch(name, pattern):
            return rtol, atol
    return 0.0, 0.0
