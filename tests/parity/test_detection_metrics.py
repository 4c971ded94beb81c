# train.metrics.MeanAveragePrecision against pycocotools, and against PASCAL VOC's rules written out.
import json
import os

import metric_cases
import numpy
import pytest

LONG = os.environ.get("TRAINHOST_LONG", "0") not in ("", "0")
STATS = ("map", "map_50", "map_75", "map_small", "map_medium", "map_large", "mar_1", "mar_10", "mar_100", "mar_small",
         "mar_medium", "mar_large")

PRELUDE = """
local host, torch, train = require "host", require "torch", require "train"
local file = assert(io.open(arg[1]))
local cases, out = host.json.decode(file:read "a"), {}
file:close()
for i, case in ipairs(cases) do
  local metrics = {}
  for part = 1, 2 do
    local metric = train.metrics.MeanAveragePrecision(case.options)
    for _, batch in ipairs(case.batches[part]) do metric:update(batch[1], batch[2]) end
    metrics[part] = metric
  end
  metrics[1]:merge(metrics[2])
  local metric = train.metrics.MeanAveragePrecision(case.options)
  metric:load_state_dict(metrics[1]:state_dict())
  local curves = metric:curves()
  out[i] = {result = metric:result(), precision = curves.precision:tolist(), recall = curves.recall:tolist()}
end
print(host.json.encode(out))
"""


def convert(box, form):
    x, y, w, h = box
    return {"xyxy": [x, y, x + w, y + h], "xywh": box, "cxcywh": [x + w / 2, y + h / 2, w, h]}[form]


def case(images, seed, form="xywh", **options):
    """Two metrics that are merged, each updated in batches of random sizes."""
    rng = numpy.random.default_rng(seed)
    converted = [[{**side, "boxes": [convert(box, form) for box in side["boxes"]]} for side in pair] for pair in images]
    half, batches = int(rng.integers(0, len(images) + 1)), ([], [])
    for part, chosen in enumerate((converted[:half], converted[half:])):
        while chosen:
            size = int(rng.integers(1, 4))
            batches[part].append([[pair[0] for pair in chosen[:size]], [pair[1] for pair in chosen[:size]]])
            chosen = chosen[size:]
    return {"options": {"box_format": form, **options}, "batches": batches}


def run(trainhost, tmp_path, cases):
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    return json.loads(trainhost.lua(PRELUDE, "--", tmp_path / "cases.json"))


def same_as_coco(images, got, **options):
    evaluation = metric_cases.evaluate(*metric_cases.coco(images), **options)
    result = got["result"]
    stats = STATS if len(evaluation.params.maxDets) == 3 and evaluation.params.maxDets[2] == 100 else ()
    for name, value in zip(stats, evaluation.stats):
        assert result[name] == pytest.approx(value, abs=1e-12), name
    labels = [0] if options.get("pooled") else evaluation.params.catIds
    assert list(result["classes"]) == labels  # an empty one is an object of JSON
    if labels:
        assert numpy.array_equal(numpy.array(got["precision"]), evaluation.eval["precision"])
        assert numpy.array_equal(numpy.array(got["recall"]), evaluation.eval["recall"])
    for k, value in enumerate(result["map_per_class"]):
        precision = evaluation.eval["precision"][:, :, k, 0, -1]
        assert value == pytest.approx(precision.mean() if precision.max() > -1 else -1, abs=1e-12)


@pytest.mark.parametrize("seed", range(30 if LONG else 3))
def test_equal_to_pycocotools(trainhost, tmp_path, seed):
    images = [metric_cases.images(100 * seed + i, count=i % 9, classes=1 + i % 4, most=(3, 8, 25)[i % 3], whole=i % 2 == 0,
                                  ties=i % 5 < 3) for i in range(20)]
    cases = [case(each, seed) for each in images]
    for each, got in zip(images, run(trainhost, tmp_path, cases), strict=True):
        same_as_coco(each, got)


def test_more_detections_than_count_and_other_limits(trainhost, tmp_path):
    images = [metric_cases.images(i, count=3, classes=1, most=70, ties=i % 2 == 0) for i in range(6)]
    assert max(len(pair[0]["scores"]) for each in images for pair in each) > 100
    limits = [None, [1, 10, 100], [2, 5, 7], [1, 3, 1000], None, [1, 10, 100]]
    cases = [case(each, 1, **({"max_detection_thresholds": limit} if limit else {})) for each, limit in zip(images, limits)]
    for each, limit, got in zip(images, limits, run(trainhost, tmp_path, cases), strict=True):
        same_as_coco(each, got, most=limit)


def test_all_classes_as_one(trainhost, tmp_path):
    images = [metric_cases.images(i, count=4, classes=3, most=10, ties=True) for i in range(8)]
    cases = [case(each, i, average="micro") for i, each in enumerate(images)]
    for each, got in zip(images, run(trainhost, tmp_path, cases), strict=True):
        same_as_coco(each, got, pooled=True)


def test_box_formats(trainhost, tmp_path):
    images = metric_cases.images(5, count=8, classes=2, most=8, whole=True, ties=True)  # whole numbers convert exactly
    for got in run(trainhost, tmp_path, [case(images, 2, form) for form in ("xyxy", "xywh", "cxcywh")]):
        same_as_coco(images, got)


# --- PASCAL VOC: VOCevaldet.m of the development kit, a detection at a time over all images.

def voc(images, label, threshold, inclusive, year):
    more = 1 if inclusive else 0
    there = [[(box, hard) for box, name, hard in zip(t["boxes"], t["labels"], t["difficult"]) if name == label] for _, t in images]
    count = sum(not hard for each in there for _, hard in each)
    if count == 0:
        return -1
    found = [(score, n, box) for n, (p, _) in enumerate(images)
             for box, name, score in zip(p["boxes"], p["labels"], p["scores"]) if name == label]
    found.sort(key=lambda each: -each[0])
    taken, hits, misses, curve = set(), 0, 0, []
    for _, n, (x, y, w, h) in found:
        best, which = 0, None
        for j, ((gx, gy, gw, gh), _) in enumerate(there[n]):
            iw = min(x + w, gx + gw) - max(x, gx) + more
            ih = min(y + h, gy + gh) - max(y, gy) + more
            if iw > 0 and ih > 0:
                both = iw * ih
                overlap = both / ((w + more) * (h + more) + (gw + more) * (gh + more) - both)
                if overlap > best:
                    best, which = overlap, j
        if which is None or best < threshold:
            misses += 1
        elif not there[n][which][1]:
            hits, misses = (hits + 1, misses) if (n, which) not in taken else (hits, misses + 1)
            taken.add((n, which))
        if hits + misses:
            curve.append((hits / count, hits / (hits + misses)))
    if year == 2007:
        return sum(max((p for r, p in curve if r >= point), default=0) for point in numpy.arange(0, 1.1, 0.1)) / 11
    recall = numpy.array([0, *(r for r, _ in curve), 1])
    precision = numpy.maximum.accumulate(numpy.array([0, *(p for _, p in curve), 0])[::-1])[::-1]
    return float((numpy.diff(recall) * precision[1:]).sum())


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("year", [2007, 2010])
def test_equal_to_voc(trainhost, tmp_path, year, inclusive):
    several = [metric_cases.images(40 + i, count=1 + i, classes=3, most=12, whole=True, ties=i % 2 == 0) for i in range(8)]
    for images in several:
        for _, targets in images:
            targets["difficult"] = targets.pop("iscrowd")
    form = "xyxy" if inclusive else "xywh"
    cases = [case(each, i, form, style=f"voc{year}", inclusive=inclusive) for i, each in enumerate(several)]
    for images, got in zip(several, run(trainhost, tmp_path, cases), strict=True):
        expected = [voc(images, label, 0.5, inclusive, year) for label in got["result"]["classes"]]
        assert got["result"]["map_per_class"] == pytest.approx(expected, abs=1e-12)
        known = [value for value in expected if value > -1]
        assert got["result"]["map"] == pytest.approx(numpy.mean(known) if known else -1, abs=1e-12)
        assert got["result"]["map_50"] == got["result"]["map"] and got["result"]["map_75"] == -1
