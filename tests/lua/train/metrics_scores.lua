-- Metrics of scores: areas and curves over all thresholds, probabilities and their calibration; what fit logs of lists.
local test = require "test"
local torch = require "torch"
local train = require "train"
local metrics = train.metrics

local function is_nan(value) return value ~= value end

local function of(name, options, pred, target, weight)
  local metric = metrics[name](options)
  metric:update(torch.tensor(pred, {dtype = torch.float64}), torch.tensor(target), weight and torch.tensor(weight))
  return metric:result()
end

test.case("AUC: ties count half", function()
  test.equal(of("AUC", nil, {0.1, 0.5, 0.5, 0.9}, {0, 0, 1, 1}), 0.875)
  test.equal(of("AUC", nil, {0.3, 0.3, 0.3}, {0, 1, 1}), 0.5)
  test.equal(of("AUC", {from_logits = true}, {-3.0, 0.0, 0.0, 40.0}, {0, 0, 1, 1}), 0.875)
end)

test.case("AUC is exact where scores are crowded; bins are opt-in", function()
  local scores, target = {}, {}
  for i = 1, 12 do scores[i], target[i] = 0.0001 * i, i == 8 and 1 or 0 end
  test.near(of("AUC", nil, scores, target), 7 / 11, 1e-12)
  test.equal(of("AUC", {bins = 200}, scores, target), 0.5)
end)

test.case("AUC of one class only is NaN, with one warning", function()
  for _, target in ipairs {{1, 1}, {0, 0}} do
    local metric = metrics.AUC()
    local said = test.warnings(function()
      for _ = 1, 2 do
        metric:update(torch.tensor {0.2, 0.8}, torch.tensor(target))
        test.truthy(is_nan(metric:result()))
      end
    end)
    test.equal(said, {"AUC: the targets are of one class only: the result is NaN"})
  end
end)

test.case("a score that is NaN is an error, and is not counted", function()
  for _, name in ipairs {"AUC", "AveragePrecision", "ROCCurve", "PrecisionRecallCurve", "LogLoss", "Brier", "CalibrationError"} do
    local metric = metrics[name]()
    local err = test.raises(name .. ": a score is NaN", metric.update, metric, torch.tensor {0.2, 0 / 0}, torch.tensor {0, 1})
    test.equal(err.kind, "usage")
    test.raises(name .. ": a score is NaN", metric.update, metric, torch.tensor {{0.2, 0.5, 0 / 0}}, torch.tensor {1})
  end
  local auc = metrics.AUC()
  pcall(auc.update, auc, torch.tensor {0.2, 0 / 0}, torch.tensor {0, 1})
  auc:update(torch.tensor {0.1, 0.5, 0.5, 0.9}, torch.tensor {0, 0, 1, 1})
  test.equal(auc:result(), 0.875)
end)

test.case("AP without positives is NaN, with one warning", function()
  local metric = metrics.AveragePrecision()
  local said = test.warnings(function()
    metric:update(torch.tensor {0.2, 0.8}, torch.tensor {0, 0})
    test.truthy(is_nan(metric:result()))
    test.truthy(is_nan(metric:result()))
  end)
  test.equal(said, {"AveragePrecision: no target is yes: the result is NaN"})
  test.near(of("AveragePrecision", nil, {0.1, 0.4, 0.35, 0.8}, {0, 0, 1, 1}), 5 / 6, 1e-12)
end)

test.case("a class that is absent is left out of the mean with a warning; labels counts it", function()
  local pred, target = {{0.7, 0.2, 0.1}, {0.3, 0.6, 0.1}, {0.4, 0.35, 0.25}}, {0, 1, 1}
  local said = test.warnings(function() test.equal(of("AUC", nil, pred, target), 1.0) end)
  test.equal(said, {"AUC: for class 2 the targets are of one class only: it is left out of the mean (labels counts it)"})
  test.warnings(function()
    test.truthy(is_nan(of("AUC", {labels = {0, 1, 2}}, pred, target)))
    local each = of("AUC", {average = "none"}, pred, target):tolist()
    test.equal({each[1], each[2], is_nan(each[3])}, {1.0, 1.0, true})
  end)
end)

test.case("AUC one against one, weighted by the size of the pair", function()
  local pred = {{0.6, 0.3, 0.1}, {0.2, 0.5, 0.3}, {0.3, 0.3, 0.4}, {0.5, 0.1, 0.4}}
  -- pairs: 0 and 1: 1 of 3 samples, 0 and 2: (1 + 0.75) / 2 of 3, 1 and 2: 1 of 2
  test.near(of("AUC", {multi_class = "ovo"}, pred, {0, 1, 2, 0}), (1 + 0.875 + 1) / 3, 1e-12)
  test.near(of("AUC", {multi_class = "ovo", average = "weighted"}, pred, {0, 1, 2, 0}), (3 + 3 * 0.875 + 2) / 8, 1e-12)
  test.warnings(function() test.truthy(is_nan(of("AUC", {multi_class = "ovo"}, pred, {1, 1, 1, 1}))) end)
end)

test.case("curves: the first point of ROC is at infinity, the last of precision and recall has no threshold", function()
  local scores, target = {0.1, 0.4, 0.35, 0.8}, {0, 0, 1, 1}
  local roc = of("ROCCurve", nil, scores, target)
  test.equal(roc.thresholds:tolist(), {math.huge, 0.8, 0.4, 0.35, 0.1})
  test.equal(roc.tpr:tolist(), {0.0, 0.5, 0.5, 1.0, 1.0})
  local curve = of("PrecisionRecallCurve", nil, scores, target)
  test.near(curve.precision:tolist(), {0.5, 2 / 3, 0.5, 1.0, 1.0}, 1e-12)
  test.equal(curve.thresholds:tolist(), {0.1, 0.35, 0.4, 0.8})
  local logits = of("ROCCurve", {from_logits = true}, {0.0, 2.0}, {0, 1})
  test.near(logits.thresholds:tolist(), {math.huge, 1 / (1 + math.exp(-2)), 0.5}, 1e-12)
  local several = of("ROCCurve", nil, {{0.7, 0.2, 0.1}, {0.3, 0.6, 0.1}, {0.4, 0.25, 0.35}}, {0, 1, 2})
  test.equal({#several.fpr, #several.tpr, #several.thresholds}, {3, 3, 3})
  test.equal(several.tpr[2]:tolist()[1], 0.0)
  local said = test.warnings(function()
    local one = of("ROCCurve", nil, {0.2, 0.8}, {1, 1})
    test.truthy(is_nan(one.fpr:tolist()[1]) and one.tpr:tolist()[1] == 0.0)
  end)
  test.equal(said, {"ROCCurve: there is no no: its rate is NaN"})
end)

test.case("bins keep sums alone, whatever was seen", function()
  local auc = metrics.AUC {bins = 101}
  for _ = 1, 3 do auc:update(torch.rand(1000), torch.randint(0, 2, {1000})) end
  test.equal({auc.cells:numel(), auc.scores == nil}, {200, true})
  local curve = of("ROCCurve", {bins = 3, drop_intermediate = false}, {0.2, 0.5, 0.9}, {0, 1, 1})
  test.equal({curve.tpr:tolist(), curve.thresholds:tolist()}, {{0.0, 0.5, 1.0}, {math.huge, 0.5, 0.0}})
  test.raises("AUC: probabilities of 0 to 1 expected, got 1.5", of, "AUC", {bins = 5}, {0.2, 1.5}, {0, 1})
end)

test.case("what is kept grows by doubling, keeps its type and takes weights that come late", function()
  local auc = metrics.AUC()
  for _ = 1, 50 do auc:update(torch.rand(100), torch.randint(0, 2, {100})) end
  test.equal({auc.size, auc.scores:size(0), auc.scores.dtype, auc.targets.dtype}, {5000, 8192, torch.float32, torch.bool})
  auc:reset()
  auc:update(torch.tensor {0.1, 0.6}, torch.tensor {0, 1})
  auc:update(torch.tensor({0.7, 0.2}, {dtype = torch.float64}), torch.tensor {0, 1}, torch.tensor {2.0, 0.0})
  test.near(auc:result(), 1 / 3, 1e-12)
  test.equal(auc.scores.dtype, torch.float64)
  local half = metrics.AUC()
  half:update(torch.tensor({0.1, 0.9}, {dtype = torch.bfloat16}), torch.tensor {0, 1})
  test.equal({half:result(), half.scores.dtype}, {1.0, torch.float32})
end)

test.case("what is kept does not change with the tensor that was given", function()
  local auc, scores = metrics.AUC(), torch.tensor {0.1, 0.9}
  auc:update(scores, torch.tensor {0, 1})
  scores:fill_(0.5)
  test.equal(auc:result(), 1.0)
end)

test.case("LogLoss and Brier: probabilities or logits, as they are told", function()
  test.near(of("LogLoss", nil, {0.25, 0.75}, {0, 1}), -math.log(0.75), 1e-12)
  test.near(of("LogLoss", {from_logits = true}, {-math.log(3), math.log(3)}, {0, 1}), -math.log(0.75), 1e-12)
  test.near(of("LogLoss", {from_logits = true}, {{0.0, math.log(2), 0.0}}, {1}), math.log(2), 1e-12)
  test.equal(of("Brier", nil, {0.25, 0.5}, {0, 1}, {1.0, 3.0}), (0.0625 + 3 * 0.25) / 4)
  test.near(of("Brier", nil, {{0.5, 0.25, 0.25}}, {0}), 0.375, 1e-12)
  test.near(of("Brier", {scale_by_half = true}, {{0.5, 0.25, 0.25}}, {0}), 0.1875, 1e-12)
  test.truthy(of("LogLoss", nil, {0.0}, {1}) < 40, "kept away from 0")
  for _, name in ipairs {"LogLoss", "Brier", "CalibrationError"} do
    local err = test.raises(name .. ": probabilities of 0 to 1 expected, got %-2", of, name, nil, {0.5, -2.0}, {0, 1})
    test.truthy(err.hint:find "from_logits")
    test.equal(metrics[name]().direction, "min")
  end
end)

test.case("CalibrationError: l1, l2 and the largest gap", function()
  local pred, target = {0.25, 0.25, 0.75, 1.0}, {0, 1, 1, 1}  -- gaps 0.25 and 0.125, half of the samples each
  test.equal(of("CalibrationError", {n_bins = 2}, pred, target), 0.1875)
  test.near(of("CalibrationError", {n_bins = 2, norm = "l2"}, pred, target), math.sqrt((0.0625 + 0.015625) / 2), 1e-12)
  test.equal(of("CalibrationError", {n_bins = 2, norm = "max"}, pred, target), 0.25)
  test.near(of("CalibrationError", nil, {{0.5, 0.3, 0.2}, {0.5, 0.3, 0.2}}, {0, 1}), 0.0, 1e-12)
end)

test.case("evaluate logs a number a class where num_classes is known, and none of matrices and curves", function()
  local pred = torch.tensor {{0.9, 0.1, 0.0}, {0.2, 0.8, 0.0}, {0.1, 0.2, 0.7}, {0.7, 0.2, 0.1}}
  local target = torch.tensor {0, 1, 2, 1}
  local all = {recall = metrics.Recall {average = "none", num_classes = 3}, matrix = metrics.ConfusionMatrix(),
    roc = metrics.ROCCurve(), f1 = metrics.F1(), precision = metrics.Precision {average = "none", labels = {2, 1}},
    unnamed = metrics.Recall {average = "none"}, auc = metrics.AUC {average = "none", num_classes = 3}}
  local scores = train.evaluate {data = {{pred[{torch.slice(0, 3)}], target[{torch.slice(0, 3)}]},
    {pred[{torch.slice(3, 4)}], target[{torch.slice(3, 4)}]}}, metrics = all,
    step = function(state, batch)
      state.output, state.target = batch[1], batch[2]
      return 0.0
    end}
  local names = {}
  for name in pairs(scores) do names[#names + 1] = name end
  table.sort(names)
  test.equal(table.concat(names, " "), "auc_0 auc_1 auc_2 f1 loss precision_1 precision_2 recall_0 recall_1 recall_2")
  test.equal({scores.recall_0, scores.recall_1, scores.recall_2, scores.precision_1, scores.precision_2},
    {1.0, 0.5, 1.0, 1.0, 1.0})
  test.equal(all.matrix:result():tolist(), {{1, 0, 0}, {1, 1, 0}, {0, 0, 1}})
end)
