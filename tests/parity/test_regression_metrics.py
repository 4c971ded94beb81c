# Metrics of numbers against scikit-learn and scipy: random sizes, outputs, weights, offsets, ties, constants.
import math
import random
import warnings

import numpy
import pytest
import scipy.stats
import sklearn.metrics
import streams
import torch

ERRORS = {
    "MeanSquaredError": sklearn.metrics.mean_squared_error,
    "RootMeanSquaredError": sklearn.metrics.root_mean_squared_error,
    "MeanAbsoluteError": sklearn.metrics.mean_absolute_error,
    "MeanAbsolutePercentageError": sklearn.metrics.mean_absolute_percentage_error,
}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def numbers(rng, *shape):
    """Predictions, targets and weights (or None): far from 0, with ties, float32 or float64."""
    generator = streams.generator(rng)
    dtype = rng.choice((torch.float64, torch.float32))
    target = torch.randn(*shape, generator=generator, dtype=torch.float64) * rng.choice((1e-3, 1.0, 50.0))
    pred = target * rng.choice((0.0, 0.5, 1.0)) + torch.randn(*shape, generator=generator, dtype=torch.float64)
    if rng.random() < 0.3:
        target, pred = target.round(), pred.round()
    offset = rng.choice((0.0, 0.0, 3.0, 1e4))
    weight = torch.rand(shape[0], generator=generator, dtype=torch.float64) + 0.01 if rng.random() < 0.5 else None
    if weight is not None and rng.random() < 0.3:
        weight = (weight * 3).round()
        weight[0] = 1
    return (pred + offset).to(dtype), (target + offset).to(dtype), weight


def outputs(rng, options):
    """Random shapes, and the options of several outputs."""
    n, k = rng.choice((1, 2, 3, 10, 100)), rng.choice((0, 1, 2, 4))
    if k:
        choices = ["uniform_average", "raw_values"] + ([[rng.random() + 0.1 for _ in range(k)]] if k > 1 else [])
        options["multioutput"] = rng.choice(choices)
    return (n, k) if k else (n,)


def plain(value):
    return [float(v) for v in value] if isinstance(value, numpy.ndarray) else float(value)


@pytest.mark.parametrize("name", ERRORS)
def test_errors(trainhost, tmp_path, name):
    rng = random.Random(name)
    cases = streams.Streams(tmp_path)
    for _ in range(60):
        options = {}
        shape = outputs(rng, options)
        pred, target, weight = numbers(rng, *shape)
        expected = ERRORS[name](target.double().numpy(), pred.double().numpy(), sample_weight=None if weight is None else weight.numpy(), **options)
        cases.add(rng, name, options, [pred, target, weight], plain(expected))
    cases.check(trainhost, 60)


def test_errors_of_all_values_alike(trainhost, tmp_path):
    """Without multioutput any shape will do, weights may have it, too; RMSE is the root of one mean."""
    rng = random.Random(3)
    cases = streams.Streams(tmp_path)
    for _ in range(15):
        shape = [rng.randint(1, 5) for _ in range(rng.randint(1, 4))]
        pred, target, weight = numbers(rng, *shape)
        if weight is not None and rng.random() < 0.5:
            weight = torch.rand(shape, generator=streams.generator(rng)) + 0.1
        spread = None if weight is None else weight.double().reshape(*weight.shape, *[1] * (pred.dim() - weight.dim())).expand_as(pred)
        for name, oracle in ERRORS.items():
            expected = oracle(target.double().flatten().numpy(), pred.double().flatten().numpy(),
                              sample_weight=None if spread is None else spread.flatten().numpy())
            cases.add(rng, name, {}, [pred, target, weight], float(expected))
    cases.check(trainhost, 60)


def test_r2(trainhost, tmp_path):
    rng = random.Random(5)
    cases = streams.Streams(tmp_path)
    for i in range(120):
        options = {"force_finite": rng.random() < 0.7}
        shape = outputs(rng, options)
        if len(shape) == 2 and rng.random() < 0.3:
            options["multioutput"] = "variance_weighted"
        pred, target, weight = numbers(rng, *shape)
        if i % 5 == 0:  # exactly so also for scikit-learn, whose mean of 0.1s is none
            target = target if target.dim() == 1 else target.clone()
            target[:] = 4.0 if target.dim() == 1 else torch.where(torch.arange(shape[1]) == 0, 4.0, target.double()).to(target.dtype)
            weight = None
            if rng.random() < 0.5:
                pred = target.clone()
        expected = sklearn.metrics.r2_score(target.double().numpy(), pred.double().numpy(), sample_weight=None if weight is None else weight.numpy(), **options)
        if shape[0] < 2:
            expected = math.nan
        elif any(len(set(column)) == 1 and column[0] != 4.0 for column in target.reshape(len(target), -1).T.tolist()):
            continue  # scikit-learn's mean of equal numbers may be another, and then divides by noise
        elif weight is not None and (weight > 0).sum() < 2:
            continue  # one row that counts: scikit-learn's sums are those of one row with noise
        expected = plain(expected)
        # NaN among several outputs makes their mean NaN on both sides.
        cases.add(rng, "R2Score", options, [pred, target, weight], expected, rtol=1e-7, atol=1e-8)
    cases.check(trainhost, 60)


def weighted_pearson(x, y, w):
    if w is None:
        return scipy.stats.pearsonr(x, y).statistic if len(x) > 1 else math.nan
    covariance = numpy.cov(numpy.stack([x - x[0], y - y[0]]), aweights=w, ddof=0)
    return covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1])


def average(values, options):
    how = options.get("multioutput", "uniform_average")
    if how == "raw_values":
        return values
    return float(numpy.average(values, weights=how if isinstance(how, list) else None))


def test_pearson(trainhost, tmp_path):
    rng = random.Random(7)
    cases = streams.Streams(tmp_path)
    for _ in range(100):
        options = {}
        n, *k = outputs(rng, options)
        n = max(n, 3)
        pred, target, weight = numbers(rng, n, *k)
        if weight is not None:
            weight = weight.clamp_min(0.1)
        if rng.random() < 0.1:
            target = torch.full_like(target, 0.1)
        x, y = pred.double().reshape(n, -1).numpy(), target.double().reshape(n, -1).numpy()
        w = None if weight is None else weight.numpy()
        values = [math.nan if len(set(y[:, i])) == 1 or len(set(x[:, i])) == 1 else float(weighted_pearson(x[:, i], y[:, i], w)) for i in range(x.shape[1])]
        cases.add(rng, "PearsonCorrCoef", options, [pred, target, weight], average(values, options), rtol=1e-6, atol=1e-7)
    cases.check(trainhost, 80)


def test_spearman(trainhost, tmp_path):
    """A weight is how often a row counts: scipy gets it as often."""
    rng = random.Random(9)
    cases = streams.Streams(tmp_path)
    for _ in range(100):
        options = {}
        n, *k = outputs(rng, options)
        n = max(n, 3)
        pred, target, weight = numbers(rng, n, *k)
        if weight is not None:
            weight = (weight * 3).ceil()
        if rng.random() < 0.1:
            target = torch.full_like(target, 0.1)
        if rng.random() < 0.1:
            pred.flatten()[0] = math.inf
        if rng.random() < 0.1:
            pred.flatten()[-1] = math.nan
        x, y = pred.double().reshape(n, -1).numpy(), target.double().reshape(n, -1).numpy()
        if weight is not None:
            x, y = (numpy.repeat(each, weight.long().numpy(), axis=0) for each in (x, y))
        values = [float(scipy.stats.spearmanr(x[:, i], y[:, i]).statistic) for i in range(x.shape[1])]
        cases.add(rng, "SpearmanCorrCoef", options, [pred, target, weight], average(values, options))
    cases.check(trainhost, 70)


def test_cosine_similarity(trainhost, tmp_path):
    rng = random.Random(11)
    cases = streams.Streams(tmp_path)
    for _ in range(40):
        n, d = rng.randint(1, 30), rng.randint(1, 8)
        pred, target, weight = numbers(rng, n, d)
        if rng.random() < 0.4:
            pred[0] = 0
        each = [sklearn.metrics.pairwise.cosine_similarity(pred[i:i + 1].double().numpy(), target[i:i + 1].double().numpy())[0, 0] for i in range(n)]
        cases.add(rng, "CosineSimilarity", {}, [pred, target, weight], float(numpy.average(each, weights=weight)))
    cases.check(trainhost, 40)


def test_far_from_zero_nothing_is_lost(trainhost, tmp_path):
    """The variance of float64 numbers near 1e9 that differ by 1e-3: sums of squares would hold no digit of it."""
    rng = random.Random(13)
    generator = streams.generator(rng)
    cases = streams.Streams(tmp_path)
    for _ in range(10):
        target = 1e9 + torch.randn(500, generator=generator, dtype=torch.float64) * 1e-3
        pred = target + torch.randn(500, generator=generator, dtype=torch.float64) * 1e-3
        x, y = (pred - 1e9).numpy(), (target - 1e9).numpy()
        cases.add(rng, "PearsonCorrCoef", {}, [pred, target, None], float(scipy.stats.pearsonr(x, y).statistic), rtol=1e-9)
        cases.add(rng, "R2Score", {}, [pred, target, None], float(sklearn.metrics.r2_score(y, x)), rtol=1e-9)
    cases.check(trainhost, 20)
