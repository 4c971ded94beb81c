-- A small detector without anchors, in the manner of FCOS (Tian et al., 2019): each cell of 8 x 8 pixels tells what is
-- there, and how far the sides of its box are. Returns its class.
local torch = require "torch"
local boxes = require "models.boxes"
local nn, F = torch.nn, torch.nn.functional

local STRIDE = 8

local function conv(from, to, stride)
  return nn.Sequential(nn.Conv2d(from, to, 3, {stride = stride, padding = 1, bias = false}), nn.BatchNorm2d(to), nn.ReLU(true))
end

local Detector = nn.class("Detector")

-- options: classes = 10, in_channels = 1, width = 16 (channels of the first level).
function Detector:__init(options)
  local o = options or {}
  local width, classes = o.width or 16, o.classes or 10
  self.classes = classes
  self.backbone = nn.Sequential(
    conv(o.in_channels or 1, width, 1), conv(width, 2 * width, 2), conv(2 * width, 2 * width, 1),
    conv(2 * width, 4 * width, 2), conv(4 * width, 4 * width, 1), conv(4 * width, 8 * width, 2))
  self.class_head = nn.Sequential(conv(8 * width, 4 * width, 1), nn.Conv2d(4 * width, classes, 3, {padding = 1}))
  self.box_head = nn.Sequential(conv(8 * width, 4 * width, 1), nn.Conv2d(4 * width, 4, 3, {padding = 1}))
  -- At first every class has a probability of 0.01 everywhere: the many empty cells must not swamp the first steps.
  nn.init.constant_(self.class_head[1].bias, -math.log(99))
end

-- The middles of the cells, [cells, 2]: x and y in pixels.
local function middles(height, width)
  local y = (torch.arange(height) + 0.5) * STRIDE
  local x = (torch.arange(width) + 0.5) * STRIDE
  local rows, columns = table.unpack(torch.meshgrid(y, x, {indexing = "ij"}))
  return torch.stack({columns:flatten(), rows:flatten()}, 1)
end

-- Images to logits [batch, cells, classes], boxes [batch, cells, 4] in pixels, and the middles of the cells.
function Detector:forward(images)
  local features = self.backbone(images)
  local centers = middles(features:size(2), features:size(3))
  local logits = self.class_head(features):flatten(2):transpose(1, 2)
  local far = F.softplus(self.box_head(features)):flatten(2):transpose(1, 2) * STRIDE
  local left_top, right_bottom = table.unpack(far:split(2, 2))
  return logits, torch.cat({centers - left_top, centers + right_bottom}, 2), centers
end

-- What each cell should see. given: boxes [batch, objects, 4]; labels [batch, objects], -1 for none. A cell sees the
-- smallest object whose box holds its middle no more than 1.5 cells off the box's own. Gives which cells see one [batch,
-- cells], its box and its label.
local function assign(centers, given, labels)
  local x, y = table.unpack(centers:view(1, -1, 1, 2):unbind(-1))
  local left, top, right, bottom = table.unpack(given:unsqueeze(1):unbind(-1))
  local reach = 1.5 * STRIDE
  local middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
  local near_x = torch.minimum(torch.minimum(x - left, right - x), reach - (x - middle_x):abs())
  local near_y = torch.minimum(torch.minimum(y - top, bottom - y), reach - (y - middle_y):abs())
  local sees = torch.minimum(near_x, near_y):gt(0) & labels:unsqueeze(1):ge(0)
  local area = boxes.area(given):unsqueeze(1):masked_fill(~sees, math.huge)
  local smallest, which = area:min(2)
  local box = given:gather(1, which:unsqueeze(2):expand(-1, -1, 4))
  return smallest:lt(math.huge), box, labels:gather(1, which)
end

-- The two losses for each object seen: focal (Lin et al., 2017) of the classes, and of the boxes.
function Detector:losses(logits, found, centers, given, labels)
  local sees, box, label = assign(centers, given, labels)
  local count = sees:sum():clamp(1)
  local wanted = (F.one_hot(label:clamp(0), self.classes) * sees:unsqueeze(2)):to(logits.dtype)
  local entropy = F.binary_cross_entropy_with_logits(logits, wanted, {reduction = "none"})
  local p = logits:sigmoid()
  local wrong = p + wanted - 2 * p * wanted
  local classes = ((0.75 - 0.5 * wanted) * wrong:square() * entropy):sum() / count
  return classes, boxes.giou_loss(found[sees], box[sees]):sum() / count
end

-- What is in each image: {boxes [n, 4], scores [n], labels [n]}, the best first.
-- options: score = 0.05 (the least), candidates = 100 before suppression, iou = 0.5 (of two boxes of one object).
function Detector:detect(images, options)
  local o = options or {}
  local _ <close> = torch.no_grad()
  local logits, found = self(images)
  local results = {}
  for i = 0, images:size(0) - 1 do
    local scores = logits[i]:sigmoid():flatten()
    local best, at = scores:topk(math.min(o.candidates or 100, scores:size(0)))
    local sure = best:gt(o.score or 0.05)
    best, at = best[sure], at[sure]
    local cell, label = at // self.classes, at % self.classes
    local box = found[i][cell]
    local stays = boxes.nms(box, best, label, o.iou or 0.5)
    results[i + 1] = {boxes = box[stays], scores = best[stays], labels = label[stays]}
  end
  return results
end

return Detector
