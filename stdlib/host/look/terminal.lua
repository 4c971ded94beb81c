-- What is written for people: colours where they are wanted, tables that fit the terminal, small curves.
local host = require "host"
local vm = require "native.vm"

local terminal = {}

local INKS <const> = {red = 31, green = 32, yellow = 33, blue = 34, bold = 1, dim = 90}
local BARS <const> = {utf8 = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, ascii = {"_", ".", "-", "=", "+", "*", "%", "#"}}

---Does the locale show UTF-8?
---@return boolean
function terminal.is_utf8()
  for _, name in ipairs {"LC_ALL", "LC_CTYPE", "LANG"} do
    local value = vm.getenv(name)
    if value and value ~= "" then return value:lower():find("utf%-?8") ~= nil end
  end
  return false
end

---Is the output to be coloured?
---@param options {color: boolean, no_color: boolean}
---@return boolean
function terminal.has_color(options)
  if options.no_color then return false end
  local no_color = vm.getenv("NO_COLOR")
  return options.color or host.is_tty("stdout") and not (no_color and no_color ~= "") and vm.getenv("TERM") ~= "dumb" or false
end

---What a terminal shows of a text: one line without control characters.
---@param text string
---@return string
function terminal.clean(text)
  text = text:gsub("%c+", " ")
  return utf8.len(text) and text or (text:gsub("[\128-\255]", "?"))
end

local function width_of(text) return utf8.len(text) or #text end

---The beginning of a text that is too long, with an ellipsis.
---@param text string
---@param width integer
---@return string
function terminal.cut(text, width)
  if width_of(text) <= width then return text end
  local dots = terminal.is_utf8() and "…" or "~"
  return text:sub(1, (utf8.offset(text, math.max(width, 1)) or #text + 1) - 1) .. dots
end

---A text in a colour, where there are colours.
---@param text string
---@param ink? string "red", "green", "yellow", "blue", "bold" or "dim"
---@param color boolean
---@return string
function terminal.inked(text, ink, color)
  if not color or not ink or text == "" then return text end
  return ("\27[%dm%s\27[0m"):format(INKS[ink], text)
end

-- Columns that do not fit go: first those that may, from the right; then the widest are cut.
local function fit(columns, widths, room)
  local function total()
    local sum = 2 * (#columns - 1)
    for i = 1, #columns do sum = sum + widths[i] end
    return sum
  end
  for i = #columns, 1, -1 do
    if total() <= room then return end
    if columns[i].may_go then
      table.remove(columns, i)
      table.remove(widths, i)
    end
  end
  while total() > room do
    local widest = 1
    for i = 2, #columns do
      if widths[i] > widths[widest] then widest = i end
    end
    if widths[widest] <= 8 then return end
    widths[widest] = math.max(8, widths[widest] - (total() - room))
  end
end

---Writes a table. In a terminal it fits into its width, elsewhere nothing is cut.
---@param columns table[] {title, right: boolean, may_go: boolean, [row] = text or {text, ink}} each
---@param count integer of rows
---@param color boolean
function terminal.write_table(columns, count, color)
  local widths = {}
  columns = table.move(columns, 1, #columns, 1, {})
  for i, column in ipairs(columns) do
    widths[i] = width_of(column.title)
    for row = 1, count do
      local cell = column[row] or ""
      widths[i] = math.max(widths[i], width_of(type(cell) == "table" and cell[1] or cell))
    end
  end
  if host.is_tty("stdout") then fit(columns, widths, host.terminal_width("stdout") or 80) end
  for row = 0, count do
    local line = {}
    for i, column in ipairs(columns) do
      local cell = row == 0 and {column.title, "bold"} or column[row] or ""
      local text, ink = cell, nil
      if type(cell) == "table" then text, ink = cell[1], cell[2] end
      text = terminal.cut(text, widths[i])
      local space = (" "):rep(widths[i] - width_of(text))
      text = terminal.inked(text, ink, color)
      line[i] = column.right and space .. text or i < #columns and text .. space or text
    end
    io.stdout:write((table.concat(line, "  "):gsub("%s+$", "")), "\n")
  end
end

---A curve in one line.
---@param values number[]
---@param width integer characters at most
---@return string
function terminal.spark(values, width)
  local bars = terminal.is_utf8() and BARS.utf8 or BARS.ascii
  local low, high = math.huge, -math.huge
  for _, value in ipairs(values) do
    if value - value == 0 then low, high = math.min(low, value), math.max(high, value) end
  end
  local count, marks = math.min(#values, width), {}
  for i = 1, count do
    local value = values[count == 1 and #values or 1 + math.floor((i - 1) * (#values - 1) / (count - 1) + 0.5)]
    if value - value ~= 0 then marks[i] = "!"
    else marks[i] = bars[high > low and 1 + math.floor((value - low) / (high - low) * 7 + 0.5) or 4] end
  end
  return table.concat(marks)
end

return terminal
