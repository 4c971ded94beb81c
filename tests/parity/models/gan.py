# The Python twin of scripts/models/gan.lua and of gan.lua here.
import torch
import torch.nn.functional as F
from torch import nn


def draw(net):
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        elif getattr(module, "weight", None) is not None:
            nn.init.normal_(module.weight, 0.0, 0.02)


class Generator(nn.Module):
    def __init__(self, latent, width):
        super().__init__()
        self.latent = latent
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(latent, 2 * width, 7, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(True),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True),
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1, bias=False), nn.Tanh())
        draw(self)

    def forward(self, noise):
        return self.layers(noise.view(noise.size(0), self.latent, 1, 1))


class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=2, padding=1, bias=False), nn.LeakyReLU(0.2, True),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2, True), nn.Conv2d(2 * width, 1, 7, bias=False))
        draw(self)

    def forward(self, images):
        return self.layers(images).flatten()


def make(batch, latent, width):
    generator, discriminator = Generator(latent, width), Discriminator(width)
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
    real = torch.rand(batch, 1, 28, 28) * 2 - 1
    ones, zeros = torch.ones(batch), torch.zeros(batch)
    bce = F.binary_cross_entropy_with_logits

    def step():
        fake = generator(torch.randn(batch, latent))
        loss_d = bce(discriminator(real), ones) + bce(discriminator(fake.detach()), zeros)
        optimizer_d.zero_grad()
        loss_d.backward()
        optimizer_d.step()
        loss_g = bce(discriminator(fake), ones)
        optimizer_g.zero_grad()
        loss_g.backward()
        optimizer_g.step()
        return loss_d, loss_g

    return {"modules": [generator, discriminator], "step": step, "samples": batch}
