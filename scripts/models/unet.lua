-- A U-Net (Ronneberger et al., 2015) with batch normalization and padded convolutions. Returns its class.
local torch = require "torch"
local nn = torch.nn

local function double_conv(from, to)
  return nn.Sequential(
    nn.Conv2d(from, to, 3, {padding = 1, bias = false}), nn.BatchNorm2d(to), nn.ReLU(true),
    nn.Conv2d(to, to, 3, {padding = 1, bias = false}), nn.BatchNorm2d(to), nn.ReLU(true))
end

local UNet = nn.class("UNet")

-- options: in_channels = 3, classes = 2, width = 64 (channels of the first level), depth = 4 (times the image is halved:
-- its sides must be multiples of 2 ^ depth).
function UNet:__init(options)
  local o = options or {}
  local width, depth = o.width or 64, o.depth or 4
  self.inc = double_conv(o.in_channels or 3, width)
  self.pool = nn.MaxPool2d(2)
  -- One a line: Lua assigns several from the last to the first, and modules have the order of their assignment.
  self.down = nn.ModuleList()
  self.up = nn.ModuleList()
  self.merge = nn.ModuleList()
  for level = 1, depth do
    local channels = width << level
    self.down:append(double_conv(channels // 2, channels))
  end
  for level = depth, 1, -1 do
    local channels = width << level
    self.up:append(nn.ConvTranspose2d(channels, channels // 2, 2, {stride = 2}))
    self.merge:append(double_conv(channels, channels // 2))
  end
  self.outc = nn.Conv2d(width, o.classes or 2, 1)
end

-- [batch, in_channels, height, width] to logits [batch, classes, height, width].
function UNet:forward(x)
  x = self.inc(x)
  local down, up, merge, skipped = self.down, self.up, self.merge, {x}
  local depth = #down
  for i = 0, depth - 1 do
    x = down[i](self.pool(x))
    skipped[i + 2] = x
  end
  for i = 0, depth - 1 do
    x = merge[i](torch.cat({skipped[depth - i], up[i](x)}, 1))
  end
  return self.outc(x)
end

return UNet
