# Mean average precision of 5,000 images by pycocotools and BLEU of 5,000 texts by sacrebleu, as metrics.lua.
import contextlib
import io
import math
import time

import sacrebleu
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

IMAGES, CLASSES, TEXTS = 5000, 80, 5000
state = 1


def draw():
    global state
    state = state * 48271 % 2147483647
    return state / 2147483647


def below(count):
    return math.floor(draw() * count)


def box():
    w, h = 4 + 200 * draw() ** 2, 4 + 200 * draw() ** 2
    return [440 * draw(), 440 * draw(), w, h]


def moved(near):
    return [near[0] + (draw() - 0.5) * 0.2 * near[2], near[1] + (draw() - 0.5) * 0.2 * near[3], near[2] * (0.9 + 0.2 * draw()),
            near[3] * (0.9 + 0.2 * draw())]


def entry(into, image, box, label, **more):
    into.append({"id": len(into) + 1, "image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3], **more})


def image(number, objects, detections):
    for _ in range(below(15)):
        there, label, crowd = box(), below(CLASSES), 1 if draw() < 0.02 else 0
        entry(objects, number, there, label, iscrowd=crowd)
        for _ in range(2):
            entry(detections, number, moved(there), label, score=0.3 + 0.7 * draw())
    for _ in range(20):
        entry(detections, number, box(), below(CLASSES), score=draw() ** 2)


def text():
    words, near = [], []
    for _ in range(5 + below(30)):
        words.append(f"word{below(2000)}" + ("," if draw() < 0.15 else ""))
        if draw() < 0.8:
            near.append(words[-1])
    return " ".join(near) + ".", " ".join(words) + "."


def api(annotations):
    held = COCO()
    held.dataset = {"images": [{"id": number} for number in range(IMAGES)],
                    "categories": [{"id": label} for label in range(CLASSES)], "annotations": annotations}
    held.createIndex()
    return held


objects, detections = [], []
for number in range(IMAGES):
    image(number, objects, detections)
with contextlib.redirect_stdout(io.StringIO()):
    objects, detections = api(objects), api(detections)
    began = time.process_time()
    evaluation = COCOeval(objects, detections, "bbox")
    evaluation.evaluate()
    evaluated = time.process_time()
    evaluation.accumulate()
    evaluation.summarize()
print(f"map {time.process_time() - began:.9f} {evaluation.stats[0]:.17g}")
print(f"map_result {time.process_time() - evaluated:.9f} {evaluation.stats[8]:.17g}")

pairs = [text() for _ in range(TEXTS)]
hypotheses, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
began = time.process_time()
score = sacrebleu.BLEU().corpus_score(hypotheses, [references]).score
print(f"bleu {time.process_time() - began:.9f} {score:.17g}")
