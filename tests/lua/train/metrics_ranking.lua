-- train.metrics of rankings: NDCG, MRR, precision, recall and hits among the first k.
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
  local relevance = torch.tensor {{10.0, 0.0, 0.0, 1.0, 5.0}}
  test.near(score("NDCG", nil, torch.tensor {{0.1, 0.2, 0.3, 4.0, 70.0}}, relevance), 0.6956940443813076, 1e-12)
  local other = torch.tensor {{0.05, 1.1, 1.0, 0.5, 0.0}}
  test.near(score("NDCG", nil, other, relevance), 0.493680191377376, 1e-12)
  test.near(score("NDCG", {top_k = 4}, other, relevance), 0.3520241100634488, 1e-12)
  local ties = torch.tensor {{1.0, 0.0, 0.0, 0.0, 1.0}}
  test.near(score("NDCG", {top_k = 1}, ties, relevance), 0.75, 1e-15)
  test.near(score("NDCG", {top_k = 1, ignore_ties = true}, ties, relevance), 1, 1e-15)
end)

local SCORES <const> = torch.tensor {{0.9, 0.8, 0.7, 0.6}, {0.1, 0.2, 0.3, 0.4}, {0.5, 0.5, 0.5, 0.4}}
local RELEVANT <const> = torch.tensor {{0, 1, 0, 1}, {1, 0, 0, 0}, {0, 1, 0, 0}}

test.case("the first relevant item, and what is among the first k", function()
  test.near(score("MRR", nil, SCORES, RELEVANT), (1 / 2 + 1 / 4 + 1 / 2) / 3, 1e-15)
  test.near(score("MRR", {top_k = 3}, SCORES, RELEVANT), (1 / 2 + 0 + 1 / 2) / 3, 1e-15)
  test.near(score("PrecisionAtK", {top_k = 2}, SCORES, RELEVANT), (1 / 2 + 0 + 1 / 2) / 3, 1e-15)
  test.near(score("PrecisionAtK", nil, SCORES, RELEVANT), (2 / 4 + 1 / 4 + 1 / 4) / 3, 1e-15)
  test.near(score("PrecisionAtK", {top_k = 8}, SCORES, RELEVANT), (2 / 8 + 1 / 8 + 1 / 8) / 3, 1e-15)
  test.near(score("PrecisionAtK", {top_k = 8, adaptive_k = true}, SCORES, RELEVANT), (2 / 4 + 1 / 4 + 1 / 4) / 3, 1e-15)
  test.near(score("RecallAtK", {top_k = 2}, SCORES, RELEVANT), (1 / 2 + 0 + 1) / 3, 1e-15)
  test.near(score("HitRate", {top_k = 2}, SCORES, RELEVANT), 2 / 3, 1e-15)
  test.near(score("HitRate", {top_k = 2}, SCORES, RELEVANT, torch.tensor {1.0, 2.0, 1.0}), 2 / 4, 1e-15)
  test.near(score("MRR", nil, SCORES[0], RELEVANT[0]), 1 / 2, 1e-15)
end)

test.case("a query without anything relevant: 0, 1, left out, or an error", function()
  local relevant = RELEVANT:clone()
  relevant[1] = 0
  test.near(score("MRR", nil, SCORES, relevant), 1 / 3, 1e-15)
  test.near(score("MRR", {empty_target_action = "pos"}, SCORES, relevant), 2 / 3, 1e-15)
  test.near(score("MRR", {empty_target_action = "skip"}, SCORES, relevant), 1 / 2, 1e-15)
  test.equal(test.raises("MRR: 1 queries have nothing that is relevant", score, "MRR", {empty_target_action = "error"}, SCORES,
    relevant).kind, "usage")
  local none = score("MRR", {empty_target_action = "skip"}, SCORES, relevant * 0)
  test.truthy(none ~= none)
end)

test.case("queries by indexes, of any length, in any order, over batches and merges", function()
  local pred, target = torch.tensor {0.2, 0.9, 0.5, 0.7, 0.2, 0.1, 0.4}, torch.tensor {0, 0, 1, 1, 0, 0, 1}
  local indexes = torch.tensor {7, 7, 7, -2, -2, 7, 5}
  local function part(metric, first, count)
    metric:update(pred:narrow(0, first, count), {target = target:narrow(0, first, count), indexes = indexes:narrow(0, first, count)})
    return metric
  end
  local want = (1 / 2 + 1 + 1) / 3
  test.near(part(metrics.MRR(), 0, 7):result(), want, 1e-15)
  test.near(part(part(metrics.MRR(), 0, 2), 2, 5):result(), want, 1e-15)
  local merged = part(metrics.MRR(), 0, 1)
  merged:merge(part(metrics.MRR(), 1, 6))
  test.near(merged:result(), want, 1e-15)
  merged:update(SCORES, RELEVANT)
  test.near(merged:result(), (1 / 2 + 1 + 1 + 1 / 2 + 1 / 4 + 1 / 2) / 6, 1e-15)
  test.raises("queries that indexes tell have no weights", merged.update, merged, pred, {target = target, indexes = indexes}, torch.ones(7))
  test.raises("must be {target = Tensor, indexes = Tensor}, got target nil", merged.update, merged, pred, {indexes = indexes})
end)

test.case("items that do not count", function()
  local pred, target = torch.tensor {{0.9, 0.8, 0.7}, {0.9, 0.8, 0.7}}, torch.tensor {{-1, 0, 1}, {1, -1, -1}}
  test.near(score("MRR", {ignore_index = -1}, pred, target), (1 / 2 + 1) / 2, 1e-15)
  test.near(score("PrecisionAtK", {ignore_index = -1}, pred, target), (1 / 2 + 1) / 2, 1e-15)
  test.near(score("NDCG", {ignore_index = -1}, pred, target), (1 / math.log(3, 2) + 1) / 2, 1e-15)
end)

test.case("scores that are NaN, targets below 0 and shapes that do not fit are errors", function()
  test.equal(test.raises("NDCG: scores hold NaN, or targets NaN or negative numbers", score, "NDCG", nil, SCORES * (0 / 0),
    RELEVANT).kind, "usage")
  test.raises("negative numbers", score, "HitRate", nil, SCORES, -RELEVANT)
  test.equal(test.raises("scores of shape .* do not go with a target of shape", score, "NDCG", nil, SCORES, RELEVANT[0]).kind, "shape")
  test.equal(test.raises("weight of shape .*, expected .*3.*, one for each query", score, "NDCG", nil, SCORES, RELEVANT,
    torch.ones(4)).kind, "shape")
end)
