-- A laid out graph as a PNG picture.
local glyph = require "torch.nn.plot.font"
local save = require "native.save"
local torch = require "torch"

local SCALE <const> = 2  -- points of the picture for each unit of the layout
local INK <const>, LINE <const>, BORDER <const> = {34, 34, 34}, {85, 85, 85}, {74, 111, 165}
local FILL <const> = {module = {238, 243, 251}, input = {243, 243, 243}, output = {243, 243, 243}}

local function color(rgb) return torch.tensor(rgb, {dtype = torch.uint8}) end

local function fill(image, x, y, width, height, rgb)
  image:narrow(0, y, height):narrow(1, x, width):copy_(color(rgb))
end

local bitmaps = {}
local function bitmap(character)
  bitmaps[character] = bitmaps[character] or torch.tensor(glyph(character))
  return bitmaps[character]
end

local function write(image, text, x, y)
  local letters = {}
  for _, character in utf8.codes(text, true) do letters[#letters + 1] = bitmap(character) end
  if #letters == 0 then return end
  local ink = torch.cat(letters, 1):repeat_interleave(SCALE, 0):repeat_interleave(SCALE, 1)
  local at = image:narrow(0, y, ink:size(0)):narrow(1, x, ink:size(1))
  at:masked_fill_(ink:unsqueeze(2), INK[1])
end

local function line(image, from, to)
  local count = math.max(math.abs(to[1] - from[1]), math.abs(to[2] - from[2])) * SCALE + 1
  local function along(k)
    return torch.linspace(from[k] * SCALE, to[k] * SCALE, count):round():long()
  end
  local xs, ys = along(1), along(2)
  image:index_put_({ys, xs}, color(LINE))
  image:index_put_({ys, xs + 1}, color(LINE))
end

local function arrow(image, x, y)
  for k = 0, 8 * SCALE - 1 do fill(image, x * SCALE - k // 2, y * SCALE - 1 - k, k // 2 * 2 + 2, 1, LINE) end
end

---@param graph table
---@param lines string[][] the text of each node
---@param layout table
---@param style table char_width, line_height, pad
---@return string
return function(graph, lines, layout, style)
  local image = torch.full({layout.height * SCALE, layout.width * SCALE, 3}, 255, {dtype = torch.uint8})
  for k in ipairs(graph.edges) do
    local points = layout.paths[k]
    for i = 2, #points do line(image, points[i - 1], points[i]) end
    arrow(image, points[#points][1], points[#points][2])
  end
  for i, node in ipairs(graph.nodes) do
    local box = layout.boxes[i]
    local x, y, width, height = box.x * SCALE, box.y * SCALE, box.width * SCALE, box.height * SCALE
    fill(image, x, y, width, height, BORDER)
    fill(image, x + SCALE, y + SCALE, width - 2 * SCALE, height - 2 * SCALE, FILL[node.kind])
    for k, text in ipairs(lines[i]) do
      local left = x + (width - utf8.len(text, 1, -1, true) * style.char_width * SCALE) // 2
      write(image, text, left, y + (style.pad + (k - 1) * style.line_height + 4) * SCALE)
    end
  end
  return save.png(image)
end
