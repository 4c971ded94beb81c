-- Tensors as pictures: the order of their dimensions, grids, boxes, moving ones.
local canvas = require "torch.canvas"
local save = require "native.save"
local torch = require "torch"
local vm = require "native.vm"

local pictures = {}

local function fail(text, ...) vm.raise("shape", text:format(...)) end

-- Dimensions in another order, each letter once: "CHW" to "HWC".
local function reorder(tensor, from, to, given)
  local order = {}
  for letter in to:gmatch(".") do
    local at = from:find(letter, 1, true)
    if not at then
      fail("dataformats must have the letters of %s, got \"%s\"", to, given)
    end
    order[#order + 1] = at - 1
  end
  return tensor:permute(order)
end

--- Pictures side by side, row after row.
---@param images Tensor [n, 1 or 3, height, width]
---@param columns? integer
---@return Tensor [3, height, width]
function pictures.grid(images, columns)
  if images:dim() == 4 and images:size(1) == 1 then images = images:expand(-1, 3, -1, -1) end
  if images:dim() ~= 4 or images:size(1) ~= 3 then
    fail("Input should be a 4D numpy array with 3 channels, got %s", tostring(images.shape))
  end
  local count, height, width = images:size(0), images:size(2), images:size(3)
  columns = math.min(count, columns or 8)
  local rows = (count + columns - 1) // columns
  local padded = torch.zeros({rows * columns, 3, height, width}, {dtype = images.dtype, device = "cpu"})
  padded:narrow(0, 0, count):copy_(images)
  return padded:view({rows, columns, 3, height, width}):permute({2, 0, 3, 1, 4})
    :reshape({3, rows * height, columns * width})
end

--- A picture, or a grid of pictures, as [height, width, channels].
---@param tensor Tensor
---@param dataformats string "CHW", "NHWC", "HW" ...
---@return Tensor
function pictures.to_hwc(tensor, dataformats)
  local format, seen = dataformats:upper(), {}
  for letter in dataformats:gmatch(".") do
    if seen[letter] then
      fail("You can not use the same dimension shorthand twice. input_format: %s", dataformats)
    end
    seen[letter] = true
  end
  if tensor:dim() ~= #format then
    fail("size of input tensor and input format are different. tensor shape: %s, input_format: %s",
      tostring(tensor.shape), dataformats)
  end
  if #format == 4 then
    return pictures.grid(reorder(tensor, format, "NCHW", dataformats)):permute({1, 2, 0})
  elseif #format == 3 then
    local image = reorder(tensor, format, "HWC", dataformats)
    return image:size(2) == 1 and image:expand(-1, -1, 3) or image
  elseif #format == 2 then
    return reorder(tensor, format, "HW", dataformats):unsqueeze(2):expand(-1, -1, 3)
  end
  fail("dataformats must have 2, 3 or 4 letters, got \"%s\"", dataformats)
end

--- Values from 0 to 1 as bytes; bytes as they are.
---@param tensor Tensor
---@return Tensor uint8
function pictures.to_bytes(tensor)
  if tensor.dtype == torch.uint8 then return tensor end
  return (tensor:to(torch.float32) * 255):clamp(0, 255):nan_to_num(0):to(torch.uint8)
end

--- A tensor, or a list of numbers, on the CPU.
---@param where string
---@param tensor Tensor|table
---@return Tensor
function pictures.ready(where, tensor)
  if not torch.is_tensor(tensor) then
    if type(tensor) ~= "table" then
      vm.raise("usage", ("%s: expected a Tensor, got %s"):format(where, vm.describe(tensor)))
    end
    tensor = torch.tensor(tensor, {device = "cpu"})
  end
  tensor = tensor:detach():cpu()
  return tensor.dtype == torch.bfloat16 and tensor:to(torch.float32) or tensor
end

local RED <const>, BLACK <const> = {255, 0, 0}, {0, 0, 0}
local LETTER <const>, LINE <const> = {width = 6, height = 7}, 2

local function label(board, text, x, bottom)
  local count = utf8.len(text, 1, -1, true) or #text
  board:fill(x, bottom - LETTER.height - 4, count * LETTER.width + 3, LETTER.height + 4, RED)
  board:write(text, x + 2, bottom - LETTER.height - 2, 1, BLACK)
end

--- Red frames with black labels, drawn into a copy.
---@param image Tensor uint8 [height, width, 3]
---@param boxes Tensor [n, 4]: left, top, right, bottom
---@param labels? string[]
---@return Tensor
function pictures.with_boxes(image, boxes, labels)
  image = image:contiguous():clone()
  local board = canvas(image:size(1), image:size(0), image)
  for i = 0, boxes:size(0) - 1 do
    local left, top, right, bottom = table.unpack(boxes[i]:to(torch.float64):round():to(torch.int64):tolist())
    local before = LINE // 2  -- half of a line lies before an edge
    for _, y in ipairs {top, bottom} do board:fill(left - before, y - before, right - left + LINE, LINE, RED) end
    for _, x in ipairs {left, right} do board:fill(x - before, top - before, LINE, bottom - top + LINE, RED) end
    if labels then label(board, tostring(labels[i + 1]), left, bottom) end
  end
  return image
end

--- A picture in another size.
---@param image Tensor uint8 [height, width, channels]
---@param scale number
---@return Tensor
function pictures.resized(image, scale)
  if scale == 1 then return image end
  local size = {math.max(1, math.floor(image:size(0) * scale)), math.max(1, math.floor(image:size(1) * scale))}
  local resized = torch.nn.functional.interpolate(image:permute({2, 0, 1}):unsqueeze(0):to(torch.float32),
    {size = size, mode = "bicubic", antialias = true})
  return resized[0]:permute({1, 2, 0}):round():clamp(0, 255):to(torch.uint8)
end

--- The frames of several films, side by side.
---@param videos Tensor [n, time, channels, height, width]
---@return Tensor [time, height, width, channels]
function pictures.frames(videos)
  if videos:dim() ~= 5 then
    fail("SummaryWriter.add_video: expected [batch, time, channels, height, width], got %s", tostring(videos.shape))
  end
  local n, t, c, h, w = table.unpack(videos.shape, 1, 5)
  local padded, rows = 1, 1
  while padded < n do padded = padded * 2 end
  while rows * rows * 4 <= n do rows = rows * 2 end
  local columns = padded // rows
  local all = torch.zeros({padded, t, c, h, w}, {dtype = videos.dtype, device = "cpu"})
  all:narrow(0, 0, n):copy_(videos)
  return all:view({rows, columns, t, c, h, w}):permute({2, 0, 4, 1, 5, 3}):reshape({t, rows * h, columns * w, c})
end

--- The bytes of a PNG file, moving if there are frames per second.
---@param image Tensor uint8
---@param fps? number
---@return string
function pictures.file(image, fps) return save.png(image:contiguous(), fps) end

return pictures
