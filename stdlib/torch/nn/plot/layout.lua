-- Places the nodes of a graph without cycles in layers, top down, and its edges between them.
local GAP_X <const>, GAP_Y <const>, MARGIN <const>, LANE <const> = 24, 36, 16, 14
local SWEEPS <const> = 8

-- The layer of each node: below all that it comes from, and no further from what it goes to than needed.
local function rank(graph)
  local ranks, below = {}, {}
  for i in ipairs(graph.nodes) do ranks[i], below[i] = 1, {} end
  local into = {}
  for _, edge in ipairs(graph.edges) do
    below[edge.from][#below[edge.from] + 1] = edge.to
    into[edge.to] = true
  end
  for i in ipairs(graph.nodes) do  -- nodes are numbered in the order of their calls: edges go up in number
    for _, to in ipairs(below[i]) do ranks[to] = math.max(ranks[to], ranks[i] + 1) end
  end
  for i in ipairs(graph.nodes) do
    if not into[i] and #below[i] > 0 then
      local nearest = math.huge
      for _, to in ipairs(below[i]) do nearest = math.min(nearest, ranks[to]) end
      ranks[i] = nearest - 1
    end
  end
  return ranks
end

-- Cells: a node, or a lane where an edge passes a layer. Each knows the cells above and below it.
local function fill_layers(graph, sizes)
  local ranks, layers, cells = rank(graph), {}, {}
  local function put(layer, cell)
    layers[layer] = layers[layer] or {}
    table.insert(layers[layer], cell)
    cell.above, cell.below = {}, {}
    return cell
  end
  for i in ipairs(graph.nodes) do
    cells[i] = put(ranks[i], {node = i, width = sizes[i].width, height = sizes[i].height})
  end
  local ways = {}
  for k, edge in ipairs(graph.edges) do
    local way, last = {cells[edge.from]}, cells[edge.from]
    local function go_to(cell)
      table.insert(last.below, cell)
      table.insert(cell.above, last)
      way[#way + 1], last = cell, cell
    end
    for layer = ranks[edge.from] + 1, ranks[edge.to] - 1 do go_to(put(layer, {width = LANE, height = 0})) end
    go_to(cells[edge.to])
    ways[k] = way
  end
  return layers, cells, ways
end

local function middle(cell) return cell.x + cell.width / 2 end

-- The mean place of the neighbours; nodes look at nodes, lanes at lanes, so that both run straight.
local function wish(cell, neighbours)
  local sum, count, other_sum, other = 0, 0, 0, 0
  for _, each in ipairs(neighbours) do
    if (each.node == nil) == (cell.node == nil) then sum, count = sum + middle(each), count + 1
    else other_sum, other = other_sum + middle(each), other + 1 end
  end
  if count > 0 then return sum / count end
  return other > 0 and other_sum / other or middle(cell)
end

-- Puts a layer's cells at their wishes, in their order and without overlap.
local function place(layer, wishes)
  local right, drift, nodes = -math.huge, 0, 0
  for _, cell in ipairs(layer) do
    cell.x = math.max(wishes[cell] - cell.width / 2, right)
    right = cell.x + cell.width + GAP_X
    if cell.node then drift, nodes = drift + wishes[cell] - middle(cell), nodes + 1 end
  end
  for _, cell in ipairs(layer) do cell.x = cell.x + drift / math.max(nodes, 1) end
end

local function sort_by(layer, wishes)
  for i, cell in ipairs(layer) do cell.place = i end
  table.sort(layer, function(a, b)
    if wishes[a] ~= wishes[b] then return wishes[a] < wishes[b] end
    return a.place < b.place
  end)
end

local function arrange(layers)
  for _, layer in ipairs(layers) do
    local x = 0
    for _, cell in ipairs(layer) do
      cell.x = x
      x = x + cell.width + GAP_X
    end
  end
  for sweep = 1, SWEEPS do
    local down = sweep % 2 == 1
    for i = down and 1 or #layers, down and #layers or 1, down and 1 or -1 do
      local wishes = {}
      for _, cell in ipairs(layers[i]) do wishes[cell] = wish(cell, down and cell.above or cell.below) end
      if sweep <= SWEEPS - 2 then sort_by(layers[i], wishes) end
      place(layers[i], wishes)
    end
  end
end

local function path_of(way)
  local points, first, last = {}, way[1], way[#way]
  points[1] = {middle(first), first.y + first.height}
  for i = 2, #way - 1 do
    points[#points + 1] = {middle(way[i]), way[i].top}
    points[#points + 1] = {middle(way[i]), way[i].bottom}
  end
  points[#points + 1] = {middle(last), last.y}
  return points
end

--- Boxes and the ways of edges, in whole units from the upper left corner.
---@param graph table nodes, edges
---@param sizes {width: number, height: number}[] of the nodes
---@return {width: integer, height: integer, boxes: table[], paths: table[]}
return function(graph, sizes)
  local layers, cells, ways = fill_layers(graph, sizes)
  arrange(layers)
  local left, right, y = math.huge, -math.huge, MARGIN
  for _, layer in ipairs(layers) do
    local height = 0
    for _, cell in ipairs(layer) do
      left, right = math.min(left, cell.x), math.max(right, cell.x + cell.width)
      height = math.max(height, cell.height)
    end
    for _, cell in ipairs(layer) do
      cell.y, cell.top, cell.bottom = y + (height - cell.height) // 2, y, y + height
    end
    y = y + height + GAP_Y
  end
  local boxes, paths = {}, {}
  for _, layer in ipairs(layers) do
    for _, cell in ipairs(layer) do cell.x = math.floor(cell.x - left + MARGIN + 0.5) end
  end
  for i, cell in ipairs(cells) do boxes[i] = {x = cell.x, y = cell.y, width = cell.width, height = cell.height} end
  for k, way in ipairs(ways) do
    paths[k] = path_of(way)
    for _, point in ipairs(paths[k]) do point[1], point[2] = math.floor(point[1] + 0.5), math.floor(point[2] + 0.5) end
  end
  return {width = math.ceil(right - left) + 2 * MARGIN, height = math.ceil(y - GAP_Y) + MARGIN, boxes = boxes, paths = paths}
end
