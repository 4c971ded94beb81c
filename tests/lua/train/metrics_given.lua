-- What is given to metrics and is unusual: other types, nothing, what is no tensor, complex numbers, classes that are not.
local test = require "test"
local torch = require "torch"
local metrics = require("train").metrics

local function score(name, options, ...)
  local metric = metrics[name](options)
  metric:update(...)
  return metric:result()
end

-- Every metric of tensors: {name, options, predictions, targets}.
local SCORES <const>, YES <const> = {0.9, 0.2, 0.7, 0.1}, {1, 0, 1, 1}
local OF_TENSORS <const> = {"Accuracy", "BalancedAccuracy", "Precision", "Recall", "F1", "FBeta", "Specificity", "ConfusionMatrix",
  "MatthewsCorrCoef", "CohenKappa", "AUC", "AveragePrecision", "PrecisionRecallCurve", "ROCCurve", "LogLoss", "Brier",
  "CalibrationError", "MSE", "RMSE", "MAE", "MAPE", "R2", "Pearson", "Spearman", "CosineSimilarity", "Perplexity", "IoU", "Dice",
  "NDCG", "MRR", "PrecisionAtK", "RecallAtK", "HitRate"}

test.case("what is no Tensor and what is complex is an error that names the metric", function()
  local pred, target = torch.tensor(SCORES), torch.tensor(YES)
  for _, name in ipairs(OF_TENSORS) do
    local whole = metrics[name]().__name
    for _, wrong in ipairs {SCORES, 3, true, "text"} do
      local err = test.raises(whole .. ": predictions must be a Tensor", score, name, nil, wrong, target)
      test.equal(err.kind, "usage", name)
    end
    test.raises(whole .. ": weight must be a Tensor", score, name, nil, pred, target, 3)
    local complex = test.raises(whole .. ": predictions must not be complex", score, name, nil, torch.complex(pred, pred), target)
    test.equal(complex.kind, "dtype", name)
    test.raises(whole .. ": target must not be complex", score, name, nil, pred, torch.complex(pred, pred))
  end
  for _, name in ipairs {"Mean", "Sum"} do
    for _, wrong in ipairs {SCORES, true, "text"} do
      test.raises(name .. ": the value must be a number or a Tensor", score, name, nil, wrong)
      test.raises(name .. ": the weight must be a number or a Tensor", score, name, nil, 1, wrong)
    end
    local complex = torch.complex(pred, pred)
    test.raises(name .. ": the value must be", score, name, nil, complex)
    test.raises(name .. ": the value must be", score, name, nil, complex:sum())
    test.raises(name .. ": the weight must be", score, name, nil, pred, complex)
  end
end)

test.case("a weight of yes and no is one of 1 and 0", function()
  test.equal(score("Mean", nil, torch.tensor {1.0, 5.0, 9.0}, torch.tensor {true, false, true}), 5.0)
  test.equal(score("Mean", nil, 3.0, torch.tensor(true)), 3.0)
  test.equal(score("Sum", nil, 3.0, torch.tensor {true}), 3.0)
end)

test.case("probabilities that are yes and no, or whole numbers", function()
  local target = torch.tensor {1, 0, 1, 1}
  for _, dtype in ipairs {torch.bool, torch.int64, torch.uint8} do
    local pred = torch.tensor({1, 0, 0, 1}):to(dtype)
    test.equal(score("Brier", nil, pred, target), 0.25)
    test.equal(score("CalibrationError", {n_bins = 2}, pred, target), 0.25)
    test.near(score("LogLoss", nil, pred, target), -math.log(torch.finfo(torch.float64).eps) / 4, 1e-9)
  end
end)

test.case("probabilities of half precision lose nothing more", function()
  local pred = torch.tensor({0.1, 0.7}):to(torch.bfloat16)
  local p = pred:double():tolist()
  test.near(score("LogLoss", nil, pred, torch.tensor {0, 0}), -(math.log(1 - p[1]) + math.log(1 - p[2])) / 2, 1e-12)
end)

test.case("scores that are large whole numbers are told apart", function()
  local pred = torch.tensor {1 << 40, (1 << 40) + 1, (1 << 40) + 2, (1 << 40) + 3}
  test.equal(score("AUC", nil, pred, torch.tensor {0, 0, 1, 1}), 1.0)
  test.equal(score("AveragePrecision", nil, pred, torch.tensor {1, 0, 0, 1}), 0.75)
end)

test.case("yes and no as scores and as targets of several classes", function()
  local pred = torch.tensor {{false, true, false}, {true, false, false}, {false, false, true}}
  for _, name in ipairs {"Accuracy", "BalancedAccuracy", "IoU"} do test.equal(score(name, nil, pred, torch.tensor {1, 0, 2}), 1.0, name) end
  test.near(score("Accuracy", {one_hot = true, average = "macro"}, pred:double(), pred), 1.0, 0)
end)

test.case("shapes that hold nothing", function()
  for _, name in ipairs {"MSE", "R2", "Pearson", "Spearman"} do
    local options = name == "MSE" and {multioutput = "raw_values"} or nil
    test.raises("expected %[n%] or %[n, outputs%]", score, name, options, torch.rand(3, 0), torch.rand(3, 0))
  end
  for _, name in ipairs {"NDCG", "MRR", "PrecisionAtK", "RecallAtK", "HitRate"} do
    test.equal(score(name, nil, torch.rand(2, 0), torch.rand(2, 0)), 0.0, name)
    test.equal(score(name, {empty_target_action = "pos"}, torch.rand(0), torch.rand(0)), 1.0, name)
  end
  test.raises("scores of shape .* do not go with tokens", score, "Perplexity", nil, torch.rand(3, 0), torch.tensor {0, 0, 0})
  for _, name in ipairs {"IoU", "Dice"} do
    test.raises("do not go with a target", score, name, nil, torch.rand(3), torch.tensor(1))
  end
end)

test.case("what is not defined is NaN, with one warning a metric", function()
  local function warned(name, options, ...)
    local batch = table.pack(...)
    local list = test.warnings(function()
      local metric = metrics[name](options)
      if batch.n > 0 then metric:update(table.unpack(batch)) end
      for _ = 1, 2 do
        local value = metric:result()
        if type(value) == "table" then value = value[1] end
        test.truthy(value ~= value, name)
      end
    end)
    test.equal(#list, 1, name)
    test.truthy(list[1]:find(name, 1, true), list[1])
  end
  warned("Mean")
  warned("Mean", nil, 3.0, 0)
  warned("BLEU")
  warned("R2Score", {multioutput = "raw_values", force_finite = false}, torch.ones(3, 2), torch.ones(3, 2))
end)

test.case("a class that is there with a weight of 0 has its part in a mean; an ignored one has none", function()
  local pred, target, weight = torch.tensor {0, 1, 2}, torch.tensor {0, 1, 1}, torch.tensor {1.0, 1.0, 0.0}
  local function macro(options, given)
    options.num_classes, options.average = 4, "macro"
    local whole, first, second = metrics.F1(options), metrics.F1(options), metrics.F1(options)
    whole:update(pred, target, given)
    first:update(pred:narrow(0, 0, 2), target:narrow(0, 0, 2), given and given:narrow(0, 0, 2))
    second:update(pred:narrow(0, 2, 1), target:narrow(0, 2, 1), given and given:narrow(0, 2, 1))
    local loaded = metrics.F1(options)
    loaded:load_state_dict(second:state_dict())
    first:merge(loaded)
    test.equal(first:result(), whole:result())
    return whole:result()
  end
  test.near(macro({}, weight), 2 / 3, 1e-12)
  target = torch.tensor {0, 1, -1}
  test.equal(macro({ignore_index = -1}, nil), 1.0)
  test.equal(macro({ignore_index = -1}, torch.ones(3)), 1.0)
end)
