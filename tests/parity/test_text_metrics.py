# ROUGE against rouge-score, error rates against jiwer, perplexity against PyTorch's cross-entropy; random texts of few
# words, so that much is the same, with several languages, space of every kind and empty texts.
import math
import random

import jiwer
import numpy
import pytest
import streams
import torch
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer

WORDS = ("the cat cats sat sitting on a mat The CAT dog don't running runs happily 3 10-5 é naïve 中文 İstanbul \u212Aelvin x . , !"
         " relational conditional agreed").split(" ")
SPACES = (" ", " ", " ", "  ", "\n", "\n", "\t", " \u00a0", "\u3000")


def text(rng, most):
    return "".join(rng.choice(WORDS) + rng.choice(SPACES) for _ in range(rng.randint(0, most)))


def near(rng, line):
    """A text that shares much with `line`."""
    words = line.split(" ")
    for _ in range(rng.randint(0, 4)):
        i = rng.randrange(len(words))
        what = rng.random()
        words[i:i + 1] = [] if what < 0.3 and len(words) > 1 else [rng.choice(WORDS)] if what < 0.6 else [words[i], rng.choice(WORDS)]
    if rng.random() < 0.2:
        rng.shuffle(words)
    return " ".join(words)


def corpus(rng, most):
    references = [text(rng, rng.choice((1, 6, most))) for _ in range(rng.choice((1, 2, 6)))]
    return [near(rng, each) if rng.random() < 0.8 else text(rng, most) for each in references], references


def weights(rng, count):
    return [rng.random() + 0.1 for _ in range(count)] if rng.random() < 0.4 else None


def errors(process, hypotheses, references, weight):
    """Of weighted texts: their edits weighted, as jiwer's for each."""
    whole = process(references, hypotheses)
    if weight is None:
        return (whole.wer if process is jiwer.process_words else whole.cer), whole
    wrong = there = extra = 0
    for hypothesis, reference, w in zip(hypotheses, references, weight):
        one = process([reference], [hypothesis])
        wrong += w * (one.substitutions + one.deletions + one.insertions)
        there += w * (one.hits + one.substitutions + one.deletions)
        extra += w * one.insertions
    return (wrong / there if there else extra), None


@pytest.mark.parametrize("metric", ["WordErrorRate", "CharErrorRate"])
def test_error_rates(trainhost, tmp_path, metric):
    process = jiwer.process_words if metric == "WordErrorRate" else jiwer.process_characters
    rng = random.Random(metric)
    cases = streams.Streams(tmp_path)
    details = []
    for i in range(120):
        hypotheses, references = corpus(rng, 20)
        weight = weights(rng, len(references))
        expected, whole = errors(process, hypotheses, references, weight)
        cases.add(rng, metric, {}, [hypotheses, references, weight], float(expected))
        if whole is not None:
            name = f"details {i}"
            cases.exchange.case(name, f"local m = require('train').metrics.{metric}() m:update({cases.value(hypotheses)}, {cases.value(references)}) "
                                      "local d = m:details() return d.hits, d.substitutions, d.deletions, d.insertions")
            details.append((name, [whole.hits, whole.substitutions, whole.deletions, whole.insertions]))
    cases.check(trainhost, 120)
    results = cases.exchange.run(trainhost)
    for name, expected in details:
        assert results[name].values == expected, name


def test_long_texts(trainhost, tmp_path):
    """More than a machine word of tokens, and a matrix too large to keep."""
    rng = random.Random(5)
    cases = streams.Streams(tmp_path)
    for length in (63, 64, 65, 128, 200, 1000):
        reference = " ".join(rng.choice(WORDS) for _ in range(length))
        hypothesis = near(rng, near(rng, near(rng, reference)))
        cases.add(rng, "WordErrorRate", {}, [[hypothesis], [reference], None], float(jiwer.wer(reference, hypothesis)))
        cases.add(rng, "CharErrorRate", {}, [[hypothesis], [reference], None], float(jiwer.cer(reference, hypothesis)))
    reference = "".join(rng.choice("abcd") for _ in range(20000))
    hypothesis = "x" + "".join(c for c in reference if rng.random() > 0.1) + "y"
    cases.add(rng, "CharErrorRate", {}, [[hypothesis], [reference], None], float(jiwer.cer(reference, hypothesis)))
    cases.check(trainhost, 13)


@pytest.mark.parametrize("stemmer", [False, True])
def test_rouge(trainhost, tmp_path, stemmer):
    rng = random.Random(f"rouge {stemmer}")
    cases = streams.Streams(tmp_path)
    names = ["rouge1", "rouge2", "rouge3", "rougeL", "rougeLsum"]
    scorer = rouge_scorer.RougeScorer(names, use_stemmer=stemmer)
    parts = [(name, part) for name in names for part in ("precision", "recall", "fmeasure")]
    for _ in range(80):
        hypotheses, references = corpus(rng, 40)
        weight = weights(rng, len(references))
        several = rng.random() < 0.4
        accumulate = rng.choice(("best", "avg"))
        if several:
            references = [[each] + [near(rng, each) for _ in range(rng.randint(0, 2))] for each in references]
        scores = []
        for hypothesis, reference in zip(hypotheses, references):
            reference = reference if several else [reference]
            if accumulate == "best":
                best = scorer.score_multi(reference, hypothesis)
                scores.append([getattr(best[name], part) for name, part in parts])
            else:
                each = [scorer.score(one, hypothesis) for one in reference]
                scores.append([numpy.mean([getattr(one[name], part) for one in each]) for name, part in parts])
        expected = numpy.average(scores, axis=0, weights=weight).tolist()
        options = {"rouge_types": names, "use_stemmer": stemmer, "accumulate": accumulate}
        cases.add(rng, "ROUGE", options, [hypotheses, references, weight], expected,
                  fields=[f"{name}_{part}" for name, part in parts])
    cases.check(trainhost, 80)


def test_stems_are_nltk_s(trainhost, tmp_path):
    rng = random.Random(8)
    stemmer = PorterStemmer()
    ends = ("sses ies ied s ss eed ed ing ational tional enci anci izer bli alli entli eli ousli ization ation ator alism iveness fulness "
            "ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent "
            "sion tion ou ism ate iti ous ive ize e ll y at bl iz").split(" ")
    words = ["skies", "dying", "innings", "outing", "howe", "proceed", "succeed", "news", "ties", "tied", "flies", "enjoy", "hopping", "falling",
             "hissing", "filing", "yyyy", "syzygy", "controll", "rolling", "3rd4", "abcd1234ed"]
    for _ in range(6000):
        start = "".join(rng.choice("aeiouybcdflnrstwx") for _ in range(rng.randint(1, 7)))
        words.append(start + "".join(rng.choice(ends) for _ in range(rng.randint(0, 3))))
    words = [word for word in words if len(word) > 3]
    out = trainhost.lua("local f = io.open(arg[1]) local t = f:read('a') f:close() "
                        "print(table.concat(train.metrics.ROUGE{use_stemmer = true}:tokens(t), ' '))".replace("train.", "require('train').", 1),
                        "--", write(tmp_path, " ".join(words)))
    got = out.split()
    assert len(got) == len(words)
    different = [(word, stem, stemmer.stem(word)) for word, stem in zip(words, got) if stem != stemmer.stem(word)]
    assert not different, different[:5]


def write(folder, content):
    (folder / "words.txt").write_text(content)
    return folder / "words.txt"


def test_perplexity(trainhost, tmp_path):
    rng = random.Random(6)
    cases = streams.Streams(tmp_path)
    for _ in range(60):
        generator = streams.generator(rng)
        shape, vocabulary = [rng.randint(1, 6) for _ in range(rng.randint(1, 2))], rng.randint(2, 9)
        logits = torch.randn(*shape, vocabulary, generator=generator) * 3
        target = torch.randint(vocabulary, shape, generator=generator)
        options = {"from_logits": rng.random() < 0.6}
        ignore = rng.choice((-100, -100, 0, vocabulary))
        if ignore != -100:
            options["ignore_index"] = ignore
        target[torch.rand(shape, generator=generator) < 0.2] = ignore
        weight = rng.choice((None, torch.rand(shape, generator=generator, dtype=torch.float64) + 0.1,
                             torch.rand(shape[0], generator=generator, dtype=torch.float64) + 0.1))
        each = torch.nn.functional.cross_entropy(logits.double().reshape(-1, vocabulary), target.flatten(), ignore_index=ignore, reduction="none")
        counted = (target != ignore).double()
        if weight is not None:
            counted = counted * weight.reshape(*weight.shape, *[1] * (target.dim() - weight.dim()))
        counted = counted.flatten()
        expected = math.exp((each * counted).sum() / counted.sum()) if counted.sum() > 0 else math.nan
        cases.add(rng, "Perplexity", options, [logits if options["from_logits"] else logits.softmax(-1), target, weight], expected, rtol=2e-6)
    cases.check(trainhost, 50)
