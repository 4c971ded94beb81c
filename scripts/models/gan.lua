-- A small DCGAN (Radford et al., 2015) for images of 28 x 28 in -1 ... 1. Returns the classes of its two networks.
local torch = require "torch"
local nn = torch.nn

local function draw(net)
  for _, module in ipairs(net:modules()) do
    if module:is_instance(nn.BatchNorm2d) then nn.init.normal_(module.weight, 1.0, 0.02)
    elseif module.weight then nn.init.normal_(module.weight, 0.0, 0.02) end
  end
end

local Generator = nn.class("Generator")

-- options: latent = 64, width = 32 (channels of the last layer but one).
function Generator:__init(options)
  local o = options or {}
  local latent, width = o.latent or 64, o.width or 32
  self.latent = latent
  self.layers = nn.Sequential(
    nn.ConvTranspose2d(latent, 2 * width, 7, {bias = false}), nn.BatchNorm2d(2 * width), nn.ReLU(true),
    nn.ConvTranspose2d(2 * width, width, 4, {stride = 2, padding = 1, bias = false}), nn.BatchNorm2d(width), nn.ReLU(true),
    nn.ConvTranspose2d(width, 1, 4, {stride = 2, padding = 1, bias = false}), nn.Tanh())
  draw(self)
end

-- Noise [batch, latent] to images [batch, 1, 28, 28].
function Generator:forward(noise) return self.layers(noise:view(noise:size(0), self.latent, 1, 1)) end

local Discriminator = nn.class("Discriminator")

-- options: width = 32 (channels of the first layer).
function Discriminator:__init(options)
  local width = options and options.width or 32
  self.layers = nn.Sequential(
    nn.Conv2d(1, width, 4, {stride = 2, padding = 1, bias = false}), nn.LeakyReLU(0.2, true),
    nn.Conv2d(width, 2 * width, 4, {stride = 2, padding = 1, bias = false}), nn.BatchNorm2d(2 * width),
    nn.LeakyReLU(0.2, true), nn.Conv2d(2 * width, 1, 7, {bias = false}))
  draw(self)
end

-- Images to logits [batch]: above 0 is real.
function Discriminator:forward(images) return self.layers(images):flatten() end

return {Generator = Generator, Discriminator = Discriminator}
