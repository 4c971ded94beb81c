-- What a chart is drawn with, as SVG: lines, boxes and texts.
local escape = require("host.xml").escape

local Painter = {kind = "svg", char_width = 7, line_height = 14}
Painter.__index = Painter

local function add(self, text, ...) self.out[#self.out + 1] = text:format(...) end

---@private
function Painter:box(x, y, width, height, fill, stroke, opacity)
  add(self, '<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f" fill="%s"%s%s/>', x, y, width, height, fill,
    opacity and (' fill-opacity="%g"'):format(opacity) or "", stroke and (' stroke="%s"'):format(stroke) or "")
end

---@private
function Painter:rule(x1, y1, x2, y2, color)
  add(self, '<line x1="%.2f" y1="%.2f" x2="%.2f" y2="%.2f" stroke="%s"/>', x1, y1, x2, y2, color)
end

local function dashed(dashes) return #dashes > 0 and (' stroke-dasharray="%d %d"'):format(dashes[1], dashes[2]) or "" end

---@private
function Painter:curve(pieces, color, dashes)
  local path = {}
  for _, points in ipairs(pieces) do
    for i, point in ipairs(points) do path[#path + 1] = ("%s%.2f %.2f"):format(i == 1 and "M" or "L", point[1], point[2]) end
  end
  add(self, '<path d="%s" fill="none" stroke="%s"%s stroke-linejoin="round" stroke-width="2"/>', table.concat(path, " "), color,
    dashed(dashes))
end

---@private
function Painter:dots(points, color)
  for _, point in ipairs(points) do
    add(self, '<circle cx="%.2f" cy="%.2f" r="2.5" fill="%s"/>', point[1], point[2], color)
  end
end

---@private
function Painter:sample(x, y, width, color, dashes)
  add(self, '<line x1="%.2f" y1="%.2f" x2="%.2f" y2="%.2f" stroke="%s"%s stroke-width="2"/>', x, y, x + width, y, color,
    dashed(dashes))
end

local ANCHORS <const> = {left = "", middle = ' text-anchor="middle"', right = ' text-anchor="end"'}

-- y is the middle of the letters.
---@private
function Painter:text(x, y, text, anchor, large)
  add(self, '<text x="%.2f" y="%.2f"%s%s>%s</text>', x, y + 4, ANCHORS[anchor or "left"], large and ' font-size="15"' or "",
    escape(text))
end

---@private
function Painter:text_up(x, y, text)
  add(self, '<text transform="translate(%.2f %.2f) rotate(-90)" text-anchor="middle">%s</text>', x + 4, y, escape(text))
end

---@private
function Painter:finish() return table.concat(self.out, "\n") .. "\n</svg>\n" end

---@param width integer
---@param height integer
---@return table painter
return function(width, height)
  local self = setmetatable({out = {}, width = width, height = height}, Painter)
  add(self, '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
    .. 'font-family="sans-serif" font-size="12" fill="#222">', width, height, width, height)
  add(self, '<rect width="%d" height="%d" fill="#fff"/>', width, height)
  return self
end
