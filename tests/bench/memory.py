# The peer of memory.lua.
import sys

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(1)
if sys.argv[1] == "chain":
    with torch.no_grad():
        a, b = torch.randn(1000, 1000), torch.randn(1000, 1000) / 1000**0.5
        for _ in range(300):
            a = a.matmul(b)
elif sys.argv[1] == "pointwise":
    a = torch.randn(1000, 1000)
    for _ in range(300):
        (a + 1).mul(2).sub(3).div(4).abs().mean().item()
else:
    layers = []
    for _ in range(50):
        layers += [nn.Linear(512, 512), nn.ReLU()]
    net = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    for _ in range(3):
        loss = F.mse_loss(net(torch.randn(1024, 512)), torch.zeros(1024, 512))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
