-- Metrics by name: every class in any spelling, the names of Keras and scikit-learn, objects in a list, weighted_metrics.
local names = require "train.metrics.names"
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn = torch.nn

local P, T = torch.tensor {0.1, 0.8, 0.6, 0.3}, torch.tensor {0.0, 1, 0, 1}

-- The scores of a model that gives P.
local function scores(metrics, more)
  local given = {model = nn.Identity(), data = {P, T}, loss = "mse", metrics = metrics}
  for key, value in pairs(more or {}) do given[key] = value end
  return train.evaluate(given)
end

test.case("every class is found by its name in its own spelling, in snake case and without", function()
  local count = 0
  for class, make in pairs(train.metrics) do
    local expected = getmetatable(make()).__name
    for _, name in ipairs {class, names.snake(class), class:lower(), class:upper()} do
      test.equal(getmetatable(names.make("t", name)).__name, expected)
    end
    count = count + 1
  end
  test.truthy(count > 40)
  test.equal(names.snake "ROCCurve", "roc_curve")
  test.equal(names.snake "R2Score", "r2_score")
  test.equal(names.snake "IoU", "iou")
  test.equal(names.snake "PrecisionAtK", "precision_at_k")
end)

test.case("the names of Keras and scikit-learn", function()
  local expected = {
    acc = "Accuracy", binary_accuracy = "Accuracy", accuracy_score = "Accuracy", MAPE = "MeanAbsolutePercentageError",
    mse = "MeanSquaredError", MSE = "MeanSquaredError", mean_squared_error = "MeanSquaredError", mae = "MeanAbsoluteError",
    RMSE = "RootMeanSquaredError", roc_auc = "AUC", roc_auc_score = "AUC", average_precision_score = "AveragePrecision",
    f1_score = "F1", F1Score = "F1", FBetaScore = "FBeta", r2_score = "R2Score", jaccard_score = "JaccardIndex",
    BinaryIoU = "JaccardIndex", matthews_corrcoef = "MatthewsCorrCoef", cohen_kappa_score = "CohenKappa",
    brier_score_loss = "Brier", log_loss = "LogLoss", BinaryCrossentropy = "LogLoss", ndcg_score = "NDCG",
    precision_score = "Precision", recall_score = "Recall", balanced_accuracy_score = "BalancedAccuracy",
  }
  for name, class in pairs(expected) do
    test.equal(getmetatable(names.make("t", name)).__name, getmetatable(train.metrics[class]()).__name)
  end
  test.equal(names.make("t", "sparse_top_k_categorical_accuracy").top_k, 5)
  test.equal(names.make("t", "categorical_accuracy").one_hot, true)
end)

test.case("the log is called as the name was written, or by the key", function()
  local found = scores {"MAPE", "acc", "R2Score", f = "f1_score"}
  test.near(found.R2Score, 1 - ((P - T) ^ 2):sum():item() / 1, 1e-6)
  test.equal(found.acc, 0.5)
  test.near(found.f, 0.5, 1e-9)
  test.truthy(found.MAPE)
end)

test.case("an object in a list has the name of its class", function()
  local found = scores {train.metrics.AUC(), train.metrics.AUC {bins = 200}, train.metrics.MeanSquaredError(), "acc"}
  test.equal(found.auc, 0.75)
  test.truthy(found.auc_1 and found.mean_squared_error and found.acc)
  test.raises("metrics must have names, got the key 1", scores, {function() return 1 end})
  test.raises("two metrics are called 'auc'", scores, {"auc", auc = train.metrics.AUC()})
end)

test.case("an unknown name is an error with the nearest and some of the good names", function()
  local ok, err = pcall(scores, {"acuracy"})
  test.falsy(ok)
  test.truthy(err.message:find("unknown metric 'acuracy'; did you mean 'accuracy'? valid: accuracy, auc, ", 1, true), err.message)
  test.truthy(err.message:find(", ... %(%d+ in all%)$"), err.message)
  test.truthy(#err.message < 200, err.message)
  test.raises("unknown metric 'zzzzzzzz'; valid: accuracy, auc, .-dice_score", scores, {"zzzzzzzz"})
  test.raises("did you mean 'roc_auc_score'", function() scores {"roc_auc_scor"} end)
  test.raises('metrics must be a table of metrics, got string "acc".-metrics = {"acc"}', scores, "acc")
  test.raises("metrics must be a table of metrics, got", scores, train.metrics.AUC())
end)

test.case("weighted_metrics get the weights of samples and classes, metrics do not", function()
  local weight = torch.tensor {1.0, 2, 3, 4}
  local error = (P - T) ^ 2
  local plain, weighted = error:mean():item(), ((error * weight):sum() / weight:sum()):item()
  local model = nn.Linear(1, 1, {bias = false})
  torch.nn.init.ones_(model.weight)
  local x, y = P:view(4, 1), T:view(4, 1)
  local history = train.fit {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.0}), loss = nn.MSELoss(),
    train = {x, y}, batch_size = 3, sample_weight = weight, epochs = 1, quiet = true,
    metrics = {"mse", own = function(pred, target) return (pred - target) ^ 2 end},
    weighted_metrics = {"mse", mae = "mae", mine = function(pred, target) return (pred - target) ^ 2 end},
    valid = {x, y, weight}}
  for _, at in ipairs {"", "val_"} do
    test.near(history[at .. "mse"][1], plain, 1e-6)
    test.near(history[at .. "own"][1], plain, 1e-6)
    test.near(history[at .. "weighted_mse"][1], weighted, 1e-6)
    test.near(history[at .. "mine"][1], weighted, 1e-6)
    test.truthy(history[at .. "mae"])
  end
  local found = scores({"mse"}, {data = {P, T, weight}, weighted_metrics = {"mse"}})
  test.near(found.mse, plain, 1e-6)
  test.near(found.weighted_mse, weighted, 1e-6)
  test.raises("weighted_metrics: 'one' must return a value for each sample, got one number", scores, {}, {data = {P, T, weight},
    weighted_metrics = {one = function(pred) return pred:mean() end}})
  test.raises("weighted_metrics must be a table of metrics, got number 3", scores, {}, {weighted_metrics = 3})
end)

-- Scores and classes of 3, and the targets one-hot.
local LOGITS = torch.tensor {{2.0, 1, -1}, {-3, -1, -2}, {0.2, 0.1, 0.9}, {0.3, 4, 5}}
local CLASSES = torch.tensor {0, 1, 0, 2}
local ONE_HOT = nn.functional.one_hot(CLASSES, 3):to(torch.float32)

local function of(loss, target, metrics, pred)
  return train.evaluate {model = nn.Identity(), data = {pred or LOGITS, target}, loss = loss, metrics = metrics}
end

test.case("metrics by name take one-hot targets of a loss of classes for classes, however the loss is given", function()
  local metrics = {"accuracy", "acc", "f1", "precision", "recall", "auc", "log_loss", "balanced_accuracy", "cohen_kappa"}
  for _, loss in ipairs {"cross_entropy", "CrossEntropyLoss", nn.functional.cross_entropy, nn.CrossEntropyLoss()} do
    local one_hot, plain = of(loss, ONE_HOT, metrics), of(loss, CLASSES, metrics)
    test.near(one_hot, plain, 1e-6)
    test.equal(one_hot.accuracy, 0.75)
  end
  local soft = of("cross_entropy", ONE_HOT * 0.9 + 0.1 / 3, {"accuracy"})  -- smoothed
  test.equal(soft.accuracy, 0.75)
  test.equal(of("cross_entropy", ONE_HOT, {"binary_accuracy"}).binary_accuracy, 0.5, "which says what it is")
  local shares = LOGITS:softmax(1)
  for name, value in pairs(of("categorical_crossentropy", ONE_HOT, {"accuracy", "f1", "auc"}, shares)) do
    if name ~= "loss" then test.near(value, of("cross_entropy", CLASSES, {"accuracy", "f1", "auc"})[name], 1e-6) end
  end
end)

test.case("metrics by name take the scores for logits where the loss does", function()
  local pred, target = torch.tensor {{0.2, -0.4}, {-2, 0.3}, {3, 0.1}}, torch.tensor {{1.0, 0}, {0, 1}, {1, 1}}
  local metrics = {"accuracy", "f1", "precision", "log_loss", "brier", "binary_accuracy"}
  for _, loss in ipairs {"binary_cross_entropy_with_logits", nn.BCEWithLogitsLoss(), "MultiLabelSoftMarginLoss"} do
    local found = of(loss, target, metrics, pred)
    test.equal({found.accuracy, found.f1, found.precision, found.binary_accuracy}, {1.0, 1.0, 1.0, 1.0})
  end
  local logits, shares = of("binary_cross_entropy_with_logits", target, metrics, pred),
    of("binary_crossentropy", target, metrics, pred:sigmoid())
  test.near(logits, shares, 1e-6)
  local two = of("cross_entropy", torch.tensor {0, 1}, {"auc"}, torch.tensor {{3.0, 1}, {-2, 0}})
  test.equal(two.auc, 1.0, "of two columns the difference counts")
end)

test.case("a loss that says nothing of its targets: the accuracy of one-hot, other metrics of labels, and a warning each", function()
  local found
  local said = test.warnings(function() found = of("mse", ONE_HOT, {"accuracy", "f1"}, LOGITS:softmax(1)) end)
  test.equal(found.accuracy, 0.75)
  table.sort(said)
  local shape = tostring(ONE_HOT.shape)
  test.equal(said, {
    ("Accuracy: targets of the scores' shape %s are taken for one-hot classes; for labels give train.metrics.Accuracy()"):format(shape),
    ("F1: targets of the scores' shape %s are taken for yes and no of labels; for one-hot classes give train.metrics.F1 "
      .. "{one_hot = true}"):format(shape)})
  local function warnings(loss, metrics)
    return test.warnings(function() of(loss, ONE_HOT, metrics, LOGITS:sigmoid()) end)
  end
  test.equal(warnings("binary_crossentropy", {"accuracy", "f1"}), {})
  test.equal(warnings("mse", {"categorical_accuracy", "binary_accuracy"}), {})
  test.equal(test.warnings(function() scores {"accuracy", "f1"} end), {}, "yes and no of one each")
end)
