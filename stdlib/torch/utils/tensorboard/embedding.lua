-- The files of TensorBoard's projector: vectors, labels, small pictures, and the list of what there is.
local events = require "native.events"
local host = require "host"
local pictures = require "torch.utils.tensorboard.pictures"
local text = require("torch.python_text").format
local torch = require "torch"
local vm = require "native.vm"

local embedding = {}

local function row_of(values)
  local words = {}
  for i, value in ipairs(values) do words[i] = text(value) end
  return table.concat(words, "\t")
end

local function write_matrix(mat, folder)
  local lines = {}
  for i, row in ipairs(mat:tolist()) do lines[i] = row_of(row) end
  lines[#lines + 1] = ""
  events.write(folder .. "/tensors.tsv", table.concat(lines, "\n"))
end

local function write_metadata(metadata, header, folder)
  local lines = {}
  if header and #header > 0 then
    if type(metadata[1]) ~= "table" or #header ~= #metadata[1] then
      vm.raise("usage", "len of header must be equal to the number of columns in metadata")
    end
    lines[1] = row_of(header)
    for _, row in ipairs(metadata) do lines[#lines + 1] = row_of(row) end
  else
    for i, value in ipairs(metadata) do lines[i] = type(value) == "table" and row_of(value) or text(value) end
  end
  lines[#lines + 1] = ""
  events.write(folder .. "/metadata.tsv", table.concat(lines, "\n"))
end

-- A square of pictures, as the projector cuts it.
local function write_sprite(images, folder)
  local grid = pictures.grid(images, math.ceil(images:size(0) ^ 0.5)):permute({1, 2, 0})
  local height, width = grid:size(0), grid:size(1)
  local square = torch.zeros({math.max(width, height), width, 3}, {dtype = torch.uint8, device = "cpu"})
  local bytes = images.dtype == torch.uint8 and grid or (grid:to(torch.float64) * 255):clamp(0, 255):to(torch.uint8)
  square:narrow(0, 0, height):copy_(bytes)
  events.write(folder .. "/sprite.png", pictures.file(square))
end

local function quoted(value)
  return '"' .. value:gsub('[\\"]', "\\%0"):gsub("\n", "\\n") .. '"'
end

-- EmbeddingInfo, as text.
local function entry(tag, step, folder, has_metadata, images)
  local lines = {"embeddings {", "  tensor_name: " .. quoted(("%s:%05d"):format(tag, step))}
  if has_metadata then lines[#lines + 1] = "  metadata_path: " .. quoted(folder .. "/metadata.tsv") end
  if images then
    lines[#lines + 1] = "  sprite {"
    lines[#lines + 1] = "    image_path: " .. quoted(folder .. "/sprite.png")
    lines[#lines + 1] = ("    single_image_dim: %d"):format(images:size(3))
    lines[#lines + 1] = ("    single_image_dim: %d"):format(images:size(2))
    lines[#lines + 1] = "  }"
  end
  lines[#lines + 1] = "  tensor_path: " .. quoted(folder .. "/tensors.tsv")
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n") .. "\n"
end

local function encoded(tag)
  return (tag:gsub("[%%/\\]", function(letter) return ("%%%02x"):format(letter:byte()) end))
end

--- Hands over the files of one embedding, and the list of those before it. Its folder is made at once.
---@param log_dir string
---@param entries string[] of the embeddings before; this one is added
---@param given table mat, metadata, label_img, global_step, tag, metadata_header
function embedding.write(log_dir, entries, given)
  local mat = torch.as_tensor(given.mat, {device = "cpu"}):detach():cpu()
  local images = given.label_img ~= nil and pictures.ready("SummaryWriter.add_embedding", given.label_img) or nil
  if mat:dim() ~= 2 then
    vm.raise("shape", "mat should be 2D, where mat.size(0) is the number of data points")
  end
  if given.metadata and #given.metadata ~= mat:size(0) then
    vm.raise("usage", "#labels should equal with #data points")
  end
  if images and images:size(0) ~= mat:size(0) then vm.raise("shape", "#images should equal with #data points") end
  local step = given.global_step or 0
  local folder = ("%05d/%s"):format(step, encoded(given.tag))
  local path = log_dir .. "/" .. folder
  if host.file.exists(path) then
    host.log.warn(("add_embedding: %s is there already: did you set global_step?"):format(path))
  end
  host.file.mkdir(path)
  if given.metadata then write_metadata(given.metadata, given.metadata_header, path) end
  if images then write_sprite(images, path) end
  write_matrix(mat, path)
  entries[#entries + 1] = entry(given.tag, step, folder, given.metadata ~= nil, images)
  events.write(log_dir .. "/projector_config.pbtxt", table.concat(entries))
end

return embedding
