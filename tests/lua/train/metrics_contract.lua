-- What every metric of numbers, rankings, overlaps and texts keeps: directions, NaN with one warning, state, merging, scopes.
local test = require "test"
local torch = require "torch"
local train = require "train"
local metrics = train.metrics

local SCORES <const> = torch.tensor {{0.9, 0.1, 0.5}, {0.2, 0.7, 0.6}}
local RELEVANT <const> = torch.tensor {{1, 0, 0}, {0, 0, 1}}
local TEXTS <const> = {{"the cat sat", "on a mat"}, {"the cat sits", "on the mat"}, {1.0, 2.0}}

-- name -> {direction, options, what update takes: weights last}
local METRICS <const> = {
  MeanSquaredError = {"min", nil, {SCORES, RELEVANT, torch.tensor {1.0, 2.0}}},
  RootMeanSquaredError = {"min", {multioutput = "raw_values"}, {SCORES, RELEVANT, torch.tensor {1.0, 2.0}}},
  MeanAbsoluteError = {"min", nil, {SCORES, RELEVANT, torch.tensor {1.0, 2.0}}},
  MeanAbsolutePercentageError = {"min", nil, {SCORES, SCORES * 2, torch.tensor {1.0, 2.0}}},
  R2Score = {"max", {multioutput = "raw_values"}, {SCORES, SCORES * 2, torch.tensor {1.0, 2.0}}},
  PearsonCorrCoef = {"max", nil, {SCORES, -SCORES, torch.tensor {1.0, 2.0}}},
  SpearmanCorrCoef = {"max", nil, {SCORES, -SCORES, torch.tensor {1.0, 2.0}}},
  CosineSimilarity = {"max", nil, {SCORES, RELEVANT, torch.tensor {1.0, 2.0}}},
  Perplexity = {"min", nil, {SCORES, torch.tensor {0, 1}, torch.tensor {1.0, 2.0}}},
  JaccardIndex = {"max", nil, {SCORES, torch.tensor {0, 2}, torch.tensor {1.0, 2.0}}},
  DiceScore = {"max", {average = "none", num_classes = 3}, {SCORES, torch.tensor {0, 2}, torch.tensor {1.0, 2.0}}},
  NDCG = {"max", {top_k = 2}, {SCORES, RELEVANT, torch.tensor {1.0, 2.0}}},
  MRR = {"max", nil, {SCORES, RELEVANT, torch.tensor {1.0, 2.0}}},
  PrecisionAtK = {"max", {top_k = 2}, {SCORES, RELEVANT, torch.tensor {1.0, 2.0}}},
  RecallAtK = {"max", {top_k = 2}, {SCORES, RELEVANT, torch.tensor {1.0, 2.0}}},
  HitRate = {"max", {top_k = 1}, {SCORES, RELEVANT, torch.tensor {1.0, 2.0}}},
  ROUGE = {"max", nil, TEXTS},
  WordErrorRate = {"min", nil, TEXTS},
  CharErrorRate = {"min", nil, TEXTS},
}
local SHORT <const> = {MSE = "MeanSquaredError", RMSE = "RootMeanSquaredError", MAE = "MeanAbsoluteError",
  MAPE = "MeanAbsolutePercentageError", R2 = "R2Score", Pearson = "PearsonCorrCoef", Spearman = "SpearmanCorrCoef",
  IoU = "JaccardIndex", Dice = "DiceScore", WER = "WordErrorRate", CER = "CharErrorRate"}

local function each(body)
  for name, row in pairs(METRICS) do
    body(name, function() return metrics[name](row[2]) end, row[3], row[1])
  end
end

-- A result as a list of numbers.
local function numbers(result)
  if type(result) == "number" then return {result} end
  if #result > 0 then return result end
  local names, list = {}, {}
  for name in pairs(result) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do list[i] = result[name] end
  return list
end

local function same(got, want, note)
  got, want = numbers(got), numbers(want)
  test.equal(#got, #want, note)
  for i = 1, #got do test.near(got[i], want[i], 1e-12, note) end
end

test.case("a metric knows its direction, and its short name is the same metric", function()
  each(function(name, new, _, direction)
    test.equal({new().direction, new().__name}, {direction, name}, name)
    test.equal(new().needs_output, true, name)
  end)
  for short, long in pairs(SHORT) do test.equal(metrics[short], metrics[long], short) end
end)

test.case("nothing seen: NaN and one warning that names the metric; reset forgets", function()
  each(function(name, new, batch)
    local metric
    local list = test.warnings(function()
      metric = new()
      for _ = 1, 3 do
        for _, value in ipairs(numbers(metric:result())) do test.truthy(value ~= value, name) end
      end
    end)
    test.equal(#list, 1, name)
    test.truthy(list[1]:find(name, 1, true) and list[1]:find("the result is NaN", 1, true), list[1])
    metric:update(table.unpack(batch))
    same(numbers(metric:result())[1] == numbers(metric:result())[1] and 1 or 0, 1, name)
    metric:reset()
    local again = numbers(metric:result())[1]
    test.truthy(again ~= again, name)
  end)
end)

test.case("a saved and loaded metric goes on; what is loaded is a copy; merging leaves the other as it is", function()
  each(function(name, new, batch)
    local whole, first, second = new(), new(), new()
    whole:update(table.unpack(batch))
    whole:update(table.unpack(batch))
    first:update(table.unpack(batch))
    second:load_state_dict(first:state_dict())
    local before = first:result()
    second:update(table.unpack(batch))
    same(second:result(), whole:result(), name)
    same(first:result(), before, name)
    local merged = new()
    merged:merge(first)
    merged:merge(new())
    merged:merge(first)
    merged:update(table.unpack(batch))
    whole:update(table.unpack(batch))
    same(merged:result(), whole:result(), name)
    same(first:result(), before, name)
    local empty = new()
    empty:load_state_dict(new():state_dict())
    empty:update(table.unpack(batch))
    same(empty:result(), before, name)
  end)
end)

test.case("a state goes through a file", function()
  local path = test.tmpdir() .. "/metric.pt"
  each(function(name, new, batch)
    local metric, loaded = new(), new()
    metric:update(table.unpack(batch))
    torch.save(metric:state_dict(), path)
    loaded:load_state_dict(torch.load(path))
    same(loaded:result(), metric:result(), name)
  end)
end)

test.case("what is held outlives torch.scope, inference mode and the graph", function()
  each(function(name, new, batch)
    local want, got = new(), new()
    for _ = 1, 3 do want:update(table.unpack(batch)) end
    torch.scope(function() got:update(table.unpack(batch)) end)
    torch.inference_mode(function()
      got:update(table.unpack(batch))
    end)
    local pred = type(batch[1]) == "userdata" and batch[1]:clone():requires_grad_() or batch[1]
    torch.scope(function() got:update(pred, batch[2], batch[3]) end)
    same(got:result(), want:result(), name)
    for _, value in pairs(got:state_dict()) do
      if type(value) == "userdata" then test.equal(value.requires_grad, false, name) end
    end
  end)
end)

test.case("metrics of other options do not mix", function()
  local cases = {{"MSE", {multioutput = "raw_values"}}, {"IoU", {threshold = 0.3}}, {"NDCG", {top_k = 3}},
    {"ROUGE", {use_stemmer = true}}, {"CosineSimilarity", {dim = 0}}}
  for _, case in ipairs(cases) do
    local plain, other = metrics[case[1]](), metrics[case[1]](case[2])
    test.equal(test.raises("cannot merge: options", plain.merge, plain, other).kind, "usage")
    test.raises("cannot load: options", plain.load_state_dict, plain, other:state_dict())
  end
  local three, two = metrics.R2 {multioutput = "raw_values"}, metrics.R2 {multioutput = "raw_values"}
  three:update(SCORES, SCORES)
  two:update(SCORES:narrow(1, 0, 2), SCORES:narrow(1, 0, 2))
  test.equal(test.raises("R2Score: values of 2 outputs, expected 3 as before", three.merge, three, two).kind, "shape")
  test.raises("values of 2 outputs, expected 3", three.update, three, SCORES:narrow(1, 0, 2), SCORES:narrow(1, 0, 2))
end)

-- metric -> {options that are wrong, what the error says}
local WRONG <const> = {
  MSE = {{{multioutput = "mean"}, 'multioutput must be "uniform_average", "raw_values" or a list of weights, got string "mean"'},
    {{squared = false}, "unknown keyword"}, {{num_outputs = 0}, "num_outputs must be a whole number of 1 or more"}},
  R2 = {{{multioutput = {-1}}, 'multioutput must be .* "variance_weighted"'}, {{adjusted = -1}, "adjusted must be"},
    {{force_finite = 1}, "force_finite must be true or false"}},
  Perplexity = {{{from_logits = "yes"}, "from_logits must be"}, {{ignore_index = 0.5}, "ignore_index must be a whole number"}},
  CosineSimilarity = {{{dim = 0.5}, "dim must be a whole number"}, {{reduction = "none"}, 'reduction must be "mean" or "sum"'}},
  IoU = {{{average = "samples"}, "average must be"}, {{zero_division = 2}, "zero_division must be 0, 1 or NaN, got number 2"},
    {{num_classes = 0}, "num_classes must be"}, {{aggregation_level = "x"}, "aggregation_level must be"}},
  NDCG = {{{top_k = 0}, "top_k must be a whole number of 1 or more"}, {{k = 5}, "unknown keyword"},
    {{empty_target_action = "drop"}, "empty_target_action must be"}, {{ignore_ties = 1}, "ignore_ties must be"}},
  PrecisionAtK = {{{adaptive_k = 1}, "adaptive_k must be true or false"}},
  ROUGE = {{{rouge_types = {"rouge0"}}, "rouge_types must be a list of .*got {rouge0}"}, {{rouge_types = "rouge1"}, "rouge_types must be"},
    {{accumulate = "max"}, 'accumulate must be "best" or "avg"'}, {{use_stemmer = 1}, "use_stemmer must be"}},
  WER = {{{lowercase = true}, "unknown keyword"}},
}

test.case("a wrong option is refused where the metric is made", function()
  for name, cases in pairs(WRONG) do
    for _, case in ipairs(cases) do
      local err = test.raises("train.metrics.%u%w+: .*" .. case[2], metrics[name], case[1])
      test.equal(err.kind, "usage")
      test.truthy(err.where:find("metrics_contract.lua:%d+$"), err.where)
    end
  end
end)
