-- MobileNetV2 (Sandler et al., 2018): structure, names and first weights are torchvision's. Returns its class.
local torch = require "torch"
local nn, F = torch.nn, torch.nn.functional

-- A multiple of 8 (of `divisor`) near to `channels`, never less than 0.9 of it.
local function rounded(channels, divisor)
  local result = math.max(divisor, (channels + divisor / 2) // divisor * divisor)
  if result < 0.9 * channels then result = result + divisor end
  return math.tointeger(result)
end

local function conv(from, to, kernel, stride, groups)
  return nn.Sequential(
    nn.Conv2d(from, to, kernel, {stride = stride, padding = (kernel - 1) // 2, groups = groups, bias = false}),
    nn.BatchNorm2d(to), nn.ReLU6(true))
end

local Block = nn.class("InvertedResidual")

function Block:__init(from, to, stride, expand)
  local hidden = from * expand
  self.adds = stride == 1 and from == to
  local layers = {}
  if expand ~= 1 then layers[1] = conv(from, hidden, 1, 1, 1) end
  layers[#layers + 1] = conv(hidden, hidden, 3, stride, hidden)
  layers[#layers + 1] = nn.Conv2d(hidden, to, 1, {bias = false})
  layers[#layers + 1] = nn.BatchNorm2d(to)
  self.conv = nn.Sequential(layers)
end

function Block:forward(x)
  return self.adds and x + self.conv(x) or self.conv(x)
end

-- expansion, channels, blocks, stride of the first of them
local STAGES = {{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}}

local MobileNetV2 = nn.class("MobileNetV2")

-- options: num_classes = 1000, in_channels = 3, width = 1.0 (of all channels), divisor = 8, dropout = 0.2, stages, and
-- small = true for images of 28 or 32 pixels: the first two strides of 2 become 1.
function MobileNetV2:__init(options)
  local o = options or {}
  local width, divisor, small = o.width or 1.0, o.divisor or 8, o.small
  local channels = rounded(32 * width, divisor)
  local last = rounded(1280 * math.max(1.0, width), divisor)
  local features = {conv(o.in_channels or 3, channels, 3, small and 1 or 2, 1)}
  for number, stage in ipairs(o.stages or STAGES) do
    local expand, to, blocks, stride = table.unpack(stage)
    to = rounded(to * width, divisor)
    if small and number == 2 then stride = 1 end
    for i = 1, blocks do
      features[#features + 1] = Block(channels, to, i == 1 and stride or 1, expand)
      channels = to
    end
  end
  features[#features + 1] = conv(channels, last, 1, 1, 1)
  self.features = nn.Sequential(features)
  self.classifier = nn.Sequential(nn.Dropout(o.dropout or 0.2), nn.Linear(last, o.num_classes or 1000))
  for _, module in ipairs(self:modules()) do
    if module:is_instance(nn.Conv2d) then
      nn.init.kaiming_normal_(module.weight, {mode = "fan_out"})
    elseif module:is_instance(nn.Linear) then
      nn.init.normal_(module.weight, 0, 0.01)
      nn.init.zeros_(module.bias)
    end
  end
end

function MobileNetV2:forward(x)
  return self.classifier(F.adaptive_avg_pool2d(self.features(x), {1, 1}):flatten(1))
end

return MobileNetV2
