-- Pictures and figures as artifacts of a run: what Run:log_image and Run:log_figure write.
local places = require "mlflow.places"
local save = require "native.save"
local torch = require "torch"
local track = require "native.track"
local vm = require "native.vm"

local pictures = {}

local THUMBNAIL <const> = 256  -- the longer side of what MLflow's pages show of many

local function fail(kind, message) vm.raise(kind, "mlflow.log_image: " .. message) end

-- Bytes of [height, width, channels], by MLflow's rules: integers are 0 to 255, floats 0 to 1.
local function to_bytes(image)
  if type(image) ~= "userdata" or not pcall(function() return image.shape end) then
    fail("usage", ("Unsupported image object type: %s. `image` must be a Tensor"):format(vm.describe(image)))
  end
  image = image:detach():cpu()
  local dims = image:dim()
  if dims == 2 then image = image:unsqueeze(2) end
  if dims ~= 2 and dims ~= 3 or not ({[1] = 1, [3] = 1, [4] = 1})[image:size(2)] then
    fail("shape", ("`image` must be a 2D or 3D array with 1, 3, or 4 channels in its last dimension, got %s")
      :format(tostring(image.shape)))
  end
  if image:numel() == 0 then fail("shape", "`image` has no pixel") end
  if image.dtype == torch.bool then return image:to(torch.uint8) * 255 end
  if image:is_complex() then fail("dtype", "`image` must be bool, integer or float, got " .. tostring(image.dtype)) end
  local is_float = image:is_floating_point()
  local low, high = image:min():item(), image:max():item()
  if low < 0 or high > (is_float and 1 or 255) then
    local range = ("pixel values out of acceptable range %s. Found minimum value %s and maximum value %s. ")
      :format(is_float and "[0.0, 1.0]" or "[0, 255]", low, high)
    if not is_float then
      fail("usage", "Integer " .. range .. "Ensure all pixel values are within the specified range.")
    end
    require("native.log").warn("mlflow.log_image: Float " .. range
      .. "Rescaling values to [0.0, 1.0] with min/max scaler.")
    image = (image - low) / (high - low)
  end
  if is_float then image = image * 255 end
  return image:to(torch.uint8)
end

local function thumbnail(image)
  local height, width = image:size(0), image:size(1)
  local scale = THUMBNAIL / math.max(height, width)
  local small = torch.nn.functional.interpolate(image:permute({2, 0, 1}):unsqueeze(0):to(torch.float32),
    {size = {math.max(1, height * scale // 1 | 0), math.max(1, width * scale // 1 | 0)}, mode = "bilinear"})
  return small[0]:permute({1, 2, 0}):round():clamp(0, 255):to(torch.uint8):contiguous()
end

local function uuid()
  local digits = track.new_id()
  return ("%s-%s-%s-%s-%s"):format(digits:sub(1, 8), digits:sub(9, 12), digits:sub(13, 16), digits:sub(17, 20),
    digits:sub(21))
end

--- The files of a picture, {path, bytes} each, and whether it is one of a series of steps.
---@private
function pictures.files(image, artifact_file, key, step, timestamp)
  if artifact_file ~= nil and (key ~= nil or step ~= nil or timestamp ~= nil) then
    fail("usage", "The `artifact_file` parameter cannot be used in conjunction with `key`, `step`, or `timestamp` "
      .. "parameters. Please ensure that `artifact_file` is specified alone, without any of these conflicting "
      .. "parameters.")
  elseif artifact_file == nil and key == nil then
    fail("usage", "Invalid arguments: Please specify exactly one of `artifact_file` or `key`. Use `key` to log dynamic "
      .. "image charts or `artifact_file` for saving static images. ")
  end
  local bytes = to_bytes(image)
  if artifact_file then return {{artifact_file, save.png(bytes)}}, false end
  if type(key) ~= "string" or not key:find("^[%w_%-%./ ]+$") then
    fail("usage", ("The `key` parameter may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces "
      .. "( ), and slashes (/). The provided key %s contains invalid characters."):format(vm.describe(key)))
  end
  local name = ("images/%s+step+%d+timestamp+%d+%s"):format(key:gsub("/", "~"), step or 0, timestamp or places.now(),
    uuid())
  -- MLflow's pages look for the small picture under this name; browsers go by the bytes.
  return {{name .. ".png", save.png(bytes)}, {name .. "+compressed.webp", save.png(thumbnail(bytes))}}, true
end

--- The bytes of a figure: a picture, what train.plot draws, or a text that is one.
---@private
function pictures.figure(figure, artifact_file, options)
  if type(figure) == "string" then return figure end
  if type(figure) == "table" and type(figure.png) == "function" then return figure:png() end
  if type(figure) == "userdata" then return save.png(to_bytes(figure)) end
  if type(figure) ~= "table" then
    vm.raise("usage", ("mlflow.log_figure: a figure is what train.plot draws, a Tensor [height, width, channels] or the "
      .. "text of an SVG or HTML file, got %s"):format(vm.describe(figure)))
  end
  local file = require "native.file"
  local path = os.tmpname()
  os.remove(path)
  path = path .. (artifact_file:match("%.%w+$") or ".svg")
  local ok, err = pcall(require("train").plot, figure, path, options)
  local bytes = ok and file.read(path)
  if file.exists(path) then file.remove(path) end
  if not ok then error(err, 0) end
  return bytes
end

--- Stores a text under a run.
---@private
function pictures.write(handle, files)
  for _, entry in ipairs(files) do track.log_text(handle, entry[2], entry[1]) end
end

return pictures
