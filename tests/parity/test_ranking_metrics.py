# Metrics of rankings against scikit-learn and plain loops: ties, weights, empty queries, queries told by indexes, in
# batches that cut them.
import math
import random

import numpy
import pytest
import sklearn.metrics
import streams
import torch


def queries(rng, graded=False, ties=False):
    """Scores and targets [queries, items], weights or None."""
    generator = streams.generator(rng)
    n, items = rng.choice((1, 2, 7, 30)), rng.choice((2, 3, 8, 20))
    pred = torch.rand(n, items, generator=generator, dtype=torch.float64)
    if ties:
        pred = (pred * 4).round()
    target = torch.rand(n, items, generator=generator)
    target = (target * 4).floor() if graded else (target < rng.choice((0.1, 0.5))).long()
    if rng.random() < 0.4:
        target[rng.randrange(n)] = 0
    weight = torch.rand(n, generator=generator, dtype=torch.float64) + 0.1 if rng.random() < 0.4 else None
    return pred.to(rng.choice((torch.float32, torch.float64))), target, weight


def mean(values, weight=None):
    return float(numpy.average(values, weights=None if weight is None else weight.numpy()))


def test_ndcg(trainhost, tmp_path):
    rng = random.Random(1)
    cases = streams.Streams(tmp_path)
    for i in range(120):
        ties = i % 2 == 0
        pred, target, weight = queries(rng, graded=True, ties=ties)
        options = {"top_k": rng.choice((None, 1, 3, 10, 100)), "ignore_ties": not ties and rng.random() < 0.5}
        expected = sklearn.metrics.ndcg_score(target.numpy(), pred.numpy(), k=options["top_k"], ignore_ties=options["ignore_ties"],
                                              sample_weight=None if weight is None else weight.numpy())
        cases.add(rng, "NDCG", options, [pred, target, weight], float(expected))
    cases.check(trainhost, 120)


def test_ndcg_by_indexes(trainhost, tmp_path):
    """Queries of different lengths, their items in any order, over several batches."""
    rng = random.Random(2)
    cases = streams.Streams(tmp_path)
    for _ in range(40):
        generator = streams.generator(rng)
        values, scores, targets, indexes = [], [], [], []
        for query in range(rng.randint(1, 10)):
            items = rng.randint(2, 12)
            score = (torch.rand(items, generator=generator, dtype=torch.float64) * rng.choice((4, 1000))).round()
            target = (torch.rand(items, generator=generator) * 3).floor()
            values.append(sklearn.metrics.ndcg_score(target[None].numpy(), score[None].numpy(), k=5))
            scores.append(score)
            targets.append(target)
            indexes.append(torch.full((items,), query * 7 - 20))
        order = torch.randperm(sum(map(len, scores)), generator=generator)
        columns = [torch.cat(each)[order] for each in (scores, targets, indexes)]
        cases.add(rng, "NDCG", {"top_k": 5}, [columns[0], {"target": columns[1], "indexes": columns[2]}, None], mean(values))
    cases.check(trainhost, 40)


def ranked(score, target):
    order = sorted(range(len(score)), key=lambda i: -score[i])  # keeps the order of equal ones
    return [target[i] > 0 for i in order]


def value(metric, hits, options):
    """Of one query: hits by place."""
    k = options.get("top_k") or len(hits)
    first = hits[:k]
    if metric == "MRR":
        return next((1 / (i + 1) for i, hit in enumerate(first) if hit), 0.0)
    if metric == "PrecisionAtK":
        return sum(first) / (min(k, len(hits)) if options.get("adaptive_k") else k)
    if metric == "RecallAtK":
        return sum(first) / sum(hits)
    return float(any(first))


@pytest.mark.parametrize("metric", ["MRR", "PrecisionAtK", "RecallAtK", "HitRate"])
def test_of_hits(trainhost, tmp_path, metric):
    rng = random.Random(metric)
    cases = streams.Streams(tmp_path)
    for _ in range(60):
        pred, target, weight = queries(rng, ties=rng.random() < 0.4)
        options = {"top_k": rng.choice((None, 1, 2, 5, 50)), "empty_target_action": rng.choice(("neg", "pos", "skip"))}
        if metric == "PrecisionAtK":
            options["adaptive_k"] = rng.random() < 0.5
        ignored = rng.random() < 0.3
        if ignored:
            options["ignore_index"] = -1
            target = torch.where(torch.rand(target.shape, generator=streams.generator(rng)) < 0.3, -1, target)
        values, weights = [], []
        for i, (score, relevant) in enumerate(zip(pred.tolist(), target.tolist())):
            items = [pair for pair in zip(score, relevant) if pair[1] >= 0]
            hits = ranked([s for s, _ in items], [r for _, r in items])
            if not any(hits):
                if options["empty_target_action"] == "skip":
                    continue
                values.append(float(options["empty_target_action"] == "pos"))
            else:
                values.append(value(metric, hits, options))
            weights.append(1.0 if weight is None else float(weight[i]))
        expected = float(numpy.average(values, weights=weights)) if values else math.nan
        cases.add(rng, metric, options, [pred, target, weight], expected)
        if weight is None and rng.random() < 0.5:
            indexes = torch.arange(len(pred))[:, None].expand_as(pred) + 3
            if "ignore_index" not in options or (target >= 0).any(1).all():
                cases.add(rng, metric, options, [pred, {"target": target, "indexes": indexes}, None], expected)
    cases.check(trainhost, 60)


def test_of_hits_as_scikit_learn(trainhost, tmp_path):
    """Its averages over samples; reciprocal ranks are its label ranking where one item is relevant."""
    rng = random.Random(4)
    cases = streams.Streams(tmp_path)
    for _ in range(20):
        pred, target, weight = queries(rng)
        target[:, rng.randrange(target.shape[1])] = 1
        k = rng.randint(1, target.shape[1])
        first = torch.zeros_like(target).scatter_(1, pred.topk(k, 1).indices, 1).numpy()
        sample_weight = None if weight is None else weight.numpy()
        for metric, oracle in (("PrecisionAtK", sklearn.metrics.precision_score), ("RecallAtK", sklearn.metrics.recall_score)):
            expected = oracle(target.numpy(), first, average="samples", zero_division=0, sample_weight=sample_weight)
            cases.add(rng, metric, {"top_k": k}, [pred, target, weight], float(expected))
        one = torch.randint(target.shape[1], (len(target),), generator=streams.generator(rng))
        single = torch.nn.functional.one_hot(one, target.shape[1])
        expected = sklearn.metrics.label_ranking_average_precision_score(single.numpy(), pred.numpy(), sample_weight=sample_weight)
        cases.add(rng, "MRR", {}, [pred, single, weight], float(expected))
        if target.shape[1] > 2:
            expected = sklearn.metrics.top_k_accuracy_score(one.numpy(), pred.numpy(), k=k, labels=range(target.shape[1]), sample_weight=sample_weight)
            cases.add(rng, "HitRate", {"top_k": k}, [pred, single, weight], float(expected))
    cases.check(trainhost, 60)
