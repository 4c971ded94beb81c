# The peer of memory.lua.
import gc
import sys

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(1)


def chain():
    with torch.no_grad():
        a, b = torch.randn(1000, 1000), torch.randn(1000, 1000) / 1000**0.5
        for _ in range(300):
            a = a.matmul(b)


def pointwise():
    a = torch.randn(1000, 1000)
    for _ in range(300):
        (a + 1).mul(2).sub(3).div(4).abs().mean().item()


def deep():
    layers = []
    for _ in range(50):
        layers += [nn.Linear(512, 512), nn.ReLU()]
    net = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    for _ in range(5):
        loss = F.mse_loss(net(torch.randn(1024, 512)), torch.zeros(1024, 512))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def small():
    tables = [[i] for i in range(100000)]
    x = torch.ones(4)
    for _ in range(300000):
        x = x * 0.5 + 1
    assert len(tables) == 100000 and x.sum().item() == 8


def heap():
    tables = [[i, [i]] for i in range(300000)]
    x = torch.ones(128, 128)
    for _ in range(30000):
        x = x * 0.5 + 1
    assert len(tables) == 300000


def grow():
    kept, x = [], torch.randn(64, 64)
    for i in range(20000):
        kept.append((x + i).mul(2).relu())
    assert len(kept) == 20000


def leak():
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 1000000
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-2, fused=True)
    x, y = torch.randn(4, 8), torch.randn(4, 1)

    def resident():
        with open("/proc/self/status") as status:
            return next(line.split()[1] for line in status if line.startswith("VmRSS:"))

    for step in range(1, steps + 1):
        loss = F.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % (steps // 20) == 0:
            gc.collect()
            print("resident", resident())


def large():
    with torch.no_grad():
        a, b = torch.randn(4096, 4096), torch.eye(4096)
        for _ in range(40):
            a = a * 0.5 + b


{"large": large, "chain": chain, "pointwise": pointwise, "deep": deep, "small": small, "heap": heap, "list": grow, "leak": leak}[sys.argv[1]]()
