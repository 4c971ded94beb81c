# The peer of operators.lua: the same calls in Python.
import pathlib
import time

import torch
import torch.nn.functional as F

ROUNDS, CALLS = 7, 3000
torch.set_num_threads(1)
torch.manual_seed(0)
environment = {
    "torch": torch, "F": F, "x": torch.randn(4, 4), "y": torch.randn(4, 4), "z": torch.zeros(4, 4),
    "b": torch.randn(4), "s": torch.tensor(1.5), "k": torch.tensor([0, 2, 1, 3]), "m": torch.randn(4, 4) > 0,
    "i": torch.randn(1, 2, 6, 6), "w": torch.randn(3, 2, 3, 3),
}

for line in (pathlib.Path(__file__).parent / "operators.txt").read_text().splitlines():
    name, _, code = (part.strip() for part in line.split("|"))
    # Names are the function's own, as Lua's are locals.
    source = f"def make(torch, F, x, y, z, b, s, k, m, i, w):\n def run(count):\n  for _ in range(count): {code}\n return run"
    exec(source, environment)
    run = environment["make"](*(environment[part] for part in "torch F x y z b s k m i w".split()))
    run(CALLS // 3)
    least = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        run(CALLS)
        least = min(least, time.process_time() - began)
    print(f"{name}\t{least / CALLS * 1e9:.1f}")
