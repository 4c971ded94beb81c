# How far a result may be from Python's, each with its reason. What is not listed is equal bit for bit: both sides
# run the same LibTorch kernels on one thread.
import fnmatch

# operator pattern -> (rtol, atol, reason)
TOLERANCES = {}


def of(name):
    """(rtol, atol) of an operator."""
    for pattern, (rtol, atol, _) in TOLERANCES.items():
        if fnmatch.fnmatch(name, pattern):
            return rtol, atol
    return 0.0, 0.0
