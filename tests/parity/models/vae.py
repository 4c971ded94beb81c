# The Python twin of scripts/models/vae.lua and of vae.lua here.
import torch
import torch.nn.functional as F
from torch import nn


class VAE(nn.Module):
    def __init__(self, latent, width):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten())
        self.mu = nn.Linear(2 * width * 49, latent)
        self.logvar = nn.Linear(2 * width * 49, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, 2 * width * 49), nn.ReLU(), nn.Unflatten(1, (2 * width, 7, 7)),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1))

    def forward(self, x):
        hidden = self.encoder(x)
        mu, logvar = self.mu(hidden), self.logvar(hidden)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return self.decoder(z), mu, logvar

    @staticmethod
    def losses(x, logits, mu, logvar):
        reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / x.size(0)
        kl = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum() / x.size(0)
        return reconstruction, kl


def make(batch, width, latent):
    net = VAE(latent, width)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    x = torch.rand(batch, 1, 28, 28)

    def loss():
        reconstruction, kl = VAE.losses(x, *net(x))
        total = reconstruction + kl
        return total, reconstruction, kl

    return {"modules": [net], "optimizer": optimizer, "loss": loss, "samples": batch}
