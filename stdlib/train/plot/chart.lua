-- Panels of curves with axes, ticks and legends, drawn by a painter (svg.lua, png.lua).
local axis = require "train.plot.axis"

local GRID <const>, AXIS <const>, MARK <const> = "#e5e5e5", "#444", "#d62728"
local DENSE <const> = 60  -- more points than these have no dots

local function length_of(text) return utf8.len(text, 1, -1, true) or #text end

-- Of many points that share a column of the picture the first, least, greatest and last.
local function thin(points, columns)
  if #points <= 4 * columns then return points end
  local out, i = {}, 1
  while i <= #points do
    local column, first = math.floor(points[i][1]), i
    local low, high = i, i
    while i <= #points and math.floor(points[i][1]) == column do
      if points[i][2] < points[low][2] then low = i end
      if points[i][2] > points[high][2] then high = i end
      i = i + 1
    end
    local kept = {first, math.min(low, high), math.max(low, high), i - 1}
    for k, index in ipairs(kept) do
      if index ~= kept[k - 1] then out[#out + 1] = points[index] end
    end
  end
  return out
end

-- Pieces of a curve between its gaps: NaN, infinity, what has no logarithm.
local function pieces_of(line, view)
  local pieces, piece, count = {}, nil, 0
  for i, value in ipairs(line.ys) do
    local y = axis.finite(value) and not (view.log and value <= 0) and (view.log and math.log(value, 10) or value)
    local x = line.xs[i]
    if view.log_x then x = x > 0 and math.log(x, 10) end
    y = x and y
    if y then
      if not piece then
        piece = {}
        pieces[#pieces + 1] = piece
      end
      piece[#piece + 1] = {view.x(x), view.y(y)}
      count = count + 1
    else
      piece = nil
    end
  end
  return pieces, count
end

-- The corner with the fewest points below the legend.
local function corner(view, curves, width, height)
  local best, fewest
  for _, place in ipairs {{1, 0}, {1, 1}, {0, 0}, {0, 1}} do
    local x = place[1] == 1 and view.right - width - 6 or view.left + 6
    local y = place[2] == 0 and view.top + 6 or view.bottom - height - 6
    local covered = 0
    for _, pieces in ipairs(curves) do
      for _, points in ipairs(pieces) do
        for _, point in ipairs(points) do
          if point[1] >= x and point[1] <= x + width and point[2] >= y and point[2] <= y + height then covered = covered + 1 end
        end
      end
    end
    if not fewest or covered < fewest then best, fewest = {x, y}, covered end
  end
  return best[1], best[2]
end

local function legend(painter, view, lines, curves)
  local longest, row = 0, painter.line_height + 6
  for _, line in ipairs(lines) do longest = math.max(longest, length_of(line.name)) end
  local width, height = 48 + longest * painter.char_width, #lines * row + 8
  local x, y = corner(view, curves, width, height)
  painter:box(x, y, width, height, "#fff", "#ccc", 0.85)
  for i, line in ipairs(lines) do
    local middle = y + 4 + (i - 0.5) * row
    painter:sample(x + 8, middle, 26, line.color, line.dashes)
    painter:text(x + 40, middle, line.name)
  end
end

local function draw_axes(painter, view, x_ticks, y_ticks, options, y_label)
  for _, tick in ipairs(y_ticks) do
    local y = view.y(tick.value)
    painter:rule(view.left, y, view.right, y, GRID)
    painter:text(view.left - 8, y, tick.text, "right")
  end
  for _, tick in ipairs(x_ticks) do
    local x = view.x(tick.value)
    painter:rule(x, view.bottom, x, view.bottom + 5, AXIS)
    painter:text(x, view.bottom + 6 + painter.line_height / 2 + 2, tick.text, "middle")
  end
  painter:rule(view.left, view.top, view.left, view.bottom, AXIS)
  painter:rule(view.left, view.bottom, view.right, view.bottom, AXIS)
  painter:text((view.left + view.right) / 2, view.bottom + 14 + painter.line_height * 1.5, options.x_label, "middle")
  painter:text_up(view.outer_left + 4 + painter.line_height / 2, (view.top + view.bottom) / 2, y_label)
end

-- A dashed line at one place of the x axis, with its number.
local function draw_mark(painter, view, mark)
  local at = view.log_x and math.log(mark, 10) or mark
  if at < view.first or at > view.last then return end
  local x = view.x(at)
  painter:curve({{{x, view.top}, {x, view.bottom}}}, MARK, {5, 4})
  painter:text(x + 6, view.top + painter.line_height / 2, ("%.3g"):format(mark))
end

-- One panel in a box of the picture.
local function draw_panel(painter, panel, box, options)
  local line_height = painter.line_height
  local low, high = axis.bounds(panel.lines, options.log)
  local first, last = axis.span(panel.lines, options.log_x)
  local view = {log = options.log, log_x = options.log_x, first = first, last = last, outer_left = box.x, right = box.x + box.width - 16,
    top = box.y + (panel.heading and line_height + 14 or 12), bottom = box.y + box.height - 20 - 2 * line_height}
  view.bottom = math.max(view.bottom, view.top + 10)
  local y_ticks = axis.y_ticks(low, high, math.max(2, math.min(6, (view.bottom - view.top) // (2 * line_height))), options.log)
  local widest = 0
  for _, tick in ipairs(y_ticks) do widest = math.max(widest, #tick.text) end
  view.left = math.min(box.x + 20 + line_height + widest * painter.char_width, view.right - 10)
  local width, height = view.right - view.left, view.bottom - view.top
  function view.x(x) return view.left + (first == last and 0.5 or (x - first) / (last - first)) * width end
  function view.y(y) return view.bottom - (y - low) / (high - low) * height end

  local letters = options.log_x and 8 or #("%.14g"):format(last) + 2
  local wanted = math.max(1, math.min(10, width // (letters * painter.char_width)))
  local x_ticks = options.log_x and axis.y_ticks(first, last, wanted, true) or axis.x_ticks(first, last, wanted)
  draw_axes(painter, view, x_ticks, y_ticks, options, options.y_label or panel.title)
  if panel.heading then painter:text((view.left + view.right) / 2, box.y + line_height / 2 + 6, panel.heading, "middle") end
  local curves = {}
  for i, line in ipairs(panel.lines) do
    local pieces, count = pieces_of(line, view)
    local lone = {}
    for k, points in ipairs(pieces) do
      if #points == 1 or count <= DENSE then table.move(points, 1, #points, #lone + 1, lone) end
      pieces[k] = thin(points, width)
    end
    curves[i] = pieces
    painter:curve(pieces, line.color, line.dashes)
    painter:dots(lone, line.color)
  end
  if options.mark then draw_mark(painter, view, options.mark) end
  legend(painter, view, panel.lines, curves)
end

---Draws panels into a picture.
---@param panels table[] of panels.lua
---@param painter table
---@param options {title: string?, x_label: string, y_label: string?, log: boolean, log_x: boolean, mark: number?, columns: integer}
---@return string the bytes of the file
return function(panels, painter, options)
  local top = 0
  if options.title then
    painter:text(painter.width / 2, 10 + painter.line_height / 2, options.title, "middle", true)
    top = 16 + painter.line_height
  end
  local columns = math.min(options.columns, #panels)
  local rows = (#panels + columns - 1) // columns
  local width, height = painter.width / columns, (painter.height - top) / rows
  for i, panel in ipairs(panels) do
    panel.heading = #panels > 1 and panel.title or nil
    draw_panel(painter, panel, {
      x = (i - 1) % columns * width, y = top + (i - 1) // columns * height, width = width, height = height,
    }, options)
  end
  return painter:finish()
end
