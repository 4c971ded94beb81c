-- A laid out graph as an SVG picture.
local escape = require("host.xml").escape

local function path_text(points)
  local parts = {}
  for i, point in ipairs(points) do parts[i] = ("%s%d %d"):format(i == 1 and "M" or "L", point[1], point[2]) end
  return table.concat(parts, " ")
end

---@param graph table
---@param lines string[][] the text of each node
---@param layout table
---@param style table char_width, line_height, pad
---@return string
return function(graph, lines, layout, style)
  local out = {
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
      .. 'font-family="monospace" font-size="12" fill="#222">'):format(layout.width, layout.height, layout.width,
      layout.height),
    "<title>" .. escape(graph.name) .. "</title>",
    ('<rect width="%d" height="%d" fill="#fff"/>'):format(layout.width, layout.height),
  }
  for k, edge in ipairs(graph.edges) do
    local points = layout.paths[k]
    local x, y = points[#points][1], points[#points][2]
    local dashes = edge.kind == "holds" and ' stroke-dasharray="4 3"' or ""
    out[#out + 1] = ('<path d="%s" fill="none" stroke="#555"%s/>'):format(path_text(points), dashes)
    out[#out + 1] = ('<path d="M%d %d L%d %d L%d %d Z" fill="#555"/>'):format(x, y, x - 4, y - 8, x + 4, y - 8)
  end
  for i, node in ipairs(graph.nodes) do
    local box = layout.boxes[i]
    local fill = node.kind == "module" and "#eef3fb" or "#f3f3f3"
    out[#out + 1] = ('<rect x="%d" y="%d" width="%d" height="%d" rx="%d" fill="%s" stroke="#4a6fa5"/>'):format(box.x, box.y,
      box.width, box.height, node.kind == "module" and 3 or 10, fill)
    for k, line in ipairs(lines[i]) do
      out[#out + 1] = ('<text x="%.1f" y="%d" text-anchor="middle"%s>%s</text>'):format(box.x + box.width / 2,
        box.y + style.pad + k * style.line_height - 4, k == 1 and ' font-weight="bold"' or "", escape(line))
    end
  end
  out[#out + 1] = "</svg>\n"
  return table.concat(out, "\n")
end
