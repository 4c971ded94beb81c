-- Metrics that count decisions: what is yes, which classes count, what is not defined, weights, states, the device.
local test = require "test"
local torch = require "torch"
local metrics = require("train").metrics

local NAN <const> = 0 / 0

local function is_nan(value) return value ~= value end

local function of(name, options, pred, target, weight)
  local metric = metrics[name](options)
  metric:update(torch.tensor(pred), torch.tensor(target), weight and torch.tensor(weight))
  return metric:result()
end

test.case("a score exactly at the threshold is no", function()
  local pred, target = {0.5, 0.51, 0.5, 0.2}, {1, 1, 0, 0}
  test.equal(of("Recall", nil, pred, target), 0.5)
  test.equal(of("Precision", nil, pred, target), 1.0)
  test.equal(of("Specificity", nil, pred, target), 1.0)
  test.equal(of("Accuracy", nil, pred, target), 0.75)
  test.equal(of("Recall", {threshold = 0.25}, {0.25, 0.3}, {1, 1}), 0.5)
  test.equal(of("Recall", {from_logits = true}, {0.0, 0.1}, {1, 1}), 0.5)
end)

test.case("F1 with no positives anywhere is 0; zero_division changes it", function()
  local pred, target = {0.1, 0.2}, {0, 0}
  test.equal(#test.warnings(function() test.equal(of("F1", nil, pred, target), 0) end), 0)
  test.equal(of("F1", {zero_division = 1}, pred, target), 1)
  local metric = metrics.F1 {zero_division = NAN}
  local said = test.warnings(function()
    metric:update(torch.tensor(pred), torch.tensor(target))
    test.truthy(is_nan(metric:result()))
    metric:reset()
    metric:update(torch.tensor(pred), torch.tensor(target))
    test.truthy(is_nan(metric:result()))
  end)
  test.equal(#said, 1)
  test.truthy(said[1]:find "F1: it is not defined without a yes: the result is NaN")
  for _, name in ipairs {"Precision", "Recall", "FBeta"} do
    test.equal(of(name, nil, pred, target), 0)
    test.equal(of(name, {zero_division = 1}, pred, target), 1)
  end
end)

test.case("macro F1 leaves out a class that is absent from both; labels counts it", function()
  local pred, target = {{0.9, 0.1, 0.0}, {0.2, 0.8, 0.0}, {0.7, 0.3, 0.0}}, {0, 1, 1}
  test.near(of("F1", nil, pred, target), 2 / 3, 1e-12)
  test.near(of("F1", {labels = {0, 1, 2}}, pred, target), 4 / 9, 1e-12)
  test.near(of("F1", {labels = {2, 0}}, pred, target), 1 / 3, 1e-12)
  test.near(of("F1", {labels = {0, 1, 2}, zero_division = 1}, pred, target), 7 / 9, 1e-12)
  test.near(of("F1", {labels = {0, 1, 2}, zero_division = NAN}, pred, target), 2 / 3, 1e-12)
  test.near(of("F1", {average = "none"}, pred, target):tolist(), {2 / 3, 2 / 3, 0}, 1e-12)
  test.raises("F1: labels has class 3, there are 3", of, "F1", {labels = {3}}, pred, target)
end)

test.case("a label that is absent counts in the macro mean, as in scikit-learn", function()
  test.equal(of("F1", nil, {{0.9, 0.1}, {0.8, 0.2}}, {{1, 0}, {1, 0}}), 0.5)
end)

test.case("logits are never guessed from the values", function()
  local pred, target = {0.3, -2.0, 4.0}, {1, 0, 1}
  test.equal(of("Recall", nil, pred, target), 0.5)
  test.equal(of("Recall", {from_logits = true}, pred, target), 1.0)
end)

test.case("[n, 1] and [n] are the same, in scores, targets and weights", function()
  local flat, column = {0.9, 0.2, 0.7}, {{0.9}, {0.2}, {0.7}}
  for _, name in ipairs {"Accuracy", "F1", "Specificity", "AUC", "AveragePrecision", "Brier", "LogLoss", "MatthewsCorrCoef",
    "BalancedAccuracy", "CohenKappa", "CalibrationError"} do
    local want = of(name, nil, flat, {1, 0, 0}, {1.0, 2.0, 3.0})
    test.equal(of(name, nil, column, {1, 0, 0}, {1.0, 2.0, 3.0}), want)
    test.equal(of(name, nil, flat, {{1}, {0}, {0}}, {{1.0}, {2.0}, {3.0}}), want)
    test.equal(of(name, nil, column, {{1}, {0}, {0}}, {1.0, 2.0, 3.0}), want)
    test.equal(of(name, nil, column, {{1.0}, {0.0}, {0.0}}, {1.0, 2.0, 3.0}), want)
  end
  test.near(of("Accuracy", nil, column, {1, 0, 0}), 2 / 3, 1e-12)
end)

test.case("what has two classes is yes and no: the second class is yes", function()
  local two, yes, target = {{0.8, 0.2}, {0.4, 0.6}, {0.1, 0.9}}, {0.2, 0.6, 0.9}, {1, 0, 1}
  for _, name in ipairs {"F1", "Precision", "Recall", "AUC", "AveragePrecision", "Brier", "LogLoss", "CohenKappa"} do
    test.near(of(name, nil, two, target), of(name, nil, yes, target), 1e-6)
  end
  test.near(of("F1", {average = "macro"}, yes, target), of("F1", {average = "macro"}, two, target), 1e-12)
end)

test.case("whole numbers are classes with num_classes, else yes and no", function()
  test.equal(of("Recall", {num_classes = 3, average = "none"}, {0, 1, 1, 2}, {0, 1, 2, 2}):tolist(), {1.0, 1.0, 0.5})
  test.equal(of("Recall", nil, {1, 0, 1}, {1, 1, 0}), 0.5)
  test.equal(of("Recall", nil, {true, false, true}, {1, 1, 0}), 0.5)
  test.equal(of("Accuracy", nil, {0, 1, 2, 2}, {0, 2, 2, 2}), 0.75)
  test.raises("F1: the target holds class 2, expected classes 0 to 1", of, "F1", nil, {1, 0}, {1, 2})
  test.raises("the predictions hold class 3, expected classes 0 to 2", of, "F1", {num_classes = 3}, {1, 3}, {1, 2})
end)

test.case("one-hot targets are told from labels by one_hot alone", function()
  local pred, target = {{0.9, 0.6, 0.1}, {0.3, 0.4, 0.3}}, {{1.0, 0.0, 0.0}, {0.0, 0.0, 1.0}}
  test.equal(of("Accuracy", {one_hot = true}, pred, target), 0.5)
  test.near(of("Accuracy", nil, pred, target), 4 / 6, 1e-12)
  for _, name in ipairs {"F1", "BalancedAccuracy", "ConfusionMatrix", "CohenKappa", "MatthewsCorrCoef", "LogLoss", "Brier",
    "CalibrationError", "AUC", "AveragePrecision"} do
    local left, right = of(name, {one_hot = true}, pred, target, {1.0, 3.0}), of(name, nil, pred, {0, 2}, {1.0, 3.0})
    test.equal(tostring(left), tostring(right))
  end
end)

test.case("averages of accuracy: micro, macro of the classes, one for each", function()
  local pred, target = {{1.0, 0.0, 0.0}, {1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {1.0, 0.0, 0.0}}, {0, 0, 0, 1}
  test.equal(of("Accuracy", nil, pred, target), 0.5)
  test.near(of("Accuracy", {average = "macro"}, pred, target), 1 / 3, 1e-12)
  test.near(of("Accuracy", {average = "none"}, pred, target):tolist(), {2 / 3, 0, 0}, 1e-12)
  test.equal(of("Accuracy", {average = "weighted"}, pred, target), 0.5)
  test.equal(of("Accuracy", {subset = true}, {{0.9, 0.1}, {0.9, 0.9}}, {{1, 0}, {1, 0}}), 0.5)
  test.equal(of("Accuracy", nil, {{0.9, 0.1}, {0.9, 0.9}}, {{1, 0}, {1, 0}}), 0.75)
end)

test.case("labels: each has its own counts, average = binary pools them", function()
  local pred, target = {{0.9, 0.1}, {0.9, 0.9}, {0.2, 0.3}}, {{1, 0}, {0, 1}, {1, 1}}
  test.equal(of("Precision", {average = "none"}, pred, target):tolist(), {0.5, 1.0})
  test.near(of("Precision", {average = "micro"}, pred, target), 2 / 3, 1e-12)
  test.near(of("Precision", {average = "binary"}, pred, target), 2 / 3, 1e-12)
  test.equal(of("ConfusionMatrix", nil, pred, target):tolist(), {{{0, 1}, {1, 1}}, {{1, 0}, {1, 1}}})
  test.equal(of("Recall", {top_k = 1, average = "micro"}, pred, target), 0.5)
  test.equal(of("Recall", {top_k = 2, average = "micro"}, pred, target), 1.0)
end)

test.case("top_k: a target among the k best was found", function()
  local pred = {{5.0, 4.0, 1.0}, {5.0, 4.0, 1.0}, {1.0, 2.0, 3.0}}
  test.equal(of("Recall", {top_k = 2, average = "none"}, pred, {1, 2, 2}):tolist(), {0.0, 1.0, 0.5})
  test.near(of("F1", {top_k = 2, average = "micro"}, pred, {1, 2, 2}), 2 / 3, 1e-12)
end)

test.case("ignore_index leaves samples out, in classes, labels and pixels", function()
  test.equal(of("Accuracy", {ignore_index = -1}, {{0.9, 0.1}, {0.9, 0.1}, {0.2, 0.8}}, {0, -1, 0}), 0.5)
  test.near(of("F1", {ignore_index = 255, average = "micro"}, {{{1.0, 1.0, 0.0}, {0.0, 0.0, 1.0}}}, {{0, 255, 1}}), 1.0, 1e-12)
  test.equal(of("Recall", {ignore_index = -1, average = "none"}, {{0.9, 0.1}, {0.2, 0.9}}, {{1, -1}, {1, 1}}):tolist(), {0.5, 1.0})
  test.equal(of("ConfusionMatrix", {ignore_index = 2}, {{0.9, 0.0, 0.1}, {0.9, 0.1, 0.0}}, {0, 2}):tolist(),
    {{1, 0, 0}, {0, 0, 0}, {0, 0, 0}})
  local counted = of("AUC", {ignore_index = 9}, {0.1, 0.5, 0.9, 0.3}, {0, 1, 9, 9})
  test.equal(counted, 1.0)
  test.equal(of("Brier", {ignore_index = -1}, {0.5, 0.9}, {1, -1}), 0.25)
  test.near(of("LogLoss", {ignore_index = -1}, {0.5, 0.9}, {1, -1}), math.log(2), 1e-7)
end)

test.case("weights: of each sample, of each pixel, or one for all pixels of a sample", function()
  test.near(of("Recall", nil, {0.9, 0.1}, {1, 1}, {3.0, 1.0}), 0.75, 1e-12)
  local pred, target = {{{1.0, 0.0}, {0.0, 1.0}}, {{1.0, 1.0}, {0.0, 0.0}}}, {{0, 0}, {0, 1}}  -- [2, 2 classes, 2 pixels]
  test.equal(of("Accuracy", nil, pred, target, {3.0, 1.0}), 0.5)
  test.equal(of("Accuracy", nil, pred, target, {{3.0, 1.0}, {0.0, 0.0}}), 0.75)
  test.equal(of("Accuracy", {average = "weighted"}, pred, target, {{3.0, 1.0}, {0.0, 0.0}}), 0.75)
  local err = test.raises("F1: the weight must have the target's shape .*2.*, got .*3", of, "F1", nil, {0.9, 0.1}, {1, 1},
    {1.0, 2.0, 3.0})
  test.equal(err.kind, "shape")
end)

test.case("ConfusionMatrix: whole numbers, labels in their order, fractions of rows", function()
  local pred, target = {0, 1, 1, 2}, {0, 1, 2, 2}
  local matrix = of("ConfusionMatrix", {num_classes = 3}, pred, target)
  test.equal(matrix.dtype, torch.int64)
  test.equal(matrix:tolist(), {{1, 0, 0}, {0, 1, 0}, {0, 1, 1}})
  test.equal(of("ConfusionMatrix", {num_classes = 3, labels = {2, 1}}, pred, target):tolist(), {{1, 1}, {0, 1}})
  test.equal(of("ConfusionMatrix", {num_classes = 3, normalize = "true"}, pred, target):tolist(),
    {{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.5, 0.5}})
  test.equal(of("ConfusionMatrix", {num_classes = 3}, pred, target, {0.5, 1.0, 1.0, 1.0}).dtype, torch.float64)
  test.equal(of("ConfusionMatrix", nil, {0.9, 0.4, 0.2}, {1, 1, 0}):tolist(), {{1, 0}, {1, 1}})
end)

test.case("correlation and agreement of one class only: 0, and NaN with a warning", function()
  local pred, target = {0.9, 0.8}, {1, 1}
  test.equal(#test.warnings(function() test.equal(of("MatthewsCorrCoef", nil, pred, target), 0) end), 0)
  local said = test.warnings(function()
    test.truthy(is_nan(of("CohenKappa", nil, pred, target)))
    test.truthy(is_nan(of("MatthewsCorrCoef", {zero_division = NAN}, pred, target)))
  end)
  test.equal(#said, 2)
  test.truthy(said[1]:find("CohenKappa: only one class: the result is NaN", 1, true), said[1])
  test.equal(of("CohenKappa", {zero_division = 1}, pred, target), 1)
end)

test.case("without samples the result is NaN, with one warning", function()
  for _, name in ipairs {"Accuracy", "F1", "Precision", "BalancedAccuracy", "MatthewsCorrCoef", "CohenKappa", "AUC",
    "AveragePrecision", "LogLoss", "Brier", "CalibrationError"} do
    local metric = metrics[name]()
    local said = test.warnings(function()
      test.truthy(is_nan(metric:result()), name)
      metric:update(torch.zeros(0, 3), torch.zeros(0, {dtype = torch.int64}))
      metric:update(torch.zeros(0, 3), torch.zeros(0, {dtype = torch.int64}), torch.zeros(0))
      metric:update(torch.zeros(1, 3), torch.zeros(1, {dtype = torch.int64}), torch.zeros(1))
      test.truthy(is_nan(metric:result()), name)
      metric:merge(metrics[name]())
      test.truthy(is_nan(metric:result()), name)
    end)
    test.equal(#said, 1)
    test.truthy(said[1]:find(name, 1, true), said[1])
  end
end)

test.case("wrong shapes, classes and other data in between are errors that name the metric", function()
  local f1 = metrics.F1()
  local function update(...) f1:update(...) end
  test.equal(test.raises("F1: scores of shape .*4, 3.* do not go with a target of shape .*1", update, torch.rand(4, 3),
    torch.tensor {0}).kind, "shape")
  test.raises("F1: the target holds class 3, expected classes 0 to 2", update, torch.rand(2, 3), torch.tensor {0, 3})
  test.raises("F1: the target holds class %-1", update, torch.rand(2, 3), torch.tensor {0, -1})
  test.raises("F1: the target holds fractions", update, torch.rand(2), torch.tensor {0.5, 1.0})
  f1:update(torch.rand(2, 3), torch.tensor {0, 1})
  test.raises("this batch is multiclass of 4, those before were multiclass of 3", update, torch.rand(2, 4), torch.tensor {0, 1})
  test.raises("num_classes is 4, the scores of shape .* are of 3", of, "F1", {num_classes = 4}, {{0.1, 0.2, 0.7}}, {1})
  test.raises('average = "binary" is about yes and no, the scores are of 3 classes', of, "F1", {average = "binary"},
    {{0.1, 0.2, 0.7}}, {1})
  f1:reset()
  f1:update(torch.rand(2, 4), torch.tensor {0, 1})
  test.raises("cannot merge: threshold is 0.5 here, 0.25 there", f1.merge, f1, metrics.F1 {threshold = 0.25})
end)

test.case("wrong options are refused by the metric's and the option's name", function()
  for _, case in ipairs {
    {"F1", {average = "samples"}, 'train.metrics.F1: average must be "micro", "macro", "weighted", "none" or "binary"'},
    {"F1", {zero_division = 2}, "train.metrics.F1: zero_division must be 0, 1 or nan %(0/0%), got number 2"},
    {"F1", {labels = {0, 0}}, "labels must be a list of different classes, whole numbers from 0"},
    {"F1", {labels = {0, 5}, num_classes = 3}, "labels has class 5, num_classes is 3"},
    {"F1", {threshold = 0, from_logits = true}, "threshold is a probability between 0 and 1 with from_logits"},
    {"F1", {from_logits = 1}, "from_logits must be true or false"}, {"F1", {top_k = 0}, "top_k must be a whole number of 1 or more"},
    {"F1", {ignore_index = "x"}, "ignore_index must be a whole number"}, {"F1", {threshhold = 1}, "unknown keyword"},
    {"FBeta", {beta = -1}, "beta must be a number of 0 or more"}, {"Accuracy", {average = "binary"}, "average must be"},
    {"Accuracy", {subset = true, average = "macro"}, "subset goes with"}, {"CohenKappa", {weights = "x"}, "weights must be"},
    {"ConfusionMatrix", {normalize = true}, "normalize must be"}, {"AUC", {multi_class = "x"}, 'multi_class must be "ovr" or "ovo"'},
    {"AUC", {multi_class = "ovo", bins = 10}, "goes with average"}, {"AUC", {bins = 1}, "bins must be 2 or more"},
    {"CalibrationError", {norm = "l3"}, "norm must be"}, {"BalancedAccuracy", {average = "micro"}, 'average must be "binary"'},
  } do
    test.equal(test.raises(case[3], metrics[case[1]], case[2]).kind, "usage")
  end
end)

test.case("merging other metrics does not change them, and states are copies", function()
  local a, b = metrics.F1(), metrics.F1()
  a:update(torch.tensor {0.9, 0.1}, torch.tensor {1, 1})
  local state = a:state_dict()
  b:merge(a)
  b:update(torch.tensor {0.9}, torch.tensor {1})
  a:update(torch.tensor {0.1}, torch.tensor {0})
  b:load_state_dict(state)
  b:update(torch.tensor {0.9, 0.9}, torch.tensor {1, 1})
  test.near(a:result(), 2 / 3, 1e-12)
  test.near(b:result(), 6 / 7, 1e-12)
  local c = metrics.F1()
  c:load_state_dict(state)
  test.near(c:result(), 2 / 3, 1e-12)
end)

test.case("states of Mean, Sum and Accuracy; Keras's names; weights by element", function()
  local mean = metrics.Mean()
  mean:update_state(2, 3)
  mean:update_state(torch.tensor {1.0, 4.0}, torch.tensor {2.0, 0.0})
  local other = metrics.Mean()
  other:load_state_dict(mean:state_dict())
  test.near(other:result(), 8 / 5, 1e-12)
  mean:reset_state()
  test.truthy(is_nan(mean:result()))
  mean:update(torch.tensor {{1.0, 2.0}, {3.0, 4.0}}, torch.tensor {1.0, 0.0})
  test.equal(mean:result(), 1.5)
  local sum = metrics.Sum()
  sum:update_state(torch.tensor {1.0, 2.0}, torch.tensor {2.0, 3.0})
  local again = metrics.Sum()
  again:load_state_dict(sum:state_dict())
  again:update(1)
  test.equal({sum:result(), again:result()}, {8.0, 9.0})
  local accuracy, resumed = metrics.Accuracy(), metrics.Accuracy()
  accuracy:update(torch.tensor {0.9, 0.1}, torch.tensor {1, 1})
  resumed:load_state_dict(accuracy:state_dict())
  resumed:update(torch.tensor {0.9, 0.9}, torch.tensor {1, 1})
  test.equal({accuracy:result(), resumed:result()}, {0.5, 0.75})
end)

test.case("off the CPU nothing is fetched by an update, and wrong targets are counted there", function()
  local function meta(...) return torch.empty(..., {device = "meta"}) end
  local whole = torch.zeros(4, {device = "meta", dtype = torch.int64})
  local yes = torch.zeros(4, 3, {device = "meta", dtype = torch.int64})
  for _, name in ipairs {"Accuracy", "F1", "Specificity", "BalancedAccuracy", "ConfusionMatrix", "MatthewsCorrCoef", "CohenKappa",
    "AUC", "AveragePrecision", "ROCCurve", "PrecisionRecallCurve", "LogLoss", "Brier", "CalibrationError"} do
    local metric, weighted = metrics[name] {ignore_index = -1}, metrics[name]()
    for _ = 1, 2 do
      metric:update(meta {4, 3}, whole)
      weighted:update(meta {4, 3}, whole, meta {4})
    end
    local labels = metrics[name]()
    labels:update(meta {4, 3}, yes, meta {4})
    local binary = metrics[name]()
    binary:update(meta {4, 1}, whole)
  end
  for _, options in ipairs {{average = "macro"}, {top_k = 2}, {top_k = 2, average = "none"}} do
    metrics.Accuracy(options):update(meta {4, 3}, whole, meta {4})
  end
  metrics.AUC({bins = 10}):update(meta {4, 3}, whole)
  local f1 = metrics.F1()
  f1:update(torch.tensor {0.9}, torch.tensor {1})
  f1.wrong = torch.tensor(2)  -- as a device counts them
  test.raises("F1: 2 targets or scores were not what they must be", f1.result, f1)
  f1:reset()
  f1:update(torch.tensor {0.9}, torch.tensor {1})
  test.equal(f1:result(), 1.0)
end)

test.case("what a metric holds outlives a scope, and needs no graph", function()
  local list = {metrics.F1(), metrics.AUC(), metrics.ConfusionMatrix(), metrics.CalibrationError(), metrics.LogLoss()}
  for _ = 1, 3 do
    torch.scope(function()
      local pred = torch.tensor({0.9, 0.2, 0.7}, {requires_grad = true}) * 1
      for _, metric in ipairs(list) do metric:update(pred, torch.tensor {1, 0, 0}, torch.tensor {1.0, 2.0, 1.0}) end
    end)
  end
  test.near(list[1]:result(), 2 / 3, 1e-12)
  test.equal(list[2]:result(), 1.0)
  test.equal(list[3]:result():tolist(), {{6.0, 3.0}, {0.0, 3.0}})
  test.truthy(list[4]:result() > 0 and list[5]:result() > 0)
end)
