-- A picture that is drawn on: boxes, letters, smooth lines. Points are counted from the upper left corner.
local glyph = require "host.font"
local save = require "native.save"
local torch = require "torch"

local Canvas = {}
Canvas.__index = Canvas

local function on_cpu(values, dtype) return torch.tensor(values, {dtype = dtype, device = "cpu"}) end

--- Fills a box; what lies outside the picture is left out.
---@param x integer
---@param y integer
---@param width integer
---@param height integer
---@param rgb integer[] 0 to 255
---@param opacity? number 1: nothing of what was there shows through
function Canvas:fill(x, y, width, height, rgb, opacity)
  local left, top = math.max(x, 0), math.max(y, 0)
  local right, bottom = math.min(x + width, self.width), math.min(y + height, self.height)
  if right <= left or bottom <= top then return end
  local part = self.image:narrow(0, top, bottom - top):narrow(1, left, right - left)
  local ink = on_cpu(rgb, torch.uint8)
  if not opacity or opacity >= 1 then return part:copy_(ink) end
  part:copy_((part:to(torch.float32) * (1 - opacity) + ink:to(torch.float32) * opacity):round())
end

-- The letters of a text side by side, true where there is ink.
local bitmaps = {}
local function bitmap(text, scale)
  local letters = {}
  for _, character in utf8.codes(text, true) do
    bitmaps[character] = bitmaps[character] or on_cpu(glyph(character), torch.bool)
    letters[#letters + 1] = bitmaps[character]
  end
  if #letters == 0 then return nil end
  return torch.cat(letters, 1):repeat_interleave(scale, 0):repeat_interleave(scale, 1)
end

--- Writes a text of letters of 6 x 7 points, each of `scale` x `scale`.
---@param text string
---@param x integer the left edge
---@param y integer the upper edge
---@param scale integer
---@param rgb integer[]
---@param upwards? boolean from below to above
function Canvas:write(text, x, y, scale, rgb, upwards)
  local ink = bitmap(text, scale)
  if not ink then return end
  if upwards then ink = ink:rot90(1) end
  local top, left = math.max(0, -y), math.max(0, -x)
  local rows = math.min(ink:size(0), self.height - y) - top
  local columns = math.min(ink:size(1), self.width - x) - left
  if rows <= 0 or columns <= 0 then return end
  ink = ink:narrow(0, top, rows):narrow(1, left, columns)
  local at = self.image:narrow(0, y + top, rows):narrow(1, x + left, columns)
  at:copy_(torch.where(ink:unsqueeze(2), on_cpu(rgb, torch.uint8), at))
end

-- How much of each point a line from a to b covers, into the greatest of what was there.
local function cover(mask, ax, ay, bx, by, half)
  local height, width = mask:size(0), mask:size(1)
  local reach = half + 1
  local left, right = math.max(0, math.floor(math.min(ax, bx) - reach)), math.min(width, math.ceil(math.max(ax, bx) + reach))
  local top, bottom = math.max(0, math.floor(math.min(ay, by) - reach)), math.min(height, math.ceil(math.max(ay, by) + reach))
  if right <= left or bottom <= top then return end
  local options = {dtype = torch.float32, device = "cpu"}
  local px = torch.arange(left, right, options):add_(0.5 - ax):unsqueeze(0)
  local py = torch.arange(top, bottom, options):add_(0.5 - ay):unsqueeze(1)
  local dx, dy = bx - ax, by - ay
  local length = dx * dx + dy * dy
  if length > 0 then
    local t = (px * (dx / length) + py * (dy / length)):clamp_(0, 1)
    px, py = px - t * dx, py - t * dy
  end
  local part = mask:narrow(0, top, bottom - top):narrow(1, left, right - left)
  part:copy_(torch.maximum(part, (half + 0.5 - torch.hypot(px, py)):clamp_(0, 1)))
end

--- Draws lines through points with smooth edges, a round dot where a line has one point alone.
---@param lines number[][][] each a list of {x, y}
---@param thickness number
---@param rgb integer[]
function Canvas:strokes(lines, thickness, rgb)
  local left, top, right, bottom = math.huge, math.huge, -math.huge, -math.huge
  for _, points in ipairs(lines) do
    for _, point in ipairs(points) do
      left, right = math.min(left, point[1]), math.max(right, point[1])
      top, bottom = math.min(top, point[2]), math.max(bottom, point[2])
    end
  end
  local margin = thickness + 2
  left, top = math.max(0, math.floor(left - margin)), math.max(0, math.floor(top - margin))
  right, bottom = math.min(self.width, math.ceil(right + margin)), math.min(self.height, math.ceil(bottom + margin))
  if not (right > left and bottom > top) then return end
  local mask = torch.zeros({bottom - top, right - left}, {dtype = torch.float32, device = "cpu"})
  for _, points in ipairs(lines) do
    for i = math.min(2, #points), #points do
      local from, to = points[math.max(i - 1, 1)], points[i]
      cover(mask, from[1] - left, from[2] - top, to[1] - left, to[2] - top, thickness / 2)
    end
  end
  mask = mask:unsqueeze(2)
  local part = self.image:narrow(0, top, bottom - top):narrow(1, left, right - left)
  part:copy_((part:to(torch.float32) * (1 - mask) + on_cpu(rgb, torch.float32) * mask):round())
end

--- The bytes of a PNG file.
---@return string
function Canvas:png() return save.png(self.image) end

---A white picture, or one that is there.
---@param width integer
---@param height integer
---@param image? Tensor uint8 [height, width, 3] on the CPU, which is drawn on
---@return table canvas
return function(width, height, image)
  return setmetatable({
    width = width, height = height,
    image = image or torch.full({height, width, 3}, 255, {dtype = torch.uint8, device = "cpu"}),
  }, Canvas)
end
