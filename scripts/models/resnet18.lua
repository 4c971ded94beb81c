-- ResNet-18 (He et al., 2015): structure, names and first weights are torchvision's. Returns its class.
local torch = require "torch"
local nn = torch.nn

local function conv3x3(from, to, stride)
  return nn.Conv2d(from, to, 3, {stride = stride or 1, padding = 1, bias = false})
end

local Block = nn.class("BasicBlock")

function Block:__init(from, to, stride, downsample)
  self.conv1 = conv3x3(from, to, stride)
  self.bn1 = nn.BatchNorm2d(to)
  self.relu = nn.ReLU(true)
  self.conv2 = conv3x3(to, to)
  self.bn2 = nn.BatchNorm2d(to)
  self.downsample = downsample
end

function Block:forward(x)
  local out = self.relu(self.bn1(self.conv1(x)))
  out = self.bn2(self.conv2(out))
  local shortcut = self.downsample and self.downsample(x) or x
  return self.relu(out:add_(shortcut))
end

local function stage(from, to, stride)
  local downsample
  if stride ~= 1 or from ~= to then
    downsample = nn.Sequential(nn.Conv2d(from, to, 1, {stride = stride, bias = false}), nn.BatchNorm2d(to))
  end
  local first = Block(from, to, stride, downsample)
  return nn.Sequential(first, Block(to, to))
end

local ResNet = nn.class("ResNet")

-- options: num_classes = 1000, in_channels = 3, width = 64 (channels of the first stage), and small = true for images
-- of 28 or 32 pixels: a first convolution that keeps their size, and no pooling after it.
function ResNet:__init(options)
  local o = options or {}
  local width = o.width or 64
  local channels = o.in_channels or 3
  if o.small then
    self.conv1 = conv3x3(channels, width)
  else
    self.conv1 = nn.Conv2d(channels, width, 7, {stride = 2, padding = 3, bias = false})
  end
  self.bn1 = nn.BatchNorm2d(width)
  self.relu = nn.ReLU(true)
  self.maxpool = o.small and nn.Identity() or nn.MaxPool2d(3, {stride = 2, padding = 1})
  self.layer1 = stage(width, width, 1)
  self.layer2 = stage(width, 2 * width, 2)
  self.layer3 = stage(2 * width, 4 * width, 2)
  self.layer4 = stage(4 * width, 8 * width, 2)
  self.avgpool = nn.AdaptiveAvgPool2d({1, 1})
  self.fc = nn.Linear(8 * width, o.num_classes or 1000)
  for _, module in ipairs(self:modules()) do
    if module:is_instance(nn.Conv2d) then
      nn.init.kaiming_normal_(module.weight, {mode = "fan_out", nonlinearity = "relu"})
    end
  end
end

function ResNet:forward(x)
  x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
  x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
  return self.fc(self.avgpool(x):flatten(1))
end

return ResNet
