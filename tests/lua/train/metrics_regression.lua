-- train.metrics of numbers: errors, R2, correlations, cosines, perplexity.
local test = require "test"
local torch = require "torch"
local train = require "train"
local metrics = train.metrics

local function score(name, options, ...)
  local metric = metrics[name](options)
  metric:update(...)
  return metric:result()
end

test.case("the examples of scikit-learn's documentation", function()
  local pred, target = torch.tensor {2.5, 0.0, 2.0, 8.0}, torch.tensor {3.0, -0.5, 2.0, 7.0}
  test.equal(score("MSE", nil, pred, target), 0.375)
  test.near(score("RMSE", nil, pred, target), 0.6123724356957945, 1e-15)
  test.equal(score("MAE", nil, pred, target), 0.5)
  test.near(score("MAPE", nil, pred, target), 0.3273809523809524, 1e-15)
  test.near(score("R2", nil, pred, target), 0.9486081370449679, 1e-15)
end)

test.case("a ragged last batch counts by its values", function()
  local mse = metrics.MSE()
  mse:update(torch.zeros(4), torch.ones(4))
  mse:update(torch.zeros(1), torch.full({1}, 2.0))
  test.equal(mse:result(), 8 / 5)
end)

test.case("[n, 1] beside [n] is one number a sample, other sizes are an error", function()
  local column, row = torch.tensor {{1.0}, {2.0}, {3.0}}, torch.tensor {1.0, 2.0, 5.0}
  for _, name in ipairs {"MSE", "MAE", "R2", "Pearson"} do
    test.equal(score(name, nil, column, row), score(name, nil, row, row * 0 + torch.tensor {1.0, 2.0, 5.0}) ~= nil
      and score(name, nil, torch.tensor {1.0, 2.0, 3.0}, row), name)
    test.equal(score(name, nil, row, column), score(name, nil, row, torch.tensor {1.0, 2.0, 3.0}), name)
  end
  for _, name in ipairs {"MSE", "MAPE", "R2", "Spearman", "CosineSimilarity"} do
    local err = test.raises("target of shape .*, expected the predictions'", metrics[name]().update, metrics[name](),
      torch.rand(4, 3), torch.rand(4, 2))
    test.equal(err.kind, "shape")
  end
  test.raises("weight of shape .*2.*, expected the values' .*, or one weight for each row", score, "MSE", nil, row, row, torch.ones(2))
  test.raises("weight of shape .*, expected .*3.*, one for each row", score, "R2", nil, row, row, torch.ones(2))
  test.raises("predictions must be a Tensor, got number 1", score, "MSE", nil, 1, 2)
end)

test.case("outputs: their mean, a list, weights; raw values have a log each where their number is known", function()
  local pred, target = torch.tensor {{0.0, 2.0}, {-1.0, 2.0}, {8.0, -5.0}}, torch.tensor {{0.5, 1.0}, {-1.0, 1.0}, {7.0, -6.0}}
  test.equal(score("MAE", nil, pred, target), 0.75)
  test.equal(score("MAE", {multioutput = "raw_values"}, pred, target), {0.5, 1.0})
  test.near(score("MAE", {multioutput = {0.3, 0.7}}, pred, target), 0.85, 1e-15)
  test.near(score("R2", {multioutput = "variance_weighted"}, pred, target), 0.9382566585956417, 1e-15)
  -- RMSE: the root of one mean, or the mean of the outputs' roots
  test.near(score("RMSE", nil, pred, target), math.sqrt((0.25 + 0 + 1 + 3) / 6), 1e-15)
  test.near(score("RMSE", {multioutput = "uniform_average"}, pred, target), (math.sqrt(1.25 / 3) + 1) / 2, 1e-15)
  test.raises("multioutput has 3 weights, there are 2 outputs", score, "MAE", {multioutput = {1, 2, 3}}, pred, target)
  test.raises("expected %[n, 3%]: num_outputs", score, "MAE", {multioutput = "raw_values", num_outputs = 3}, pred, target)
  local metric = metrics.MAE {multioutput = "raw_values", num_outputs = 2}
  test.equal(metric.parts, {{"_0", 1}, {"_1", 2}})
  test.equal(metrics.MAE {multioutput = "raw_values"}.parts, nil)
end)

test.case("float32 values are subtracted and summed in float64; integers and booleans are taken", function()
  local mse = metrics.MSE()
  for _ = 1, 1000 do mse:update(torch.full({100}, 0.1), torch.zeros(100)) end
  local float32 = torch.tensor(0.1):item()
  test.near(mse:result(), float32 * float32, 1e-16)
  test.equal(score("MAE", nil, torch.tensor {1, 2}, torch.tensor {true, false}), 1.0)
  test.equal(score("MAE", nil, torch.tensor({1.0, 2.0}, {dtype = torch.float16}), torch.tensor {0, 0}), 1.5)
end)

test.case("R2: one row is NaN, a target that never changes has 1 or 0, adjusted", function()
  local r2 = metrics.R2()
  r2:update(torch.tensor {1.0}, torch.tensor {1.0})
  test.truthy(r2:result() ~= r2:result())
  r2:update(torch.tensor {1.0}, torch.tensor {1.0})
  test.equal(r2:result(), 1.0)
  r2:update(torch.tensor {2.0}, torch.tensor {1.0})
  test.equal(r2:result(), 0.0)
  local constant = torch.full({3}, 0.1)
  for _, force in ipairs {true, false} do
    local exact = score("R2", {force_finite = force}, constant, constant)
    local off = score("R2", {force_finite = force}, constant + 1, constant)
    test.equal({exact, off}, force and {1.0, 0.0} or {exact, -math.huge})
    test.equal(exact == exact, force)
  end
  local pred, target = torch.tensor {2.5, 0.0, 2.0, 8.0}, torch.tensor {3.0, -0.5, 2.0, 7.0}
  test.near(score("R2", {adjusted = 1}, pred, target), 1 - (1 - 0.9486081370449679) * 3 / 2, 1e-15)
  local none = score("R2", {adjusted = 3}, pred, target)
  test.truthy(none ~= none)
end)

test.case("correlations: 1 and -1 are exact, a constant is NaN, also in batches", function()
  for _, name in ipairs {"Pearson", "Spearman"} do
    local metric = metrics[name]()
    for i = 1, 5 do metric:update(torch.tensor {i * 1.0, i + 0.5}, torch.tensor {2.0 * i, 2.0 * i + 1}) end
    test.near(metric:result(), 1, 1e-14, name)
    test.truthy(metric:result() <= 1, name)
    test.near(score(name, nil, torch.tensor {1.0, 2.0, 3.0}, torch.tensor {3.0, 2.0, 1.0}), -1, 1e-15)
    metric:reset()
    for i = 1, 5 do metric:update(torch.full({2}, 0.1), torch.tensor {2.0 * i, 1.0}) end
    test.truthy(metric:result() ~= metric:result(), name)
  end
  test.near(score("Spearman", nil, torch.tensor {1.0, 2.0, 2.0, 4.0}, torch.tensor {1.0, 3.0, 2.0, 4.0}), 0.9486832980505138, 1e-15)
  local weighted = score("Spearman", nil, torch.tensor {1.0, 2.0, 3.0}, torch.tensor {1.0, 3.0, 2.0}, torch.tensor {2.0, 1.0, 1.0})
  test.near(weighted, score("Spearman", nil, torch.tensor {1.0, 1.0, 2.0, 3.0}, torch.tensor {1.0, 1.0, 3.0, 2.0}), 1e-15)
end)

test.case("Spearman: rows with and without weights mix, rows without count once", function()
  local mixed, all = metrics.Spearman(), metrics.Spearman()
  local a, b = torch.tensor {1.0, 4.0, 2.0, 8.0, 5.0}, torch.tensor {3.0, 1.0, 4.0, 9.0, 5.0}
  mixed:update(a:narrow(0, 0, 2), b:narrow(0, 0, 2))
  mixed:update(a:narrow(0, 2, 1), b:narrow(0, 2, 1), torch.tensor {2.0})
  mixed:update(a:narrow(0, 3, 2), b:narrow(0, 3, 2))
  all:update(a, b, torch.tensor {1.0, 1.0, 2.0, 1.0, 1.0})
  test.near(mixed:result(), all:result(), 1e-15)
end)

test.case("cosines: along a dimension, vectors of zeros have 0, the sum", function()
  local a, b = torch.tensor {{3.0, 4.0}, {0.0, 0.0}}, torch.tensor {{4.0, 3.0}, {1.0, 0.0}}
  test.near(score("CosineSimilarity", nil, a, b), 0.96 / 2, 1e-15)
  test.near(score("CosineSimilarity", {reduction = "sum"}, a, b), 0.96, 1e-15)
  test.near(score("CosineSimilarity", {dim = 0}, a, b), (12 / (3 * math.sqrt(17)) + 1) / 2, 1e-15)
  test.near(score("CosineSimilarity", nil, a, b, torch.tensor {3.0, 1.0}), 0.72, 1e-15)
  test.raises("vectors along dim 2 expected", score, "CosineSimilarity", {dim = 2}, a, b)
end)

test.case("perplexity is exp of the mean cross-entropy of the tokens that count", function()
  local logits, target = torch.randn(2, 4, 7), torch.tensor {{1, 2, 3, -100}, {0, -100, -100, -100}}
  local want = torch.nn.functional.cross_entropy(logits:reshape({-1, 7}), target:flatten()):exp():item()
  test.near(score("Perplexity", {from_logits = true}, logits, target), want, 1e-5 * want)
  test.near(score("Perplexity", nil, logits:softmax(-1), target), want, 1e-5 * want)
  test.equal(score("Perplexity", nil, torch.tensor {{0.5, 0.5}}, torch.tensor {1}), 2.0)
  test.equal(score("Perplexity", nil, torch.tensor {{1.0, 0.0}}, torch.tensor {1}), math.huge)
  local mistaken = score("Perplexity", nil, torch.tensor {{-1.0, 3.0}}, torch.tensor {0})
  test.truthy(mistaken ~= mistaken, "logits are no probabilities")
  test.raises("scores of shape .* do not go with tokens of shape", score, "Perplexity", nil, torch.rand(2, 7, 4), target)
  local beyond = "the target holds class 9, expected classes 0 to 2"
  test.raises(beyond, score, "Perplexity", nil, torch.rand(1, 3), torch.tensor {9})
  test.raises(beyond, score, "Perplexity", {from_logits = true}, torch.rand(1, 3), torch.tensor {9})
end)

test.case("sums of device tensors stay there", function()
  local meta = {device = "meta"}
  for _, name in ipairs {"MSE", "RMSE", "Spearman"} do
    local metric = metrics[name]()
    for _ = 1, 2 do metric:update(torch.ones(3, meta), torch.ones(3, meta), torch.ones(3, meta)) end
    for _, value in pairs(metric:state_dict()) do
      if type(value) == "userdata" then test.equal(tostring(value.device), "meta") end
    end
  end
end)

test.case("metrics log in train.fit, outputs by number, and can be monitored", function()
  local x = torch.randn(32, 3)
  local y = torch.stack({x:sum(1), x:select(1, 0)}, 1)
  local model = torch.nn.Linear(3, 2)
  local history = train.fit {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1}),
    loss = torch.nn.functional.mse_loss, verbose = 0,
    train = {{x, y}}, valid = {{x:narrow(0, 0, 20), y:narrow(0, 0, 20)}, {x:narrow(0, 20, 12), y:narrow(0, 20, 12)}}, epochs = 3,
    metrics = {mse = metrics.MSE(), r2 = metrics.R2 {multioutput = "raw_values", num_outputs = 2}},
    callbacks = {train.EarlyStopping {monitor = "val_r2_0", patience = 5}}}.history
  for epoch = 1, 3 do test.near(history.val_mse[epoch], history.val_loss[epoch], 1e-6) end
  test.equal({#history.r2_0, #history.val_r2_1}, {3, 3})
end)
