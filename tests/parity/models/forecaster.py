# The Python twin of scripts/models/forecaster.lua and of forecaster.lua here.
import torch
import torch.nn.functional as F
from torch import nn


class Forecaster(nn.Module):
    def __init__(self, features, hidden_size, layers):
        super().__init__()
        self.lstm = nn.LSTM(features, hidden_size, num_layers=layers, batch_first=True)
        self.head = nn.Linear(hidden_size, 1)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.head(out.select(1, -1)).squeeze(-1)


def make(hidden_size, window, batch):
    net = Forecaster(1, hidden_size, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.01, fused=True)
    series = torch.randn(batch + window)
    x, y = series.narrow(0, 0, batch + window - 1).unfold(0, window, 1).unsqueeze(2), series.narrow(0, window, batch)

    def loss():
        return F.smooth_l1_loss(net(x), y)

    return {"modules": [net], "optimizer": optimizer, "loss": loss, "clip_norm": 1.0, "samples": batch}
