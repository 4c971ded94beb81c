# The Python twin of scripts/models/unet.lua and of unet.lua here.
import torch
import torch.nn.functional as F
from torch import nn


def double_conv(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class UNet(nn.Module):
    def __init__(self, in_channels, classes, width, depth):
        super().__init__()
        self.inc = double_conv(in_channels, width)
        self.pool = nn.MaxPool2d(2)
        self.down, self.up, self.merge = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level in range(1, depth + 1):
            channels = width << level
            self.down.append(double_conv(channels // 2, channels))
        for level in range(depth, 0, -1):
            channels = width << level
            self.up.append(nn.ConvTranspose2d(channels, channels // 2, 2, stride=2))
            self.merge.append(double_conv(channels, channels // 2))
        self.outc = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        x = self.inc(x)
        skipped = [x]
        for down in self.down:
            x = down(self.pool(x))
            skipped.append(x)
        for i, (up, merge) in enumerate(zip(self.up, self.merge)):
            x = merge(torch.cat([skipped[len(self.up) - 1 - i], up(x)], 1))
        return self.outc(x)


def make(batch, size, width, depth):
    net = UNet(1, 3, width, depth)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.003, fused=True)
    x, y = torch.randn(batch, 1, size, size), torch.randint(0, 3, (batch, size, size))

    def loss():
        return F.cross_entropy(net(x), y)

    return {"modules": [net], "optimizer": optimizer, "loss": loss, "samples": batch}
