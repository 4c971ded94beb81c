-- How the U-Net is trained by the parity test and the benchmark; unet.py line by line.
local torch = require "torch"
local UNet = require "models.unet"
local F = torch.nn.functional

return function(c)
  local net = UNet {in_channels = 1, classes = 3, width = c.width, depth = c.depth}
  local optimizer = torch.optim.AdamW(net:parameters(), {lr = 0.003})
  local x, y = torch.randn(c.batch, 1, c.size, c.size), torch.randint(0, 3, {c.batch, c.size, c.size})

  local function loss() return F.cross_entropy(net(x), y) end

  return {modules = {net}, optimizer = optimizer, loss = loss, samples = c.batch}
end
