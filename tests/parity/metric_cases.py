# Random images for tests and measurements of mean average precision, and what pycocotools makes of them.
import contextlib
import io

import numpy
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def boxes(rng, count, whole):
    """xywh of all of COCO's sizes."""
    side = numpy.exp(rng.uniform(numpy.log(4), numpy.log(200), (count, 2)))
    result = numpy.concatenate([rng.uniform(0, 300, (count, 2)), side], 1)
    return numpy.round(result) if whole else result


def image(rng, classes, whole, most, ties):
    """(predictions, targets): detections near to objects, detections of nothing, crowds, areas of their own."""
    there = int(rng.integers(0, most + 1)) if rng.random() > 0.15 else 0
    objects = boxes(rng, there, whole)
    labels = rng.integers(0, classes, there)
    near = numpy.repeat(numpy.arange(there), rng.integers(0, 4, there))  # the object of each detection that is near to one
    found = objects[near] + rng.normal(0, 0.12, (len(near), 4)) * objects[near][:, [2, 3, 2, 3]]
    guesses = int(rng.integers(0, most + 1))
    detections = numpy.concatenate([numpy.round(found) if whole else found, boxes(rng, guesses, whole)])
    detections[:, 2:] = numpy.maximum(detections[:, 2:], 1)
    names = numpy.concatenate([labels[near], rng.integers(0, classes + 1, guesses)])
    scores = rng.integers(0, 8, len(detections)) / 8 if ties else rng.random(len(detections))
    predictions = {"boxes": detections.tolist(), "scores": scores.tolist(), "labels": names.astype(int).tolist()}
    targets = {"boxes": objects.tolist(), "labels": labels.tolist(),
               "iscrowd": (rng.random(there) < 0.2).astype(int).tolist()}
    if rng.random() < 0.5:
        targets["area"] = (objects[:, 2] * objects[:, 3] * rng.uniform(0.3, 1, there)).tolist()
    return predictions, targets


def images(seed, count, classes, most, whole=False, ties=False):
    rng = numpy.random.default_rng(seed)
    return [image(rng, classes, whole, most, ties) for _ in range(count)]


def coco(images):
    """The objects and the detections (boxes as xywh) as pycocotools holds them."""
    objects, detections, labels = [], [], set()
    for number, (predictions, targets) in enumerate(images):
        areas = targets.get("area", [box[2] * box[3] for box in targets["boxes"]])
        crowds = targets.get("iscrowd", [0] * len(areas))
        for box, label, area, crowd in zip(targets["boxes"], targets["labels"], areas, crowds, strict=True):
            objects.append({"id": len(objects) + 1, "image_id": number, "category_id": label, "bbox": box, "area": area,
                            "iscrowd": crowd})
        for box, label, score in zip(predictions["boxes"], predictions["labels"], predictions["scores"], strict=True):
            detections.append({"id": len(detections) + 1, "image_id": number, "category_id": label, "bbox": box,
                               "score": score, "area": box[2] * box[3]})
        labels.update(targets["labels"], predictions["labels"])
    held = []
    for annotations in (objects, detections):
        api = COCO()
        api.dataset = {"images": [{"id": number} for number in range(len(images))],
                       "categories": [{"id": label} for label in sorted(labels)], "annotations": annotations}
        with contextlib.redirect_stdout(io.StringIO()):
            api.createIndex()
        held.append(api)
    return held


def evaluate(objects, detections, pooled=False, most=None):
    """pycocotools' evaluation of them."""
    evaluation = COCOeval(objects, detections, "bbox")
    evaluation.params.useCats = 0 if pooled else 1
    if most:
        evaluation.params.maxDets = list(most)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation
