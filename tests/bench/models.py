# The peer of models.lua.
import pathlib
import statistics
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "parity/models"))
from load import load  # noqa: E402

torch.set_num_threads(1)
training, sizes = load(sys.argv[1], "bench")
step, times = training["step"], []
for i in range(-2, sizes["steps"]):
    began = time.process_time()
    step()
    if i >= 0:
        times.append(time.process_time() - began)
print(f"{statistics.median(times) * 1e6:.1f} {training['samples']}")
