# The Python twin of scripts/models/matrix_factorization.lua and of matrix_factorization.lua here.
import torch
import torch.nn.functional as F
from torch import nn


class MatrixFactorization(nn.Module):
    def __init__(self, users, items, width, mean):
        super().__init__()
        self.user = nn.Embedding(users, width, sparse=True)
        self.item = nn.Embedding(items, width, sparse=True)
        self.user_offset = nn.Embedding(users, 1, sparse=True)
        self.item_offset = nn.Embedding(items, 1, sparse=True)
        self.mean = mean
        nn.init.normal_(self.user.weight, 0, 0.1)
        nn.init.normal_(self.item.weight, 0, 0.1)
        nn.init.zeros_(self.user_offset.weight)
        nn.init.zeros_(self.item_offset.weight)

    def forward(self, users, items):
        product = (self.user(users) * self.item(items)).sum(1)
        return product + self.user_offset(users).squeeze(1) + self.item_offset(items).squeeze(1) + self.mean


def make(users, items, width, batch):
    net = MatrixFactorization(users, items, width, 3.5)
    optimizer = torch.optim.SparseAdam(net.parameters(), lr=0.01)
    of_users, of_items = torch.randint(0, users, (batch,)), torch.randint(0, items, (batch,))
    scores = torch.randint(1, 6, (batch,)).to(torch.float32)

    def loss():
        return F.mse_loss(net(of_users, of_items), scores)

    return {"modules": [net], "optimizer": optimizer, "loss": loss, "samples": batch}
