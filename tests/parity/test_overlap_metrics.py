# IoU and Dice against scikit-learn's jaccard_score and f1_score over all places.
import random
import warnings

import numpy
import pytest
import sklearn.metrics
import streams
import torch

ORACLES = {"JaccardIndex": sklearn.metrics.jaccard_score, "DiceScore": sklearn.metrics.f1_score}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def spread(weight, like):
    if weight is None:
        return None
    return weight.reshape(*weight.shape, *[1] * (like.dim() - weight.dim())).expand_as(like).flatten().numpy()


def weights(rng, shape):
    generator = streams.generator(rng)
    return rng.choice((None, torch.rand(shape, generator=generator, dtype=torch.float64) + 0.1,
                       torch.rand(shape[0], generator=generator, dtype=torch.float64) + 0.1))


@pytest.mark.parametrize("metric", ORACLES)
def test_of_classes(trainhost, tmp_path, metric):
    rng = random.Random(metric)
    cases = streams.Streams(tmp_path)
    for i in range(90):
        generator = streams.generator(rng)
        classes = rng.randint(2, 6)
        shape = [rng.randint(1, 6), *[rng.randint(1, 5) for _ in range(rng.randint(0, 2))]]
        there = rng.randint(1, classes)  # classes that may occur
        target = torch.randint(there, shape, generator=generator)
        scores = torch.rand(shape[0], classes, *shape[1:], generator=generator)
        scores[:, there:] -= rng.choice((0, 2))
        pred = scores.argmax(1)
        weight = weights(rng, shape)
        options = {"average": rng.choice(("macro", "micro", "weighted", "none")), "zero_division": rng.choice((None, 0, 1))}
        w, y, p = spread(weight, target), target.flatten().numpy(), pred.flatten().numpy()
        if rng.random() < 0.4:
            options["ignore_index"] = rng.choice((-100, 255, 0))
            if options["ignore_index"] != 0:
                target = torch.where(torch.rand(target.shape, generator=generator) < 0.3, options["ignore_index"], target)
            y = target.flatten().numpy()
            counted = y != options["ignore_index"]
            if not counted.any():
                continue
            w, y, p = None if w is None else w[counted], y[counted], p[counted]
        average = None if options["average"] == "none" else options["average"]
        labels = None if options["average"] == "macro" else range(classes)
        expected = ORACLES[metric](y, p, labels=labels, average=average, sample_weight=w, zero_division=options["zero_division"] or 0)
        expected = expected.tolist() if average is None else float(expected)
        if i % 2:
            options["num_classes"] = classes
            cases.add(rng, metric, options, [pred, target, weight], expected)
        else:
            cases.add(rng, metric, options, [scores, target, weight], expected)
    cases.check(trainhost, 80)


@pytest.mark.parametrize("metric", ORACLES)
def test_of_masks(trainhost, tmp_path, metric):
    rng = random.Random(metric + " masks")
    cases = streams.Streams(tmp_path)
    for _ in range(60):
        generator = streams.generator(rng)
        multilabel = rng.random() < 0.5
        shape = [rng.randint(1, 5), rng.randint(1 + multilabel, 4), rng.randint(1, 6)]
        target = (torch.rand(shape, generator=generator) < rng.choice((0.0, 0.2, 0.6))).long()
        scores = torch.rand(shape, generator=generator)
        logits = rng.random() < 0.4
        threshold = rng.choice((0.5, 0.3))
        options = {"multilabel": multilabel, "from_logits": logits, "threshold": threshold, "zero_division": rng.choice((None, 0, 1))}
        given = scores.logit() if logits else scores
        found = (scores > threshold).long()
        kind = rng.choice(("scores", "labels", "bool"))
        if kind != "scores":
            given = found if kind == "labels" else found.bool()
            options["num_classes"] = shape[1] if multilabel else 1
        weight = weights(rng, shape)
        if multilabel:
            options["average"] = rng.choice(("micro", "weighted", "none"))
            average = None if options["average"] == "none" else options["average"]
            if weight is not None:  # scikit-learn has one for all labels of a place
                weight = weight if weight.dim() == 1 else weight[:, :1, :].expand(shape).contiguous()
            y, p = (each.movedim(1, 2).reshape(-1, shape[1]).numpy() for each in (target, found))
            w = spread(weight, target)
            w = None if w is None else w.reshape(shape).swapaxes(1, 2).reshape(-1, shape[1])[:, 0]
            zero = options["zero_division"] or 0
            expected = ORACLES[metric](y, p, average=average, sample_weight=w, zero_division=zero)
            if average == "weighted" and not y.any():
                continue  # nothing to weigh by
        else:
            expected = ORACLES[metric](target.flatten().numpy(), found.flatten().numpy(), sample_weight=spread(weight, target),
                                       zero_division=options["zero_division"] or 0)
        expected = expected.tolist() if isinstance(expected, numpy.ndarray) else float(expected)
        cases.add(rng, metric, options, [given, target, weight], expected)
    cases.check(trainhost, 40)


@pytest.mark.parametrize("metric", ORACLES)
def test_of_each_sample(trainhost, tmp_path, metric):
    """aggregation_level = "samplewise": the mean of each sample's own score."""
    rng = random.Random(metric + " samples")
    cases = streams.Streams(tmp_path)
    for _ in range(40):
        generator = streams.generator(rng)
        classes, n, places = rng.randint(2, 4), rng.randint(1, 8), rng.randint(1, 9)
        target = torch.randint(classes, (n, places), generator=generator)
        pred = torch.randint(classes, (n, places), generator=generator)
        weight = torch.rand(n, generator=generator, dtype=torch.float64) + 0.1 if rng.random() < 0.5 else None
        average = rng.choice(("macro", "micro", "weighted"))
        each = [ORACLES[metric](y, p, average=average) for y, p in zip(target.numpy(), pred.numpy())]
        cases.add(rng, metric, {"num_classes": classes, "average": average, "aggregation_level": "samplewise"}, [pred, target, weight],
                  float(numpy.average(each, weights=weight)))
    cases.check(trainhost, 40)
