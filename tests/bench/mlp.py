# The benchmark's peer: what mlp.cpp does, in Python; the argument `fused` takes the fused Adam kernel.
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

CALLS, ROWS = 200000, 60000


def bench_call():
    a, b = torch.randn(4), torch.randn(4)
    add = torch.add
    for i in range(-CALLS // 10, CALLS):
        if i == 0:
            began = time.process_time()
        add(a, b)
    print(f"call {(time.process_time() - began) / CALLS * 1e9:.1f}")


def bench_steps(fused):
    x, y = torch.randn(ROWS, 784), torch.randint(0, 10, (ROWS,))
    net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=fused)
    for batch in (16, 64, 256):
        steps = min(ROWS // batch, 1500)
        warm_up = steps // 10
        for i in range(steps):
            if i == warm_up:
                began = time.process_time()
            xb, yb = x.narrow(0, i * batch, batch), y.narrow(0, i * batch, batch)
            loss = F.cross_entropy(net(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"mlp{batch} {(time.process_time() - began) / (steps - warm_up) * 1e6:.2f}")


torch.set_num_threads(1)
bench_call()
bench_steps("fused" in sys.argv)
