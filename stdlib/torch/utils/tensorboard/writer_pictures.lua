-- The methods of SummaryWriter for pictures, films and sounds.
local events = require "native.events"
local messages = require "torch.utils.tensorboard.messages"
local pictures = require "torch.utils.tensorboard.pictures"
local torch = require "torch"
local signature = require "torch.signature"
local vm = require "native.vm"

---@param SummaryWriter table
return function(SummaryWriter)
  local parts = SummaryWriter._parts
  local file_of, check_text = parts.file_of, parts.check_text

  -- Adds bytes [height, width, channels].
  local function add(self, where, tag, image, step, walltime)
    check_text(where, "tag", tag)
    events.add(file_of(self), parts.SUMMARY,
      messages.image(tag, image:size(0), image:size(1), image:size(2), pictures.file(image)), step, walltime)
  end

  local image_arguments = signature("SummaryWriter.add_image", "tag, img_tensor, global_step=nil, walltime=nil, dataformats='CHW'")
  local images_arguments = signature("SummaryWriter.add_images", "tag, img_tensor, global_step=nil, walltime=nil, dataformats='NCHW'")

  local function add_image(self, where, tag, tensor, step, walltime, dataformats)
    check_text(where, "dataformats", dataformats)
    local image = pictures.to_hwc(pictures.ready("SummaryWriter." .. where, tensor), dataformats)
    add(self, where, tag, pictures.to_bytes(image), step, walltime)
  end

  --- Adds a picture: bytes as they are, other numbers from 0 to 1.
  ---@param tag string
  ---@param img_tensor Tensor 1 to 4 channels: grey, grey and opacity, colours, colours and opacity
  ---@param global_step? integer
  ---@param walltime? number
  ---@param dataformats? string the order of the dimensions: "CHW", "HWC", "HW" ...; with N, a grid of pictures
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_image("noise", torch.rand(3, 8, 8), 0)
  --- writer:add_image("grey", torch.rand(8, 8), 0, {dataformats = "HW"})
  function SummaryWriter:add_image(...)
    local tag, tensor, step, walltime, dataformats = image_arguments(...)
    add_image(self, "add_image", tag, tensor, step, walltime, dataformats)
  end

  --- Adds pictures as one, eight in a row.
  ---@param tag string
  ---@param img_tensor Tensor [n, channels, height, width], 1 or 3 channels
  ---@param global_step? integer
  ---@param walltime? number
  ---@param dataformats? string "NCHW", "NHWC"
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_images("digits", torch.rand(16, 1, 8, 8), 0)
  function SummaryWriter:add_images(...)
    local tag, tensor, step, walltime, dataformats = images_arguments(...)
    add_image(self, "add_images", tag, tensor, step, walltime, dataformats)
  end

  local boxes_arguments = signature("SummaryWriter.add_image_with_boxes", "tag, img_tensor, box_tensor, global_step=nil, walltime=nil, "
    .. "rescale=1, dataformats='CHW', labels=nil")

  --- Adds a picture with red boxes drawn on it.
  ---@param tag string
  ---@param img_tensor Tensor
  ---@param box_tensor Tensor [n, 4]: left, top, right, bottom
  ---@param global_step? integer
  ---@param walltime? number
  ---@param rescale? number of the picture's size, 1
  ---@param dataformats? string "CHW"
  ---@param labels? string|string[] one for each box
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_image_with_boxes("found", torch.rand(3, 32, 32), torch.tensor{{4, 4, 20, 28}}, 0, {labels = {"cat"}})
  function SummaryWriter:add_image_with_boxes(...)
    local tag, tensor, boxes, step, walltime, rescale, dataformats, labels = boxes_arguments(...)
    check_text("add_image_with_boxes", "dataformats", dataformats)
    local where = "SummaryWriter.add_image_with_boxes"
    boxes = pictures.ready(where, boxes)
    if boxes:dim() ~= 2 or boxes:size(1) ~= 4 then
      vm.raise("shape", ("%s: box_tensor must be [n, 4], got %s"):format(where, tostring(boxes.shape)))
    end
    if type(rescale) ~= "number" or not (rescale > 0) then
      vm.raise("usage", ("%s: rescale must be a number greater than 0, got %s"):format(where, vm.describe(rescale)))
    end
    if type(labels) == "string" then labels = {labels} end
    if labels and #labels ~= boxes:size(0) then labels = nil end
    local image = pictures.to_hwc(pictures.ready(where, tensor), dataformats)
    image = pictures.with_boxes(pictures.to_bytes(image), boxes, labels)
    add(self, "add_image_with_boxes", tag, pictures.resized(image, rescale), step, walltime)
  end

  --- Not there: a figure is matplotlib's, which is Python's.
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- local ok, err = pcall(writer.add_figure, writer)
  --- err.message:match("SummaryWriter.add_figure")  --> SummaryWriter.add_figure
  function SummaryWriter:add_figure()
    vm.raise("usage", "SummaryWriter.add_figure: there are no figures of matplotlib in Lua",
      "add_image takes any Tensor as a picture; nn.plot and train.plot draw into files")
  end

  local video_arguments = signature("SummaryWriter.add_video", "tag, vid_tensor, global_step=nil, fps=4, walltime=nil")

  --- Adds films, side by side, as an animated PNG.
  ---@param tag string
  ---@param vid_tensor Tensor [n, time, channels, height, width]: bytes, or numbers from 0 to 1
  ---@param global_step? integer
  ---@param fps? number frames per second, 4
  ---@param walltime? number
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_video("film", torch.rand(1, 4, 3, 8, 8), 0, {fps = 2})
  function SummaryWriter:add_video(...)
    local tag, tensor, step, fps, walltime = video_arguments(...)
    check_text("add_video", "tag", tag)
    local frames = pictures.to_bytes(pictures.frames(pictures.ready("SummaryWriter.add_video", tensor)))
    events.add(file_of(self), parts.SUMMARY,
      messages.image(tag, frames:size(1), frames:size(2), frames:size(3), pictures.file(frames, fps)), step, walltime)
  end

  local audio_arguments = signature("SummaryWriter.add_audio", "tag, snd_tensor, global_step=nil, sample_rate=44100, walltime=nil")

  --- Adds a sound, as a WAV file of 16 bits.
  ---@param tag string
  ---@param snd_tensor Tensor [1, n], from -1 to 1
  ---@param global_step? integer
  ---@param sample_rate? integer per second, 44100
  ---@param walltime? number
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_audio("tone", torch.sin(torch.arange(8000) * 0.3):unsqueeze(0), 0, {sample_rate = 8000})
  function SummaryWriter:add_audio(...)
    local tag, tensor, step, rate, walltime = audio_arguments(...)
    check_text("add_audio", "tag", tag)
    local samples = pictures.ready("SummaryWriter.add_audio", tensor):squeeze()
    if samples:dim() ~= 1 then vm.raise("shape", "input tensor should be 1 dimensional.") end
    if samples:abs():max():item() > 1 then
      require("host").log.warn("add_audio: audio amplitude out of range, auto clipped.")
      samples = samples:clamp(-1, 1)
    end
    rate = math.type(rate) and math.tointeger(rate)
    if not rate or rate < 1 then
      vm.raise("usage", "SummaryWriter.add_audio: sample_rate must be a whole number of 1 or more")
    end
    events.add(file_of(self), parts.SUMMARY, messages.audio(tag, (samples * 32767):to(torch.int16), rate), step, walltime)
  end
end
