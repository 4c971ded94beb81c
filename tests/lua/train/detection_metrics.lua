-- train.metrics.MeanAveragePrecision.
local test = require "test"
local torch = require "torch"
local train = require "train"
local MeanAveragePrecision = train.metrics.MeanAveragePrecision

local function prediction(boxes, scores, labels) return {boxes = boxes, scores = scores, labels = labels} end

local function measured(options, predictions, targets)
  local metric = MeanAveragePrecision(options)
  metric:update(predictions, targets)
  return metric:result()
end

test.case("a detection whose overlap is exactly .5 counts at .50 alone", function()
  local result = measured(nil, {prediction({{0, 0, 10, 10}}, {0.9}, {1})}, {{boxes = {{0, 0, 10, 5}}, labels = {1}}})
  test.near(result.map_50, 1, 1e-12)
  test.equal(result.map_75, 0.0)
  test.near(result.map, 0.1, 1e-12)
  test.near(result.mar_small, 0.1, 1e-12)
  test.equal({result.map_small, result.map_medium, result.mar_large}, {result.map, -1.0, -1.0})
end)

test.case("without objects everything is -1", function()
  local metric = MeanAveragePrecision()
  local result = metric:result()
  test.equal({result.map, result.map_50, result.mar_100, #result.classes}, {-1.0, -1.0, -1.0, 0})
  metric:update({prediction({{0, 0, 1, 1}}, {0.5}, {3})}, {{boxes = {}, labels = {}}})
  result = metric:result()
  test.equal({result.map, result.mar_1, result.classes, result.map_per_class}, {-1.0, -1.0, {3}, {-1.0}})
end)

test.case("results by class, in the order of the labels", function()
  local result = measured(nil, {prediction({{0, 0, 40, 40}, {50, 50, 90, 90}}, {0.9, 0.8}, {7, 2})},
    {{boxes = {{0, 0, 40, 40}, {100, 100, 140, 140}, {0, 0, 9, 9}}, labels = {7, 2, 5}}})
  test.equal(result.classes, {2, 5, 7})
  test.equal({result.map_per_class[1], result.map_per_class[2]}, {0.0, 0.0})
  test.near(result.map_per_class[3], 1, 1e-12)
  test.equal(result.mar_100_per_class, {0.0, 0.0, 1.0})
  test.near(result.map, 1 / 3, 1e-12)
end)

test.case("crowds neither count nor are missed", function()
  local predictions = {prediction({{0, 0, 10, 10}, {5, 5, 15, 15}, {200, 200, 210, 210}}, {0.9, 0.8, 0.95}, {1, 1, 1})}
  local targets = {{boxes = {{0, 0, 100, 100}, {200, 200, 210, 210}}, labels = {1, 1}, iscrowd = {1, 0}}}
  test.near(measured(nil, predictions, targets).map, 1, 1e-12)
  targets[1].iscrowd = torch.tensor {0, 0}
  test.truthy(measured(nil, predictions, targets).map < 0.9)
end)

test.case("tensors of any type, and the three ways to write boxes", function()
  for i, boxes in ipairs {{10, 20, 30, 60}, {10, 20, 20, 40}, {20, 40, 20, 40}} do
    local format = ({"xyxy", "xywh", "cxcywh"})[i]
    local predictions = {prediction(torch.tensor {boxes}:to(torch.float32), torch.tensor({0.5}, {dtype = torch.float16}),
      torch.tensor({1}, {dtype = torch.uint8}))}
    local result = measured({box_format = format}, predictions, {{boxes = torch.tensor {boxes}, labels = torch.tensor {1},
      iscrowd = torch.tensor {false}, area = torch.tensor {800.0}}})
    test.near(result.map, 1, 1e-12)
  end
end)

test.case("gradients and views do not matter", function()
  local boxes = torch.tensor {{0.0, 0.0, 10.0, 10.0, 9.0}, {0.0, 0.0, 9.0, 9.0, 9.0}}
  boxes.requires_grad = true
  local predictions = {prediction(boxes[{"...", torch.slice(0, 4)}], torch.tensor {0.5, 0.7}, torch.tensor {1, 1})}
  local metric = MeanAveragePrecision()
  metric:update(predictions, {{boxes = torch.tensor {{0.0, 0.0, 9.0, 9.0}}, labels = torch.tensor {1}}})
  test.near(metric:result().map, 1, 1e-12)
end)

-- Images with some of everything.
local function several(count)
  local predictions, targets = {}, {}
  for i = 1, count do
    local objects, found = i % 4, 1 + i % 6
    targets[i] = {boxes = torch.rand(objects, 4) * 50 + torch.tensor {0.0, 0.0, 50.0, 50.0}, labels = torch.randint(0, 3, {objects})}
    predictions[i] = {boxes = torch.rand(found, 4) * 50 + torch.tensor {0.0, 0.0, 50.0, 50.0}, scores = torch.rand(found),
      labels = torch.randint(0, 3, {found})}
  end
  return predictions, targets
end

test.case("batches, merging and a saved state give what all images at once give", function()
  torch.manual_seed(1)
  local predictions, targets = several(40)
  local whole = measured(nil, predictions, targets)
  test.truthy(whole.map > 0 and whole.map < 1)
  local one, other = MeanAveragePrecision(), MeanAveragePrecision()
  for i = 1, 40 do (i <= 25 and one or other):update({predictions[i]}, {targets[i]}) end
  local before = other:result()
  one:merge(other)
  one:merge(MeanAveragePrecision())
  test.equal(one:result(), whole)
  test.equal(other:result(), before)
  test.equal(one.images, 40)
  local loaded = MeanAveragePrecision()
  loaded:load_state_dict(one:state_dict())
  test.equal(loaded:result(), whole)
  loaded:update({}, {})
  test.equal(loaded:result(), whole)
  loaded:reset()
  test.equal(loaded:result().map, -1.0)
  test.equal(one:result(), whole)
end)

test.case("few tensors are kept of many images", function()
  local metric = MeanAveragePrecision()
  local predictions, targets = several(1)
  for _ = 1, 300 do metric:update(predictions, targets) end
  test.truthy(#metric.chunks <= 10, #metric.chunks)
  test.equal(metric.images, 300)
end)

test.case("what was kept outlives a scope", function()
  local metric = MeanAveragePrecision()
  for _ = 1, 3 do
    torch.scope(function() metric:update({prediction({{0, 0, 9, 9}}, {0.5}, {1})}, {{boxes = {{0, 0, 9, 9}}, labels = {1}}}) end)
  end
  torch.scope(function() metric:curves() end)
  test.near(metric:result().map, 1, 1e-12)
end)

test.case("curves have the shape of pycocotools'", function()
  local metric = MeanAveragePrecision()
  metric:update(several(4))
  local curves = metric:curves()
  test.equal({table.unpack(curves.precision.shape)}, {10, 101, #curves.classes, 4, 3})
  test.equal({table.unpack(curves.recall.shape)}, {10, #curves.classes, 4, 3})
end)

test.case("VOC: 11 points and the area under the curve", function()
  -- hit, miss, hit of 2: precision 1 to recall .5, then 2/3
  local predictions = {prediction({{0, 0, 10, 10}, {90, 90, 99, 99}, {20, 20, 30, 30}}, {0.9, 0.8, 0.7}, {1, 1, 1})}
  local targets = {{boxes = {{0, 0, 10, 10}, {20, 20, 30, 30}, {50, 50, 60, 60}}, labels = {1, 1, 1}, difficult = {0, 0, 1}}}
  test.near(measured({style = "voc2007"}, predictions, targets).map, (6 * 1 + 5 * 2 / 3) / 11, 1e-12)
  local result = measured({style = "voc2010"}, predictions, targets)
  test.near(result.map, 0.5 + 0.5 * 2 / 3, 1e-12)
  test.equal({result.map_50, result.map_75, result.map_small}, {result.map, -1.0, nil})
  -- 11 x 6 of 11 x 11 pixels are more than half; 10 x 5 of 10 x 10 are half
  predictions = {prediction({{0, 0, 10, 10}}, {0.9}, {1})}
  targets = {{boxes = {{0, 0, 10, 5}}, labels = {1}}}
  local options = {style = "voc2010", iou_thresholds = {0.51}}
  test.equal(measured(options, predictions, targets).map, 0.0)
  options.inclusive = true
  test.equal(measured(options, predictions, targets).map, 1.0)
end)

test.case("what cannot be measured is told with the image", function()
  local metric = MeanAveragePrecision()
  local good = {boxes = torch.ones(2, 4), scores = torch.ones(2), labels = torch.tensor {1, 1}}
  local target = {boxes = torch.ones(1, 4), labels = torch.tensor {1}}
  local function refuse(pattern, kind, predictions, targets)
    test.equal(test.raises(pattern, metric.update, metric, predictions, targets).kind, kind)
  end
  local function changed(field, value)
    return {boxes = good.boxes, scores = good.scores, labels = good.labels, [field] = value}
  end
  refuse("predictions are of 2 images, targets of 1", "usage", {good, good}, {target})
  refuse("predictions must be a list of tables, one an image, got nil", "usage", nil, {target})
  refuse("targets[1].labels must be a Tensor, got nil", "usage", {good}, {{boxes = good.boxes}})
  refuse("predictions[2].scores must be a Tensor, got nil", "usage", {good, target}, {target, target})
  refuse("predictions[1].boxes must have the shape [n, 4], got [4]", "shape", {changed("boxes", torch.ones(4))}, {target})
  refuse("predictions[1].scores must have the shape [2], one for each box, got [3]", "shape", {changed("scores", torch.ones(3))},
    {target})
  refuse("predictions[1].labels must be integers, got float32", "dtype", {changed("labels", torch.ones(2))}, {target})
  refuse("predictions[1].scores holds NaN at 1", "usage", {changed("scores", torch.tensor {0.5, 0 / 0})}, {target})
  refuse("predictions[1].boxes holds NaN or infinity in box 1", "usage", {changed("boxes", torch.tensor {{0, 0, 1, 1}, {0, 0, 0 / 0, 1}})},
    {target})
  refuse("predictions[1] must be a table {boxes =, labels =}, got number 3", "usage", {3}, {target})
  test.raises("images have no weights", metric.update, metric, {good}, {target}, torch.ones(1))
  test.equal(metric.images, 0)
end)

test.case("options are checked where the metric is made", function()
  test.raises('style must be "coco", "voc2007" or "voc2010"', MeanAveragePrecision, {style = "voc"})
  test.raises('box_format must be "xyxy", "xywh" or "cxcywh"', MeanAveragePrecision, {box_format = "xy"})
  test.raises("iou_thresholds must be a list of", MeanAveragePrecision, {iou_thresholds = {0.7, 0.5}})
  test.raises("max_detection_thresholds must be a list of whole numbers", MeanAveragePrecision, {max_detection_thresholds = {0.5}})
  test.raises("inclusive is about the corners", MeanAveragePrecision, {inclusive = true, box_format = "xywh"})
  test.raises("cannot merge: options coco", function()
    MeanAveragePrecision():merge(MeanAveragePrecision {average = "micro"})
  end)
end)
