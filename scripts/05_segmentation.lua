-- A U-Net tells for each pixel of a noisy scene which garment it shows, if any; a metric of your own, the mean IoU.
--
--   trainhost scripts/05_segmentation.lua [--set epochs=10] [--set width=16] [--set out=out/unet]
--
-- For a quick try: --set scenes=300 --set width=8 --set epochs=3
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"
local train = require "train"
local UNet = require "models.unet"
local png = require "data.png"
local scenes = require "data.scenes"
local data = torch.utils.data

local count = host.param("scenes", 3000, {min = 8, doc = "scenes to make; a tenth of them is for validation"})
local size = host.param("size", 64, {doc = "of a scene, a multiple of 8"})
local width = host.param("width", 16, {min = 1, doc = "channels of the first level"})
local epochs = host.param("epochs", 10, {min = 1})
local batch_size = host.param("batch_size", 16, {min = 1})
local lr = host.param("lr", 3e-3, {min = 0})
local seed = host.param("seed", 1)
local out = host.param("out", "out/unet")
if size < 16 or size % 8 ~= 0 then error(("size = %d: expected a multiple of 8, at least 16"):format(size), 0) end

local CLASSES = 11  -- the ground and ten garments
local set = torch.datasets.fashion_mnist()

local function made_of(part, number, seeded)
  local images, masks = scenes.make(part, number, {size = size, objects = 3, seed = seeded})
  return data.TensorDataset(images, masks)
end

local fit_set = made_of(set.train, count, seed)
local valid_set = made_of(set.test, math.max(count // 10, 4), seed + 1)  -- of garments that were never seen

torch.manual_seed(seed)
local net = UNet {in_channels = 1, classes = CLASSES, width = width, depth = 3}
local optimizer = torch.optim.AdamW(net:parameters(), {lr = lr})

-- Intersection over union of each class over all pixels seen, and the mean of the classes that occur.
local IoU = {direction = "max"}
IoU.__index = IoU

function IoU:reset() self.confusion = torch.zeros(CLASSES * CLASSES, {dtype = torch.int64}) end

function IoU:update(pred, target)
  local pairs_seen = pred:argmax(1) + CLASSES * target
  self.confusion:add_(torch.bincount(pairs_seen:flatten(), {minlength = CLASSES * CLASSES}))
end

function IoU:result()
  local matrix = self.confusion:view(CLASSES, CLASSES):double()
  local right = matrix:diagonal()
  local union = matrix:sum(0) + matrix:sum(1) - right
  local seen = union:gt(0)
  return (right[seen] / union[seen]):mean():item()
end

mlflow.set_experiment("segmentation")
local run <close> = mlflow.start_run {run_name = "u-net"}

local history = train.fit {
  model = net, optimizer = optimizer, epochs = epochs,
  -- Garments are a quarter of the pixels: the ground counts less, so that they are not passed over.
  loss = torch.nn.CrossEntropyLoss(torch.ones(CLASSES):index_fill(0, torch.tensor {0}, 0.3)),
  train = data.DataLoader(fit_set, {batch_size = batch_size, shuffle = true, seed = seed}),
  valid = data.DataLoader(valid_set, {batch_size = 16}),
  scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs),
  metrics = {accuracy = train.metrics.Accuracy(), iou = setmetatable({}, IoU)},
  callbacks = {mlflow.callback()},
}

-- Scenes above, what was found below, what is there at the bottom.
local images, masks = table.unpack(valid_set.tensors)
images, masks = images:narrow(0, 0, 4), masks:narrow(0, 0, 4)
local found = train.predict {model = net, data = {{images}}}:argmax(1)
local shown = torch.cat({images, found:unsqueeze(1) / CLASSES, masks:unsqueeze(1) / CLASSES})
run:log_artifact(png.write(out .. "/scenes.png", shown, 4))
local last = #history.val_loss
print(("validation: loss %.4f  pixels right %.4f  mean IoU %.4f; see %s/scenes.png"):format(
  history.val_loss[last], history.val_accuracy[last], history.val_iou[last], out))
