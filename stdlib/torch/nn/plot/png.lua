-- A laid out graph as a PNG picture.
local canvas = require "torch.canvas"
local torch = require "torch"

local SCALE <const> = 2  -- points of the picture for each unit of the layout
local INK <const>, LINE <const>, BORDER <const> = {34, 34, 34}, {85, 85, 85}, {74, 111, 165}
local FILL <const> = {module = {238, 243, 251}, input = {243, 243, 243}, output = {243, 243, 243}}

local function line(picture, from, to)
  local count = math.max(math.abs(to[1] - from[1]), math.abs(to[2] - from[2])) * SCALE + 1
  local function along(k)
    return torch.linspace(from[k] * SCALE, to[k] * SCALE, count, {device = "cpu"}):round():long()
  end
  local xs, ys = along(1), along(2)
  local ink = torch.tensor(LINE, {dtype = torch.uint8, device = "cpu"})
  picture.image:index_put_({ys, xs}, ink)
  picture.image:index_put_({ys, xs + 1}, ink)
end

local function arrow(picture, x, y)
  for k = 0, 8 * SCALE - 1 do picture:fill(x * SCALE - k // 2, y * SCALE - 1 - k, k // 2 * 2 + 2, 1, LINE) end
end

---@param graph table
---@param lines string[][] the text of each node
---@param layout table
---@param style table char_width, line_height, pad
---@return string
return function(graph, lines, layout, style)
  local picture = canvas(layout.width * SCALE, layout.height * SCALE)
  for k in ipairs(graph.edges) do
    local points = layout.paths[k]
    for i = 2, #points do line(picture, points[i - 1], points[i]) end
    arrow(picture, points[#points][1], points[#points][2])
  end
  for i, node in ipairs(graph.nodes) do
    local box = layout.boxes[i]
    local x, y, width, height = box.x * SCALE, box.y * SCALE, box.width * SCALE, box.height * SCALE
    picture:fill(x, y, width, height, BORDER)
    picture:fill(x + SCALE, y + SCALE, width - 2 * SCALE, height - 2 * SCALE, FILL[node.kind])
    for k, text in ipairs(lines[i]) do
      local left = x + (width - utf8.len(text, 1, -1, true) * style.char_width * SCALE) // 2
      picture:write(text, left, y + (style.pad + (k - 1) * style.line_height + 4) * SCALE, SCALE, INK)
    end
  end
  return picture:png()
end
