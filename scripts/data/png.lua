-- Writes pictures as PNG files, uncompressed: a tensor [height, width] or a batch [n, 1, height, width] as a grid.
local host = require "host"

local CRC = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do c = c & 1 == 1 and 0xEDB88320 ~ c >> 1 or c >> 1 end
  CRC[i] = c
end

local function chunk(name, data)
  local text, crc = name .. data, 0xFFFFFFFF
  for i = 1, #text do crc = CRC[(crc ~ text:byte(i)) & 0xFF] ~ crc >> 8 end
  return string.pack(">I4", #data) .. text .. string.pack(">I4", crc ~ 0xFFFFFFFF)
end

local function adler(text)
  local a, b = 1, 0
  for i = 1, #text do
    a = (a + text:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return b << 16 | a
end

-- The blocks of zlib's format that hold their bytes as they are.
local function stored(text)
  local parts = {"\x78\x01"}
  for from = 1, #text, 65535 do
    local block = text:sub(from, from + 65534)
    parts[#parts + 1] = string.pack("<I1I2I2", from + 65535 > #text and 1 or 0, #block, ~#block & 0xFFFF) .. block
  end
  return table.concat(parts) .. string.pack(">I4", adler(text))
end

local png = {}

-- images: numbers 0 (black) ... 1 (white); columns: of the grid, 8. Makes the folder; gives the path.
function png.write(path, images, columns)
  local picture = images
  if images:dim() == 4 then
    columns = math.min(columns or 8, images:size(0))
    local rows = images:size(0) // columns
    local height, width = images:size(2), images:size(3)
    picture = images:narrow(0, 0, rows * columns):reshape(rows, columns, height, width):transpose(1, 2)
      :reshape(rows * height, columns * width)
  end
  local lines = {}
  for i, line in ipairs(picture:clamp(0, 1):mul(255):round():long():tolist()) do
    lines[i] = "\0" .. string.char(table.unpack(line))  -- 0: this line is not filtered
  end
  if path:find "/" then host.file.mkdir(path:match "^(.*)/") end
  local file = assert(io.open(path, "wb"))
  file:write("\x89PNG\r\n\x1a\n", chunk("IHDR", string.pack(">I4I4BBBBB", picture:size(1), picture:size(0), 8, 0, 0, 0, 0)),
    chunk("IDAT", stored(table.concat(lines))), chunk("IEND", ""))
  file:close()
  return path
end

return png
