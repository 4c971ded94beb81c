-- What a chart is drawn with, as a PNG picture: the same as svg.lua in points.
local canvas = require "torch.canvas"

local INK <const> = {34, 34, 34}
local Painter = {kind = "png"}
Painter.__index = Painter

local function rgb(color)
  local red, green, blue = color:match("^#(%x%x)(%x%x)(%x%x)$")
  if not red then
    red, green, blue = color:match("^#(%x)(%x)(%x)$")
    red, green, blue = red .. red, green .. green, blue .. blue
  end
  return {tonumber(red, 16), tonumber(green, 16), tonumber(blue, 16)}
end

local function round(x) return math.floor(x + 0.5) end

---@private
function Painter:box(x, y, width, height, fill, stroke, opacity)
  x, y, width, height = round(x), round(y), round(width), round(height)
  if stroke then self.canvas:fill(x, y, width, height, rgb(stroke)) end
  local edge = stroke and 1 or 0
  self.canvas:fill(x + edge, y + edge, width - 2 * edge, height - 2 * edge, rgb(fill), not stroke and opacity or nil)
end

-- Straight up or across.
---@private
function Painter:rule(x1, y1, x2, y2, color)
  x1, y1, x2, y2 = round(x1), round(y1), round(x2), round(y2)
  self.canvas:fill(math.min(x1, x2), math.min(y1, y2), math.abs(x2 - x1) + 1, math.abs(y2 - y1) + 1, rgb(color))
end

-- A line as the pieces that its dashes leave.
local function broken(points, dashes, out)
  if #dashes == 0 or #points < 2 then
    out[#out + 1] = points
    return
  end
  local piece, on, left = {points[1]}, true, dashes[1]
  for i = 2, #points do
    local from, to = points[i - 1], points[i]
    local length, done = math.sqrt((to[1] - from[1]) ^ 2 + (to[2] - from[2]) ^ 2), 0
    while length - done > left do
      done = done + left
      local at = {from[1] + (to[1] - from[1]) * done / length, from[2] + (to[2] - from[2]) * done / length}
      if on then
        piece[#piece + 1] = at
        out[#out + 1] = piece
      end
      piece, on = {at}, not on
      left = dashes[on and 1 or 2]
    end
    left = left - (length - done)
    if on then piece[#piece + 1] = to end
  end
  if on then out[#out + 1] = piece end
end

---@private
function Painter:curve(pieces, color, dashes)
  local out, sized = {}, {}
  for i, length in ipairs(dashes) do sized[i] = length * self.scale end
  for _, points in ipairs(pieces) do broken(points, sized, out) end
  self.canvas:strokes(out, 2, rgb(color))
end

---@private
function Painter:dots(points, color)
  local lines = {}
  for i, point in ipairs(points) do lines[i] = {point} end
  self.canvas:strokes(lines, 5, rgb(color))
end

---@private
function Painter:sample(x, y, width, color, dashes) self:curve({{{x, y}, {x + width, y}}}, color, dashes) end

local function length_of(text) return utf8.len(text, 1, -1, true) or #text end

---@private
function Painter:text(x, y, text, anchor)
  local width = length_of(text) * self.char_width
  local left = anchor == "middle" and x - width / 2 or anchor == "right" and x - width or x
  self.canvas:write(text, math.floor(left), round(y - 3.5 * self.scale), self.scale, INK)
end

---@private
function Painter:text_up(x, y, text)
  local half = length_of(text) * self.char_width / 2
  self.canvas:write(text, round(x - 3.5 * self.scale), math.floor(y - half), self.scale, INK, true)
end

---@private
function Painter:finish() return self.canvas:png() end

---@param width integer
---@param height integer
---@param columns integer panels side by side: letters are large where there is room
---@return table painter
return function(width, height, columns)
  local scale = width / columns >= 480 and 2 or 1
  return setmetatable({canvas = canvas(width, height), width = width, height = height, scale = scale,
    char_width = 6 * scale, line_height = 10 * scale}, Painter)
end
