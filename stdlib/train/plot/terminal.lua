-- Curves as lines of text: dots of braille, eight in a character, or plain characters.
local axis = require "train.plot.axis"

local MARKS <const> = {"*", "+", "o", "x", "#", "@", "%", "&"}
local INKS <const> = {34, 31, 32, 35, 33, 36, 94, 90}  -- of an ANSI terminal
local BITS <const> = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}  -- [row][column] of a braille character
local LINES <const> = {
  braille = {tick = "┤", side = "│", corner = "└", floor = "─", mark = "┬"},
  plain = {tick = "+", side = "|", corner = "+", floor = "-", mark = "+"},
}

-- What a terminal would not show as it is.
local function clean(text, unicode)
  text = text:gsub("%c", "?")
  if unicode and utf8.len(text) then return text end
  return (text:gsub("[\194-\244][\128-\191]*", "?"):gsub("[\128-\255]", "?"))
end

local function width_of(text) return utf8.len(text) or #text end

local function cut(text, width)
  if width_of(text) <= width then return text end
  return text:sub(1, (utf8.offset(text, math.max(width, 0) + 1) or #text + 1) - 1)
end

local function set(grid, x, y, index)
  local row = grid[y // grid.tall]
  if not row or x < 0 or x >= grid.columns * grid.wide then return end
  local column = x // grid.wide
  row.bits[column] = (row.bits[column] or 0) | BITS[y % grid.tall + 1][x % grid.wide + 1]
  row.owner[column] = index
end

-- All dots between two.
local function connect(grid, ax, ay, bx, by, index)
  local count = math.max(math.abs(bx - ax), math.abs(by - ay), 1)
  for i = 0, count do
    set(grid, math.floor(ax + (bx - ax) * i / count + 0.5), math.floor(ay + (by - ay) * i / count + 0.5), index)
  end
end

-- Draws the lines; returns for each the row in which it ends.
local function draw(grid, lines, low, high, log)
  local first, last = axis.span(lines)
  local right, bottom = grid.columns * grid.wide - 1, grid.rows * grid.tall - 1
  local ends = {}
  for i, line in ipairs(lines) do
    local from_x, from_y
    for k, value in ipairs(line.ys) do
      if axis.finite(value) and not (log and value <= 0) then
        local at = (first == last and 0.5 or (line.xs[k] - first) / (last - first)) * right
        local x = math.floor(at + 0.5)
        local y = math.floor(bottom - ((log and math.log(value, 10) or value) - low) / (high - low) * bottom + 0.5)
        connect(grid, from_x or x, from_y or y, x, y, i)
        from_x, from_y = x, y
        ends[i] = y // grid.tall
      else
        from_x = nil
      end
    end
  end
  return ends
end

local function ink(text, index, options)
  if not options.color then return text end
  return ("\27[%dm%s\27[0m"):format(INKS[(index - 1) % #INKS + 1], text)
end

-- The last value of a line that can be drawn.
local function last_value(line)
  for i = #line.ys, 1, -1 do
    if line.ys[i] == line.ys[i] then return ("%.4g"):format(line.ys[i]) end
  end
  return "nan"
end

-- What stands for a line in the legend and, where curves look alike, at their ends.
local function mark_of(index, options)
  if not options.unicode then return MARKS[(index - 1) % #MARKS + 1] end
  return options.color and "⠤⠤" or string.char(96 + (index - 1) % 26 + 1)
end

-- "loss   a loss 0.1  b val_loss 0.2", in as many lines as it takes.
local function legend(panel, options)
  local lines, row, used = {}, {}, 0
  for i, line in ipairs(panel.lines) do
    local mark = mark_of(i, options)
    local text = cut(("%s %s"):format(clean(line.name, options.unicode), last_value(line)), options.width - width_of(mark) - 1)
    local width = width_of(mark) + 1 + width_of(text)
    if used > 0 and used + 2 + width > options.width then
      lines[#lines + 1] = table.concat(row, "  ")
      row, used = {}, 0
    end
    row[#row + 1] = ink(mark, i, options) .. " " .. text
    used = used + width + (used > 0 and 2 or 0)
  end
  lines[#lines + 1] = table.concat(row, "  ")
  return lines
end

-- The row of the labels below the axis.
local function x_labels(ticks, at, left, width, x_label)
  local cells = {}
  for i = 1, width do cells[i] = " " end
  local name = cut(x_label, math.max(left - 1, 0))
  for i = 1, #name do cells[i] = name:sub(i, i) end
  local free = left - 1
  for _, tick in ipairs(ticks) do
    local from = math.min(left + at(tick.value) - #tick.text // 2, width - #tick.text)
    if from >= free then
      for i = 1, #tick.text do cells[from + i] = tick.text:sub(i, i) end
      free = from + #tick.text + 1
    end
  end
  return (table.concat(cells):gsub(" +$", ""))
end

-- One row of dots, those of one line after each other in one ink.
local function row_text(row, columns, options)
  local words, piece, owner = {}, {}, nil
  for column = 0, columns do
    local bits, of = row.bits[column], row.owner[column]
    if of ~= owner then
      words[#words + 1] = owner and ink(table.concat(piece), owner, options) or table.concat(piece)
      piece, owner = {}, of
    end
    if column < columns then
      piece[#piece + 1] = not bits and " " or options.unicode and utf8.char(0x2800 + bits) or mark_of(of, options)
    end
  end
  words[#words + 1] = table.concat(piece)
  return table.concat(words)
end

-- The letters at the right of the curves' ends, each in a row of its own.
local function letters_of(ends, rows, options)
  local taken = {}
  for i, wanted in pairs(ends) do
    for away = 0, rows do
      local up, down = wanted - away, wanted + away
      local row = up >= 0 and not taken[up] and up or down < rows and not taken[down] and down
      if row then
        taken[row] = mark_of(i, options)
        break
      end
    end
  end
  return taken
end

local function draw_panel(out, panel, height, options)
  local shapes = options.unicode and LINES.braille or LINES.plain
  local head = legend(panel, options)
  table.move(head, 1, #head, #out + 1, out)
  local rows = math.max(3, height - #head - 2)
  local low, high = axis.bounds(panel.lines, options.log)
  local ticks = axis.y_ticks(low, high, math.max(2, math.min(8, rows // 3)), options.log)
  local label_width = math.min(#options.x_label, 8)
  for _, tick in ipairs(ticks) do label_width = math.max(label_width, #tick.text) end
  local lettered = options.unicode and not options.color and #panel.lines > 1
  local columns = math.max(4, options.width - label_width - 2 - (lettered and 2 or 0))
  local grid = {columns = columns, rows = rows, wide = options.unicode and 2 or 1, tall = options.unicode and 4 or 1}
  for y = 0, rows - 1 do grid[y] = {bits = {}, owner = {}} end
  local ends = draw(grid, panel.lines, low, high, options.log)
  local letters = lettered and letters_of(ends, rows, options) or {}

  local labels = {}
  for _, tick in ipairs(ticks) do
    local row = math.floor((rows - 1) * (1 - (tick.value - low) / (high - low)) + 0.5)
    if row >= 0 and row < rows then labels[row] = tick.text end
  end
  for y = 0, rows - 1 do
    local text = labels[y] or ""
    out[#out + 1] = ((" "):rep(label_width - #text) .. text .. " " .. (labels[y] and shapes.tick or shapes.side)
      .. row_text(grid[y], columns, options) .. (letters[y] and " " .. letters[y] or "")):gsub(" +$", "")
  end
  local first, last = axis.span(panel.lines)
  local x_ticks = axis.x_ticks(first, last, math.max(1, math.min(10, columns // (#("%.14g"):format(last) + 4))))
  local function at(x) return math.floor((first == last and 0.5 or (x - first) / (last - first)) * (columns - 1) + 0.5) end
  local floor = {}
  for i = 1, columns do floor[i] = shapes.floor end
  for _, tick in ipairs(x_ticks) do floor[at(tick.value) + 1] = shapes.mark end
  out[#out + 1] = (" "):rep(label_width + 1) .. shapes.corner .. table.concat(floor)
  out[#out + 1] = x_labels(x_ticks, at, label_width + 2, label_width + 2 + columns, options.x_label)
end

---Draws panels below each other.
---@param panels table[] of panels.lua
---@param options {width: integer, height: integer, unicode: boolean, color: boolean, log: boolean, title: string?,
---x_label: string} in characters; the height is exceeded where the panels would be lower than 8 lines
---@return string text of lines
return function(panels, options)
  local out = {}
  if options.title then
    local title = cut(clean(options.title, options.unicode), options.width)
    out[1] = (" "):rep((options.width - width_of(title)) // 2) .. title
  end
  local height = math.max(8, (options.height - #out) // #panels)
  for _, panel in ipairs(panels) do draw_panel(out, panel, height, options) end
  return table.concat(out, "\n") .. "\n"
end
