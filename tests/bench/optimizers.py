# The peer of optimizers.lua: by default, with foreach and with fused kernels where there are any.
import time

import torch

ROUNDS = 5
torch.set_num_threads(1)
OPTIONS = {"LBFGS": {"max_iter": 1}, "SGD": {"momentum": 0.9}}
NAMES = ["ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "LBFGS", "Muon", "NAdam", "RAdam", "RMSprop",
         "Rprop", "SGD", "SparseAdam"]
FUSED = ("Adagrad", "Adam", "AdamW", "SGD")
PLAIN = ("LBFGS", "Muon", "SparseAdam")


def made(name, count, **kernels):
    torch.manual_seed(0)
    params = []
    for _ in range(count):
        params.append(torch.randn(16, 16).requires_grad_())
        params[-1].grad = torch.randn(16, 16)
        if name == "SparseAdam":
            params[-1].grad = torch.sparse_coo_tensor(torch.tensor([[1, 5, 7]]), torch.randn(3, 16), (16, 16)).coalesce()
    return getattr(torch.optim, name)(params, **OPTIONS.get(name, {}), **kernels)


for name in NAMES:
    variants = {"default": {}}
    if name not in PLAIN:
        variants["foreach"] = {"foreach": True}
    if name in FUSED:
        variants["fused"] = {"fused": True}
    for variant, kernels in variants.items():
        for count in (10, 100, 1000):
            opt = made(name, count, **kernels)
            loss = torch.tensor(1.0)
            arguments = ((lambda: loss),) if name == "LBFGS" else ()
            calls = max(2, (200 if name == "Muon" else 1000 if name == "SparseAdam" else 3000) // count)
            for _ in range(2):
                opt.step(*arguments)
            least = float("inf")
            for _ in range(ROUNDS):
                began = time.process_time()
                for _ in range(calls):
                    opt.step(*arguments)
                least = min(least, time.process_time() - began)
            print(f"{name}\t{count}\t{variant}\t{least / calls * 1e6:.2f}")
