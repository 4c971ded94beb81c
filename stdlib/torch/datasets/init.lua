-- torch.datasets: image sets in IDX files, read where they lie. Nothing is downloaded.
local datasets = require "torch.utils.data.dataset"
local host = require "host"
local keywords = require "host.keywords"
local native = require "native.data"
local torch = require "torch"
local vm = require "native.vm"

local module = {}

local parts = {train = "train", test = "t10k"}

-- The four files of a set in a folder: plain or .gz. Nil and the first missing name if one is not there.
local function files_in(folder)
  local found = {}
  for part, prefix in pairs(parts) do
    for kind, suffix in pairs {images = "-images-idx3-ubyte", labels = "-labels-idx1-ubyte"} do
      local path = ("%s/%s%s"):format(folder, prefix, suffix)
      if host.file.exists(path) then
        found[part .. "_" .. kind] = path
      elseif host.file.exists(path .. ".gz") then
        found[part .. "_" .. kind] = path .. ".gz"
      else
        return nil
      end
    end
  end
  return found
end

-- Where a set may lie: below the folder given, or else in the usual places.
local function places(set, root)
  if root then return {root, root .. "/" .. set.folder, root .. "/" .. set.torchvision .. "/raw"} end
  local list = {}
  local env = os.getenv "TRAINHOST_DATASETS"
  if env and env ~= "" then
    for _, place in ipairs(places(set, env)) do list[#list + 1] = place end
  end
  list[#list + 1] = "data/" .. set.folder
  list[#list + 1] = "data/" .. set.torchvision .. "/raw"
  list[#list + 1] = "/usr/share/datasets/" .. set.folder
  return list
end

local function find(set, root)
  local tried = places(set, root)
  for _, folder in ipairs(tried) do
    local files = files_in(folder)
    if files then return files end
  end
  vm.raise("io", ("%s: the data set was not found, looked in %s"):format(set.name, table.concat(tried, ", ")), set.hint)
end

local function read_part(set, files, part, options)
  local images_path, labels_path = files[part .. "_images"], files[part .. "_labels"]
  local images, labels = native.read_idx(images_path), native.read_idx(labels_path)
  local function check(ok, path, wanted, tensor)
    if ok then return end
    vm.raise("io", ("%s: %s must hold %s, it holds %s of shape [%s]"):format(set.name, path, wanted,
      tostring(tensor.dtype), table.concat(tensor.shape, ", ")))
  end
  check(images.dtype == torch.uint8 and images:dim() == 3 and images:size(1) == 28 and images:size(2) == 28,
    images_path, "uint8 images of 28 x 28", images)
  check(labels.dtype == torch.uint8 and labels:dim() == 1 and labels:size(0) == images:size(0), labels_path,
    ("%d uint8 labels"):format(images:size(0)), labels)
  if labels:numel() > 0 and labels:max():item() >= #set.classes then
    vm.raise("io", ("%s: %s holds the label %d, expected 0 to %d"):format(set.name, labels_path, labels:max():item(),
      #set.classes - 1))
  end
  images = options.flat and images:flatten(1) or images:unsqueeze(1)
  local normalize = options.normalize or {}
  return datasets.TensorDataset(images, labels:to(torch.int64), {
    transforms = {[1] = {divisor = 255, mean = normalize.mean or normalize[1], std = normalize.std or normalize[2]}},
  })
end

local function load(set, options)
  if type(options) == "string" then options = {root = options} end
  local o = keywords.check(set.name, options, {root = keywords.none, flat = false, normalize = keywords.none})
  local files = find(set, o.root)
  return {train = read_part(set, files, "train", o), test = read_part(set, files, "test", o), classes = set.classes}
end

local fashion_mnist = {
  name = "torch.datasets.fashion_mnist", folder = "fashion-mnist", torchvision = "FashionMNIST",
  hint = "apt-get install dataset-fashion-mnist, or give root = a folder with train-images-idx3-ubyte, "
    .. "train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (also as .gz)",
  classes = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"},
}

local mnist = {
  name = "torch.datasets.mnist", folder = "mnist", torchvision = "MNIST",
  hint = "give root = a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte "
    .. "and t10k-labels-idx1-ubyte (also as .gz)",
  classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
}

--- Fashion-MNIST: 60,000 and 10,000 grey images of 28 x 28, ten classes. Images are float32 in 0 ... 1 of shape
--- [1, 28, 28], labels int64; in memory the images stay bytes (`set.train.tensors`).
--- Looked for in `root`, or else $TRAINHOST_DATASETS, ./data/fashion-mnist, /usr/share/datasets/fashion-mnist
--- (Debian's package dataset-fashion-mnist).
---@param options? table|string {root = folder, flat = true for shape [784], normalize = {mean, std}}, or the folder
---@return table {train = dataset, test = dataset, classes = string[]}
function module.fashion_mnist(options) return load(fashion_mnist, options) end

--- MNIST: as `fashion_mnist`, with the digits; looked for in folders named mnist.
---@param options? table|string
---@return table {train = dataset, test = dataset, classes = string[]}
function module.mnist(options) return load(mnist, options) end

return require("host.namespace")("torch.datasets", {held = module})
