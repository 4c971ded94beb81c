-- How the variational autoencoder is trained by the parity test and the benchmark; vae.py line by line.
local torch = require "torch"
local VAE = require "models.vae"

return function(c)
  local net = VAE {width = c.width, latent = c.latent}
  local optimizer = torch.optim.Adam(net:parameters(), {lr = 1e-3})
  local x = torch.rand(c.batch, 1, 28, 28)

  local function loss()
    local reconstruction, kl = VAE.losses(x, net(x))
    local total = reconstruction + kl
    return total, reconstruction, kl
  end

  return {modules = {net}, optimizer = optimizer, loss = loss, samples = c.batch}
end
