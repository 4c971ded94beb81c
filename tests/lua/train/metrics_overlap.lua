-- train.metrics.IoU and Dice.
local test = require "test"
local torch = require "torch"
local train = require "train"
local metrics = train.metrics

local function score(name, options, ...)
  local metric = metrics[name](options)
  metric:update(...)
  return metric:result()
end

local PRED <const>, TARGET <const> = torch.tensor {{0, 1, 1, 1}}, torch.tensor {{0, 0, 1, 1}}

test.case("mean IoU over classes, by class, over all places", function()
  test.near(score("IoU", {num_classes = 2}, PRED, TARGET), (1 / 2 + 2 / 3) / 2, 1e-15)
  test.near(score("IoU", {num_classes = 2, average = "micro"}, PRED, TARGET), 3 / 5, 1e-15)
  local by_class = score("IoU", {num_classes = 2, average = "none"}, PRED, TARGET)
  test.near(by_class[1], 1 / 2, 1e-15)
  test.near(by_class[2], 2 / 3, 1e-15)
  test.near(score("Dice", {num_classes = 2}, PRED, TARGET), (2 / 3 + 4 / 5) / 2, 1e-15)
  test.equal(metrics.IoU {num_classes = 3, average = "none"}.parts, {{"_0", 1}, {"_1", 2}, {"_2", 3}})
  test.equal(metrics.IoU {num_classes = 3, average = "none", include_background = false}.parts, {{"_1", 1}, {"_2", 2}})
end)

test.case("a class in neither predictions nor targets is left out of the mean; zero_division is what it has by itself", function()
  test.near(score("IoU", {num_classes = 5}, PRED, TARGET), (1 / 2 + 2 / 3) / 2, 1e-15)
  test.equal(score("IoU", {num_classes = 3, average = "none"}, PRED, TARGET)[3], 0.0)
  test.equal(score("IoU", {num_classes = 3, average = "none", zero_division = 1}, PRED, TARGET)[3], 1.0)
  local absent = score("IoU", {num_classes = 3, average = "none", zero_division = 0 / 0}, PRED, TARGET)[3]
  test.truthy(absent ~= absent)
  local nothing = torch.zeros(2, 3)
  test.equal(score("Dice", nil, nothing, nothing), 0.0)
  test.equal(score("Dice", {zero_division = 1}, nothing, nothing), 1.0)
end)

test.case("scores of classes, scores of yes, masks, logits", function()
  local scores = torch.tensor {{{0.9, 0.2}, {0.1, 0.8}}}  -- [1, 2 classes, 2 places]
  test.equal(score("IoU", nil, scores, torch.tensor {{0, 1}}), 1.0)
  test.equal(score("IoU", nil, torch.tensor {{0.5, 0.6}}, torch.tensor {{1, 1}}), 0.5)
  test.equal(score("IoU", {from_logits = true}, torch.tensor {{0.0, 0.1}}, torch.tensor {{1, 1}}), 0.5)
  test.equal(score("IoU", {threshold = 0.4}, torch.tensor {{0.5, 0.6}}, torch.tensor {{1, 1}}), 1.0)
  test.equal(score("IoU", nil, torch.tensor {true, false}, torch.tensor {true, true}), 0.5)
  test.equal(score("IoU", {num_classes = 1}, torch.tensor {1, 0}, torch.tensor {1, 1}), 0.5)
  test.equal(score("Dice", nil, torch.rand(2, 1, 3, 3), torch.ones(2, 3, 3)) <= 1, true)
  test.equal(score("IoU", {multilabel = true, average = "none"}, torch.tensor {{0.9, 0.9}, {0.1, 0.9}}, torch.tensor {{1, 0}, {0, 1}}),
    {1.0, 0.5})
end)

test.case("without background, ignored places, weights", function()
  test.near(score("IoU", {num_classes = 2, include_background = false}, PRED, TARGET), 2 / 3, 1e-15)
  test.near(score("IoU", {num_classes = 2, ignore_index = 255, average = "none"}, PRED, torch.tensor {{0, 255, 1, 1}})[1], 1, 1e-15)
  test.near(score("IoU", {num_classes = 2, average = "micro"}, PRED, TARGET, torch.tensor {{1.0, 0.0, 1.0, 1.0}}), 1, 1e-15)
end)

test.case("each sample by itself: the mean of their scores, those with nothing left out", function()
  local pred, target = torch.tensor {{1, 1, 0, 0}, {0, 0, 0, 0}, {1, 0, 0, 0}}, torch.tensor {{1, 0, 0, 0}, {0, 0, 0, 0}, {1, 0, 0, 0}}
  local function dice(zero)
    return score("Dice", {num_classes = 1, aggregation_level = "samplewise", zero_division = zero}, pred, target)
  end
  test.near(dice(), (2 / 3 + 1) / 2, 1e-15)
  test.near(dice(1), (2 / 3 + 1 + 1) / 3, 1e-15)
  test.near(dice(0), (2 / 3 + 1) / 3, 1e-15)
  test.near(score("Dice", {num_classes = 1}, pred, target), 4 / 5, 1e-15)
  test.near(score("Dice", {num_classes = 1, aggregation_level = "samplewise"}, pred, target, torch.tensor {3.0, 1.0, 1.0}),
    (3 * 2 / 3 + 1) / 4, 1e-15)
end)

test.case("shapes that do not go together, and classes whose number nobody told", function()
  local iou = metrics.IoU()
  for _, pair in ipairs {{torch.rand(2, 3, 4), torch.zeros(2, 5)}, {torch.rand(4), torch.zeros(5)},
    {torch.rand(2, 3, 4, 4), torch.zeros(2, 4)}} do
    test.equal(test.raises("JaccardIndex: predictions of shape .* do not go with a target of shape", iou.update, iou, pair[1],
      pair[2]).kind, "shape")
  end
  test.raises("num_classes is needed for predictions that are classes", iou.update, iou, PRED, TARGET)
  test.raises("predictions of shape", score, "IoU", {num_classes = 4}, torch.rand(2, 3, 5), torch.zeros(2, 5, {dtype = torch.int64}))
  test.raises("the target holds class 7, expected classes 0 to 1", score, "IoU", {num_classes = 2}, PRED, torch.tensor {{7, 0, 0, 0}})
  test.raises("scores of 3 classes must have the shape", score, "IoU", {num_classes = 3}, torch.rand(2, 5), torch.zeros(2, 5))
end)
