-- torch.datasets: Fashion-MNIST from its real files, its options, and what a missing or damaged set says.
local host = require "host"
local test = require "test"
local torch = require "torch"

local folder = (os.getenv "TRAINHOST_DATASETS" or "/usr/share/datasets") .. "/fashion-mnist"
local present = host.file.exists(folder .. "/train-images-idx3-ubyte.gz")

local function idx(shape, data)
  local bytes = {string.pack(">I2BB", 0, 8, #shape)}
  for _, size in ipairs(shape) do bytes[#bytes + 1] = string.pack(">I4", size) end
  return table.concat(bytes) .. data
end

local function small_set(path, change)
  local files = {
    ["train-images-idx3-ubyte"] = idx({2, 28, 28}, ("\0"):rep(784) .. ("\255"):rep(784)),
    ["train-labels-idx1-ubyte"] = idx({2}, "\3\9"),
    ["t10k-images-idx3-ubyte"] = idx({1, 28, 28}, ("\51"):rep(784)),
    ["t10k-labels-idx1-ubyte"] = idx({1}, "\0"),
  }
  for name, text in pairs(change or {}) do files[name] = text end
  host.file.mkdir(path)
  for name, text in pairs(files) do
    if text then host.file.write_atomic(path .. "/" .. name, text) end
  end
  return path
end

test.case("the real set: counts, shapes, range, balanced labels, means", function()
  if not present then test.skip("dataset-fashion-mnist is not installed") end
  local set = torch.datasets.fashion_mnist()
  test.equal({#set.train, #set.test, #set.classes}, {60000, 10000, 10})
  local loader = torch.utils.data.DataLoader(set.test, {batch_size = 10000})
  for x, y in loader:iter() do
    test.equal({x:size(0), x:size(1), x:size(2), x:size(3)}, {10000, 1, 28, 28})
    test.equal({x:min():item(), x:max():item()}, {0.0, 1.0})
    test.near(x:mean():item(), 0.28684928, 1e-5)
    test.equal(y:bincount():tolist(), {1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000})
  end
  test.equal(set.train[0][2]:item(), 9)
  test.equal(set.train.tensors[1].dtype, torch.uint8)
end)

test.case("flat images, normalisation and folders of one's own", function()
  local path = small_set(test.tmpdir() .. "/mine")
  local set = torch.datasets.fashion_mnist {root = path, flat = true, normalize = {0.5, 0.25}}
  test.equal(set.train[0][1].shape[1], 784)
  test.equal(set.train[0][1]:max():item(), -2.0)
  test.equal(set.train[1][1]:min():item(), 2.0)
  test.equal(torch.datasets.mnist(path).test[0][1]:max():item(), torch.tensor(51):to(torch.float32):div(255):item())
  test.equal(torch.datasets.mnist(path).train[1][2]:item(), 9)
  test.equal(#torch.datasets.mnist {root = path}.classes, 10)
end)

test.case("a missing set says where it looked and how to get it", function()
  local err = test.raises("not found, looked in /nowhere, /nowhere/fashion-mnist, /nowhere/FashionMNIST/raw",
    torch.datasets.fashion_mnist, {root = "/nowhere"})
  test.equal(err.kind, "io")
  test.truthy(err.hint:find("apt-get install dataset-fashion-mnist", 1, true))
  test.raises("/usr/share/datasets/mnist", torch.datasets.mnist)
  test.raises("unknown keyword", torch.datasets.fashion_mnist, {rot = "x"})
end)

test.case("files that do not belong together are refused by name", function()
  local function load(change) return torch.datasets.fashion_mnist(small_set(test.tmpdir() .. "/bad", change)) end
  test.raises("train-labels-idx1-ubyte must hold 2 uint8 labels", load, {["train-labels-idx1-ubyte"] = idx({3}, "abc")})
  test.raises("must hold uint8 images of 28 x 28", load, {["t10k-images-idx3-ubyte"] = idx({1, 2, 2}, "abcd")})
  test.raises("holds the label 10, expected 0 to 9", load, {["t10k-labels-idx1-ubyte"] = idx({1}, "\10")})
  test.equal(test.raises("promises 3 bytes", load, {["train-labels-idx1-ubyte"] = idx({3}, "ab")}).kind, "io")
  test.raises("was not found", load, {["train-labels-idx1-ubyte"] = false})
end)
