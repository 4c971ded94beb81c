-- Scenes made of Fashion-MNIST's garments: several on one canvas, for segmentation and detection.
local torch = require "torch"
local F = torch.nn.functional

local scenes = {}

-- The left, top, right and bottom of what is not black in an image [height, width], right and bottom beyond the last.
local function bounds(image)
  local filled = image:gt(0.1)
  local rows, columns = filled:any(1):nonzero(), filled:any(0):nonzero()
  return columns:min():item(), rows:min():item(), columns:max():item() + 1, rows:max():item() + 1
end

local function overlaps(a, b)
  local width = math.min(a[3], b[3]) - math.max(a[1], b[1])
  local height = math.min(a[4], b[4]) - math.max(a[2], b[2])
  if width <= 0 or height <= 0 then return false end
  local smaller = math.min((a[3] - a[1]) * (a[4] - a[2]), (b[3] - b[1]) * (b[4] - b[2]))
  return width * height > 0.25 * smaller
end

-- A garment of the set at a random size: its pixels, cut to its bounds, and its class.
local function garment(set, smallest, largest)
  local x, y = table.unpack(set[math.random(0, #set - 1)])
  local size = math.random(smallest, largest)
  local image = F.interpolate(x:unsqueeze(0), {size = {size, size}, mode = "bilinear", align_corners = false})[0][0]
  local left, top, right, bottom = bounds(image)
  return image:narrow(0, top, bottom - top):narrow(1, left, right - left), y:item()
end

-- count scenes of size x size pixels with up to `objects` garments that hide a quarter of each other at most, under
-- noise. Gives images [count, 1, size, size] of about 0 ... 1; masks [count, size, size], 0 for the ground and 1 + class
-- for a garment; boxes [count, objects, 4] and labels [count, objects], -1 where there is no object.
-- options: size = 96, objects = 4, largest = 5 / 12 of the size (pixels of a garment; the smallest has half of them),
-- noise = 0.15, seed = 1.
function scenes.make(set, count, options)
  local o = options or {}
  local size, objects, noise = o.size or 96, o.objects or 4, o.noise or 0.15
  local largest = o.largest or size * 5 // 12
  math.randomseed(o.seed or 1)
  torch.manual_seed(o.seed or 1)
  local images = torch.zeros(count, 1, size, size)
  local masks = torch.zeros(count, size, size, {dtype = torch.int64})
  local boxes, labels = torch.zeros(count, objects, 4), torch.full({count, objects}, -1)
  for i = 0, count - 1 do
    local canvas, mask, placed = images[i][0], masks[i], {}
    for _ = 1, math.random(1, objects) do
      local image, class = garment(set, largest // 2, largest)
      local height, width = image:size(0), image:size(1)
      local left, top = math.random(0, size - width), math.random(0, size - height)
      local box = {left, top, left + width, top + height}
      local free = true
      for _, other in ipairs(placed) do free = free and not overlaps(box, other) end
      if free then
        local here = canvas:narrow(0, top, height):narrow(1, left, width)
        mask:narrow(0, top, height):narrow(1, left, width):masked_fill_(image:gt(0.1) & image:ge(here), class + 1)
        here:copy_(torch.maximum(here, image))
        boxes[i][#placed] = torch.tensor(box)
        labels[i][#placed] = class
        placed[#placed + 1] = box
      end
    end
  end
  -- A ground that is brighter to one side, and noise over all of it.
  local slope = torch.linspace(0, 1, size) * torch.rand(count, 1, 1, 1) * 0.4
  images:copy_(torch.maximum(images, slope)):add_(torch.randn_like(images), {alpha = noise})
  return images, masks, boxes, labels
end

return scenes
