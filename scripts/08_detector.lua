-- Detects garments in crowded scenes: a detector without anchors, scored by COCO's mean average precision.
--
--   trainhost scripts/08_detector.lua [--set epochs=12] [--set width=16] [--set scenes=3000] [--set out=out/detector]
--
-- For a quick try: --set scenes=400 --set width=8 --set epochs=3
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"
local train = require "train"
local Detector = require "models.detector"
local png = require "data.png"
local scenes = require "data.scenes"
local data = torch.utils.data

local count = host.param("scenes", 3000, {min = 8, doc = "scenes to make; a tenth more are for validation"})
local size = host.param("size", 96, {doc = "of a scene, a multiple of 8"})
local objects = host.param("objects", 4, {min = 1, doc = "garments in a scene at most"})
local width = host.param("width", 16, {min = 1, doc = "channels of the first level"})
local epochs = host.param("epochs", 12, {min = 1})
local every = host.param("every", 3, {min = 1, doc = "epochs between two scores"})
local batch_size = host.param("batch_size", 16, {min = 1})
local lr = host.param("lr", 2e-3, {min = 0})
local seed = host.param("seed", 1)
local out = host.param("out", "out/detector")
if size < 16 or size % 8 ~= 0 then error(("size = %d: expected a multiple of 8, at least 16"):format(size), 0) end

local set = torch.datasets.fashion_mnist()

local function made_of(part, number, seeded)
  local images, _, boxes, labels = scenes.make(part, number, {size = size, objects = objects, noise = 0.1, seed = seeded})
  return data.TensorDataset(images, boxes, labels)
end

local fit_set = made_of(set.train, count, seed)
local valid_set = made_of(set.test, math.max(count // 10, 4), seed + 1)  -- of garments that were never seen
local valid_loader = data.DataLoader(valid_set, {batch_size = 50})

torch.manual_seed(seed)
local net = Detector {width = width}
local optimizer = torch.optim.AdamW(net:parameters(), {lr = lr, weight_decay = 1e-2})
local fit_loader = data.DataLoader(fit_set, {batch_size = batch_size, shuffle = true, seed = seed})
local cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, {epochs = epochs, steps_per_epoch = #fit_loader})

mlflow.set_experiment("detection")
local run <close> = mlflow.start_run {run_name = "detector"}

-- Detections of all validation scenes against what is there.
local function score()
  local map = train.metrics.MeanAveragePrecision()
  net:eval()
  for images, boxes, labels in valid_loader:iter() do
    local targets = {}
    for i = 0, images:size(0) - 1 do
      local there = labels[i]:ge(0)
      targets[i + 1] = {boxes = boxes[i][there], labels = labels[i][there]}
    end
    map:update(net:detect(images), targets)
  end
  net:train()
  return map:result()
end

train.fit {
  model = net, optimizer = optimizer, epochs = epochs, train = fit_loader, clip_grad_norm = 10,
  valid = valid_loader, scheduler = {cycle, interval = "step"},
  step = function(_, batch)
    local images, boxes, labels = table.unpack(batch)
    local logits, found, centers = net(images)
    local classes, giou = net:losses(logits, found, centers, boxes, labels)
    return classes + giou, {classes = classes, giou = giou}
  end,
  callbacks = {
    train.on("epoch_end", {every = every}, function(state)
      local result = score()
      state.logs.val_map, state.logs.val_map_50 = result.map, result.map_50
    end),
    mlflow.callback(),
  },
}

local result = score()
for i, class in ipairs(result.classes) do
  print(("  %-12s AP %.3f"):format(set.classes[class + 1], result.map_per_class[i]))
end
run:log_metrics {map = result.map, map_50 = result.map_50, map_75 = result.map_75}
print(("mAP %.3f  at IoU 0.50 %.3f  at 0.75 %.3f"):format(result.map, result.map_50, result.map_75))

-- A few scenes with the boxes of what was found with a score above 0.4.
local shown = valid_set.tensors[1]:narrow(0, 0, 4):clamp(0, 1):clone()
for i, found in ipairs(net:eval():detect(shown, {score = 0.4})) do
  for _, box in ipairs(found.boxes:round():long():clamp(0, size - 1):tolist()) do
    local left, top, right, bottom = table.unpack(box)
    local image, tall, wide = shown[i - 1][0], bottom - top + 1, right - left + 1
    for _, x in ipairs {left, right} do image:narrow(1, x, 1):narrow(0, top, tall):fill_(1) end
    for _, y in ipairs {top, bottom} do image:narrow(0, y, 1):narrow(1, left, wide):fill_(1) end
  end
end
run:log_artifact(png.write(out .. "/found.png", shown, 4))
