# Metrics of classification against scikit-learn: random scores with ties, weights, absent classes, one class alone and empty
# batches. What was seen in batches, what was merged and what went on from a state equals the whole, and this equals theirs.
import json
import math
import os
import warnings

import numpy as np
import pytest
from sklearn import metrics as theirs

LONG = os.environ.get("TRAINHOST_LONG", "0") not in ("", "0")
CASES = 40 if LONG else 8  # of each row of TABLE
NAN = float("nan")

LUA = """
local host, torch, train = require "host", require "torch", require "train"
local file = assert(io.open(arg[1]))
local cases, out = host.json.decode(file:read "a"), {}
file:close()

local function tensor(it, dtype) return it and torch.tensor(it.values, {dtype = torch[dtype or it.dtype]}):reshape(it.shape) end
local function batch(it) return tensor(it.pred), tensor(it.target), tensor(it.weight) end

local function plain(value)
  if type(value) == "number" then return ("%.17g"):format(value) end
  if type(value) ~= "table" then return plain(value:tolist()) end
  local copy = {}
  for key, each in pairs(value) do copy[key] = plain(each) end
  return next(copy) == nil and "empty" or copy
end

for i, case in ipairs(cases) do
  local function new()
    local options = case.options
    if options.zero_division == "nan" then options.zero_division = 0 / 0 end
    return train.metrics[case.metric](options)
  end
  local whole, streamed, merged = new(), new(), new()
  whole:update(batch(case.whole))
  for j, part in ipairs(case.parts) do
    streamed:update(batch(part))
    local one, loaded = new(), new()
    one:update(batch(part))
    loaded:load_state_dict(one:state_dict())
    merged:merge(loaded)
    if j == 2 then
      local again = new()
      again:load_state_dict(streamed:state_dict())
      streamed = again
    end
  end
  out[i] = {plain(whole:result()), plain(streamed:result()), plain(merged:result())}
end
print(host.json.encode(out))
"""


class Data:
    """Random scores and targets of one of the kinds that metrics know."""

    def __init__(self, rng, kind, weighted=False, ties=True, logits=False, probabilities=False, zeros=False):
        self.rng, self.kind = rng, kind
        n = int(rng.choice([1, 2, 5, 20, 60]))
        self.classes = 2 if kind == "binary" else int(rng.integers(3, 6))
        shape = (n,) if kind == "binary" else (n, self.classes)
        self.scores = rng.random(shape)
        if ties and rng.random() < 0.5:
            self.scores = np.round(self.scores * 4) / 4  # 0.5, too, and equal ones
        if kind == "multiclass":
            there = rng.choice(self.classes, int(rng.integers(1, self.classes + 1)), replace=False)
            self.target = rng.choice(there, n)
            if probabilities:
                self.scores = (self.scores + 1e-3) / (self.scores + 1e-3).sum(1, keepdims=True)
        else:
            self.target = (rng.random(shape) < rng.choice([0, 0.2, 0.5, 0.9, 1])).astype(int)
        self.sent = self.scores
        if logits and kind == "multiclass":
            self.sent = np.log(self.scores) + rng.random((n, 1))
        elif logits:
            self.scores = np.clip(self.scores, 1e-6, 1 - 1e-6)
            self.sent = np.log(self.scores / (1 - self.scores))
        self.weight = rng.integers(1, 8, n) / 4 if weighted else None
        if zeros:  # but not all of them
            self.weight = np.where((rng.random(n) < 0.5) & (np.arange(n) > 0), 0, rng.integers(1, 8, n) / 4)
        self.all = list(range(self.classes))

    @property
    def decided(self):
        return self.scores.argmax(1) if self.kind == "multiclass" else (self.scores > 0.5).astype(int)

    def batch(self, rows):
        batch = {"pred": encode(self.sent[rows], "float64"), "target": encode(self.target[rows], "int64")}
        return batch if self.weight is None else {**batch, "weight": encode(self.weight[rows], "float64")}

    def batches(self):
        n = len(self.target)
        cuts = [0, *sorted(self.rng.integers(0, n + 1, int(self.rng.integers(0, 5))).tolist()), n]
        return [self.batch(slice(a, b)) for a, b in zip(cuts, cuts[1:])]


def encode(values, dtype):
    return {"values": values.ravel().tolist(), "shape": list(values.shape), "dtype": dtype}


def averaged(score):
    """A row's function of scikit-learn's score that has labels, average, zero_division and sample_weight."""
    def expected(data, options):
        average = options.get("average", "binary" if data.kind == "binary" else "macro")
        average = None if average == "none" else average
        labels = options.get("labels")
        if labels is None and average is None:
            labels = data.all
        zero = options.get("zero_division", 0)
        value = score(data.target, data.decided, average=average, labels=labels, zero_division=NAN if zero == "nan" else zero,
                      sample_weight=data.weight)
        return value
    return expected


def fbeta(beta):
    return averaged(lambda *args, **more: theirs.fbeta_score(*args, beta=beta, **more))


def specificity(data, options):
    labels = None if data.kind == "multilabel" else data.all
    parts = theirs.multilabel_confusion_matrix(data.target, data.decided, labels=labels, sample_weight=data.weight)
    tn, fp, tp, fn = parts[:, 0, 0], parts[:, 0, 1], parts[:, 1, 1], parts[:, 1, 0]
    average = options.get("average", "binary" if data.kind == "binary" else "macro")
    if average == "micro":
        return tn.sum() / (tn + fp).sum() if (tn + fp).sum() else 0.0
    rate = np.where(tn + fp > 0, tn / np.where(tn + fp > 0, tn + fp, 1), 0.0)
    if average == "binary":
        return rate[1]
    if average == "none":
        return rate
    if average == "weighted":
        support = tp + fn
        return float(np.average(rate, weights=support)) if support.sum() else float(rate.mean())
    return float(rate[tp + fp + fn > 0].mean() if data.kind != "multilabel" else rate.mean())


def accuracy(data, options):
    average = options.get("average", "micro")
    if data.kind == "multilabel" and not options.get("subset"):
        right = (data.target == data.decided).astype(float)
        each = np.average(right, axis=0, weights=data.weight)
        return each if average == "none" else float(each.mean())
    if average != "micro":
        return averaged(theirs.recall_score)(data, options)
    return theirs.accuracy_score(data.target, data.decided, sample_weight=data.weight)


def top_k_accuracy(data, options):
    best = np.argsort(-data.scores, axis=1, kind="stable")[:, :options["top_k"]]
    return float(np.average((best == data.target[:, None]).any(1), weights=data.weight))


def confusion(data, options):
    if data.kind == "multilabel":
        return theirs.multilabel_confusion_matrix(data.target, data.decided, sample_weight=data.weight)
    return theirs.confusion_matrix(data.target, data.decided, labels=options.get("labels", data.all),
                                   normalize=options.get("normalize"), sample_weight=data.weight)


def kappa(data, options):
    return theirs.cohen_kappa_score(data.target, data.decided, labels=data.all, weights=options.get("weights"),
                                    sample_weight=data.weight)


def area(score, needs_no):
    """A row's function of an area: undefined classes are left out of the mean, labels keep their NaN."""
    def of_one(yes, scores, weight):
        undefined = yes.sum() == 0 or needs_no and yes.sum() == len(yes)
        return NAN if undefined else score(yes, scores, sample_weight=weight)

    def expected(data, options):
        if data.kind == "binary":
            return of_one(data.target, data.scores, data.weight)
        yes = data.target if data.kind == "multilabel" else (data.target[:, None] == np.arange(data.classes)).astype(int)
        average = options.get("average", "macro")
        if average == "micro":
            weight = None if data.weight is None else np.repeat(data.weight, data.classes)
            return of_one(yes.ravel(), data.scores.ravel(), weight)
        each = np.array([of_one(yes[:, k], data.scores[:, k], data.weight) for k in options.get("labels", data.all)])
        if average == "none":
            return each
        support = (yes * (1 if data.weight is None else data.weight[:, None])).sum(0)
        support = support if average == "weighted" else np.ones(len(each))
        if data.kind == "multiclass" and "labels" not in options:
            each, support = each[~np.isnan(each)], support[~np.isnan(each)]
        each, support = each[support > 0], support[support > 0]
        return float(np.average(each, weights=support)) if len(each) else NAN
    return expected


def one_against_one(data, options):
    if len(np.unique(data.target)) < 2:
        return NAN
    return theirs.roc_auc_score(data.target, data.scores, multi_class="ovo", labels=data.all,
                                average=options.get("average", "macro"))


def roc(data, options):
    fpr, tpr, thresholds = theirs.roc_curve(data.target, data.scores, sample_weight=data.weight,
                                            drop_intermediate=options.get("drop_intermediate", True))
    return {"fpr": fpr, "tpr": tpr, "thresholds": thresholds}


def precision_recall(data, options):
    precision, recall, thresholds = theirs.precision_recall_curve(
        data.target, data.scores, sample_weight=data.weight, drop_intermediate=options.get("drop_intermediate", False))
    if not data.target.any():
        recall = recall * NAN
        recall[-1] = 0.0
    return {"precision": precision, "recall": recall, "thresholds": thresholds}


def log_loss(data, options):
    if data.kind == "multilabel":
        each = [theirs.log_loss(data.target[:, k], data.scores[:, k], labels=[0, 1], sample_weight=data.weight)
                for k in data.all]
        return float(np.mean(each))
    return theirs.log_loss(data.target, y_proba=data.scores, labels=data.all, sample_weight=data.weight)


def brier(data, options):
    if data.kind == "multilabel":
        return float(np.average(((data.scores - data.target) ** 2).mean(1), weights=data.weight))
    more = {"labels": data.all} if data.kind == "multiclass" else {"pos_label": 1}
    return theirs.brier_score_loss(data.target, y_proba=data.scores, sample_weight=data.weight,
                                   scale_by_half=options.get("scale_by_half", "auto"), **more)


def calibration(data, options):
    several = data.kind == "multiclass"
    confidence = data.scores.max(1) if several else data.scores
    right = (data.decided == data.target if several else data.target).astype(float)
    weight = np.ones(len(right)) if data.weight is None else data.weight
    bins, norm = options.get("n_bins", 15), options.get("norm", "l1")
    place = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1)
    gaps, parts = [], []
    for k in range(bins):
        mask = place == k
        if mask.any():
            gaps.append(abs(np.average(right[mask] - confidence[mask], weights=weight[mask])))
            parts.append(weight[mask].sum() / weight.sum())
    gaps, parts = np.array(gaps), np.array(parts)
    return {"l1": (gaps * parts).sum(), "l2": math.sqrt((gaps**2 * parts).sum()), "max": gaps.max()}[norm]


RATES = {"Precision": averaged(theirs.precision_score), "Recall": averaged(theirs.recall_score),
         "F1": averaged(theirs.f1_score), "Specificity": specificity}
AVERAGES = ("micro", "macro", "weighted", "none")
KINDS = ("binary", "multiclass", "multilabel")

# metric, kind, options, what it must be, how the data are made
TABLE = [
    *((name, kind, {}, rate, {}) for name, rate in RATES.items() for kind in KINDS),
    *((name, kind, {"average": average}, rate, {"weighted": average != "micro"})
      for name, rate in RATES.items() for kind in KINDS for average in AVERAGES),
    *((name, kind, {"average": average}, RATES[name], {"zeros": True})
      for name in ("Precision", "Recall", "F1") for kind in KINDS for average in AVERAGES),
    *(("F1", kind, {"zero_division": zero, "average": average}, averaged(theirs.f1_score), {})
      for kind in ("multiclass", "multilabel") for zero in (1, "nan") for average in ("macro", "weighted", "none")),
    *((name, "multiclass", {"labels": [2, 0], "average": average}, RATES[name], {"weighted": True})
      for name in ("Precision", "F1") for average in AVERAGES),
    *(("F1", kind, {"from_logits": True}, averaged(theirs.f1_score), {"logits": True, "ties": False}) for kind in KINDS),
    *(("FBeta", kind, {"beta": beta}, fbeta(beta), {"weighted": True}) for kind in KINDS for beta in (0, 0.5, 2)),
    *(("Accuracy", kind, {}, accuracy, {"weighted": weighted}) for kind in KINDS for weighted in (False, True)),
    *(("Accuracy", kind, {"average": average}, accuracy, {}) for kind in KINDS for average in ("macro", "none")),
    ("Accuracy", "multilabel", {"subset": True}, accuracy, {"weighted": True}),
    *(("Accuracy", "multiclass", {"top_k": k}, top_k_accuracy, {"weighted": True, "ties": False}) for k in (2, 3)),
    *(("ConfusionMatrix", kind, {}, confusion, {"weighted": weighted}) for kind in KINDS for weighted in (False, True)),
    *(("ConfusionMatrix", "multiclass", {"normalize": how}, confusion, {}) for how in ("true", "pred", "all")),
    *(("MatthewsCorrCoef", kind, {}, lambda d, o: theirs.matthews_corrcoef(d.target, d.decided, sample_weight=d.weight),
       {"weighted": weighted}) for kind in KINDS[:2] for weighted in (False, True)),
    *(("BalancedAccuracy", kind, {"adjusted": adjusted}, lambda d, o: theirs.balanced_accuracy_score(
        d.target, d.decided, sample_weight=d.weight, adjusted=o["adjusted"]) if len(np.unique(d.target)) > o["adjusted"] else NAN,
       {"weighted": True}) for kind in KINDS[:2] for adjusted in (False, True)),
    *(("CohenKappa", kind, {"weights": how} if how else {}, kappa, {"weighted": not how})
      for kind in KINDS[:2] for how in (None, "linear", "quadratic")),
    *((name, kind, {}, expected, {"weighted": weighted})
      for name, expected in (("AUC", area(theirs.roc_auc_score, True)),
                             ("AveragePrecision", area(theirs.average_precision_score, False)))
      for kind in KINDS for weighted in (False, True)),
    *((name, kind, {"average": average}, expected, {"weighted": True})
      for name, expected in (("AUC", area(theirs.roc_auc_score, True)),
                             ("AveragePrecision", area(theirs.average_precision_score, False)))
      for kind in KINDS[1:] for average in ("micro", "weighted", "none")),
    *(("AUC", "multiclass", {"labels": [0, 2], "average": average}, area(theirs.roc_auc_score, True), {})
      for average in ("macro", "none")),
    *(("AUC", kind, {"from_logits": True}, area(theirs.roc_auc_score, True),
       {"logits": True, "ties": False, "probabilities": True}) for kind in KINDS),
    *(("AUC", "multiclass", {"multi_class": "ovo", "average": average}, one_against_one, {"probabilities": True})
      for average in ("macro", "weighted")),
    *(("ROCCurve", "binary", {"drop_intermediate": drop}, roc, {"weighted": weighted})
      for drop in (True, False) for weighted in (True, False)),
    *(("PrecisionRecallCurve", "binary", {"drop_intermediate": drop}, precision_recall, {"weighted": weighted})
      for drop in (True, False) for weighted in (True, False)),
    *((name, kind, options, expected, {"weighted": True, "probabilities": True, "logits": "from_logits" in options,
                                       "ties": "from_logits" not in options})
      for name, expected in (("LogLoss", log_loss), ("Brier", brier)) for kind in KINDS
      for options in ({}, {"from_logits": True})),
    ("Brier", "multiclass", {"scale_by_half": True}, brier, {"probabilities": True}),
    ("Brier", "binary", {"scale_by_half": False}, brier, {}),
    *(("CalibrationError", kind, {"norm": norm, "n_bins": bins}, calibration, {"probabilities": True, "weighted": True})
      for kind in KINDS[:2] for norm, bins in (("l1", 15), ("l2", 10), ("max", 5))),
]


def difference(want, got):
    """What is not equal, or None."""
    if isinstance(want, dict):
        texts = (f"{key}: {text}" for key in want if (text := difference(want[key], got[key])))
        return next(texts, None)
    want = np.asarray(want, dtype=float)
    got = np.array(json.loads(json.dumps(got).replace('"empty"', "[]")), dtype=float).reshape(-1)
    if want.size != got.size:
        return f"{want} of {want.size} numbers, got {got.size}: {got}"
    same = np.isclose(want.reshape(-1), got, rtol=1e-11, atol=1e-12, equal_nan=True)
    return None if same.all() else f"expected {want.tolist()}, got {got.tolist()}"


def near(want, got):
    """Whether two results of ours are the same but for the order of sums."""
    if isinstance(want, dict):
        return all(near(want[key], got[key]) for key in want)
    return difference(json.loads(json.dumps(want).replace('"empty"', "[]")), got) is None


@pytest.fixture(scope="module")
def results(trainhost, tmp_path_factory):
    cases = []
    for number, (metric, kind, options, expected, how) in enumerate(TABLE):
        for k in range(CASES):
            data = Data(np.random.default_rng([6, number, k]), kind, **how)
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                want = expected(data, options)
            cases.append({"metric": metric, "options": options, "whole": data.batch(slice(None)), "parts": data.batches(),
                          "want": want, "kind": kind})
    path = tmp_path_factory.mktemp("classification") / "cases.json"
    path.write_text(json.dumps([{k: v for k, v in case.items() if k not in ("want", "kind")} for case in cases]))
    got = json.loads(trainhost.lua(LUA, "--", path))
    assert len(got) == len(cases) >= 300
    return list(zip(cases, got))


def test_bins_are_those_of_keras(trainhost, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    rng, cases, want = np.random.default_rng(7), [], []
    for bins in (2, 3, 11, 50, 200) * 4:
        scores, target = rng.random(40).astype("float32"), rng.integers(0, 2, 40)
        metric = keras.metrics.AUC(num_thresholds=bins)
        metric.update_state(target, scores)
        want.append(float(metric.result()))
        batch = {"pred": encode(scores, "float32"), "target": encode(target, "int64")}
        cases.append({"metric": "AUC", "options": {"bins": bins}, "whole": batch, "parts": [batch]})
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    got = json.loads(trainhost.lua(LUA, "--", tmp_path / "cases.json"))
    assert [float(one[0]) for one in got] == pytest.approx(want, abs=2e-6)


def report(wrong):
    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong[:20])


def test_equal_to_scikit_learn(results):
    report([f"{case['metric']} {case['kind']} {case['options']} of {len(case['whole']['target']['values'])}: {text}"
            for case, got in results if (text := difference(case["want"], got[0]))])


@pytest.mark.parametrize("way", ["streamed", "merged"])
def test_parts_equal_the_whole(results, way):
    report([f"{case['metric']} {case['kind']} {case['options']}: {got[0]}, {way} {got[1 if way == 'streamed' else 2]}"
            for case, got in results if not near(got[0], got[1 if way == "streamed" else 2])])
