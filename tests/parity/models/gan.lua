-- How the two networks of the GAN are trained by the parity test and the benchmark; gan.py line by line.
local torch = require "torch"
local gan = require "models.gan"
local F = torch.nn.functional

return function(c)
  local generator = gan.Generator {latent = c.latent, width = c.width}
  local discriminator = gan.Discriminator {width = c.width}
  local optimizer_g = torch.optim.Adam(generator:parameters(), {lr = 2e-4, betas = {0.5, 0.999}})
  local optimizer_d = torch.optim.Adam(discriminator:parameters(), {lr = 2e-4, betas = {0.5, 0.999}})
  local real = torch.rand(c.batch, 1, 28, 28) * 2 - 1
  local ones, zeros = torch.ones(c.batch), torch.zeros(c.batch)
  local bce = F.binary_cross_entropy_with_logits

  local function step()
    local fake = generator(torch.randn(c.batch, c.latent))
    local loss_d = bce(discriminator(real), ones) + bce(discriminator(fake:detach()), zeros)
    optimizer_d:zero_grad()
    loss_d:backward()
    optimizer_d:step()
    local loss_g = bce(discriminator(fake), ones)
    optimizer_g:zero_grad()
    loss_g:backward()
    optimizer_g:step()
    return loss_d, loss_g
  end

  return {modules = {generator, discriminator}, step = step, samples = c.batch}
end
