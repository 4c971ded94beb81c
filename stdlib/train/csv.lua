-- Rows of comma-separated values, written and read as Python's csv module does.
local csv = {}

---One line, without its end. A field is quoted where it holds the separator, a quote or a line break.
---@param fields string[]
---@param separator string one character
---@return string
function csv.line(fields, separator)
  local words = {}
  for i, field in ipairs(fields) do
    local plain = not field:find('["\r\n]') and not field:find(separator, 1, true)
    words[i] = plain and field or '"' .. field:gsub('"', '""') .. '"'
  end
  if #words == 1 and words[1] == "" then return '""' end
  return table.concat(words, separator)
end

-- The quoted field that begins at `position`: its text and where it ends.
local function quoted(text, position)
  local parts, at = {}, position + 1
  while true do
    local stop = text:find('"', at, true)
    if not stop then return table.concat(parts) .. text:sub(at), #text + 1 end
    parts[#parts + 1] = text:sub(at, stop - 1)
    if text:sub(stop + 1, stop + 1) ~= '"' then return table.concat(parts), stop + 1 end
    parts[#parts + 1] = '"'
    at = stop + 2
  end
end

---The rows of a text.
---@param text string
---@param separator string one character
---@return string[][] rows
---@return string line_end "\n" or "\r\n", that of the first row
function csv.rows(text, separator)
  local rows, position, line_end = {}, 1, nil
  local stops = "[\r\n" .. separator:gsub("%W", "%%%0") .. "]"
  local row = {}
  while position <= #text or #row > 0 do
    local field
    if text:sub(position, position) == '"' then field, position = quoted(text, position) else field = "" end
    local stop = text:find(stops, position) or #text + 1
    row[#row + 1] = field .. text:sub(position, stop - 1)
    local mark = text:sub(stop, stop)
    position = stop + 1
    if mark ~= separator then
      if mark == "\r" and text:sub(position, position) == "\n" then
        mark, position = "\r\n", position + 1
      end
      line_end = line_end or (mark ~= "" and mark or nil)
      if #row > 1 or row[1] ~= "" then rows[#rows + 1] = row end
      row = {}
    elseif position > #text then
      row[#row + 1] = ""
      rows[#rows + 1] = row
      row = {}
    end
  end
  return rows, line_end or "\n"
end

return csv
