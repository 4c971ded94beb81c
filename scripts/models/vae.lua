-- A convolutional variational autoencoder (Kingma and Welling, 2013) for images of 28 x 28. Returns its class.
local torch = require "torch"
local nn, F = torch.nn, torch.nn.functional

local VAE = nn.class("VAE")

-- options: latent = 16 (numbers that stand for an image), width = 32 (channels of the first convolution).
function VAE:__init(options)
  local o = options or {}
  local width, latent = o.width or 32, o.latent or 16
  self.latent, self.inner = latent, {2 * width, 7, 7}
  self.encoder = nn.Sequential(
    nn.Conv2d(1, width, 3, {stride = 2, padding = 1}), nn.ReLU(),
    nn.Conv2d(width, 2 * width, 3, {stride = 2, padding = 1}), nn.ReLU(), nn.Flatten())
  self.mu = nn.Linear(2 * width * 49, latent)
  self.logvar = nn.Linear(2 * width * 49, latent)
  self.decoder = nn.Sequential(
    nn.Linear(latent, 2 * width * 49), nn.ReLU(), nn.Unflatten(1, self.inner),
    nn.ConvTranspose2d(2 * width, width, 4, {stride = 2, padding = 1}), nn.ReLU(),
    nn.ConvTranspose2d(width, 1, 4, {stride = 2, padding = 1}))
end

-- Logits of the pixels of a sample, and the mean and log variance that it was drawn by.
function VAE:forward(x)
  local hidden = self.encoder(x)
  local mu, logvar = self.mu(hidden), self.logvar(hidden)
  local z = self.training and mu + torch.randn_like(mu) * (0.5 * logvar):exp() or mu
  return self.decoder(z), mu, logvar
end

-- The two parts of the loss, each the mean over images of its sum: cross entropy of pixels, divergence from the normal.
function VAE.losses(x, logits, mu, logvar)
  local reconstruction = F.binary_cross_entropy_with_logits(logits, x, {reduction = "sum"}) / x:size(0)
  local kl = -0.5 * (1 + logvar - mu:square() - logvar:exp()):sum() / x:size(0)
  return reconstruction, kl
end

-- Images made of nothing, [count, 1, 28, 28] in 0 ... 1.
function VAE:sample(count)
  return self.decoder(torch.randn(count, self.latent)):sigmoid()
end

return VAE
