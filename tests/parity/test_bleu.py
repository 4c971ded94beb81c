# train.metrics.BLEU against sacrebleu: random texts, every tokenizer that it has, every smoothing.
import json
import os
import random

import pytest
import sacrebleu

LONG = os.environ.get("TRAINHOST_LONG", "0") not in ("", "0")
TOKENIZERS = ("13a", "none", "char", "intl", "zh")

PRELUDE = """
local host, train = require "host", require "train"
local file = assert(io.open(arg[1]))
local cases, out = host.json.decode(file:read "a"), {}
file:close()
"""

# One metric of all texts; as many as there are parts, merged; one that goes on from a state.
SCORES = PRELUDE + """
for i, case in ipairs(cases) do
  local whole, merged = train.metrics.BLEU(case.options), train.metrics.BLEU(case.options)
  for _, part in ipairs(case.parts) do
    whole:update(part[1], part[2])
    local one, loaded = train.metrics.BLEU(case.options), train.metrics.BLEU(case.options)
    one:update(part[1], part[2])
    loaded:load_state_dict(one:state_dict())
    merged:merge(loaded)
  end
  local details = whole:details()
  details.text, details.merged, details.result = tostring(whole), tostring(merged), whole:result()
  out[i] = details
end
print(host.json.encode(out))
"""

TOKENS = PRELUDE + """
for i, case in ipairs(cases) do
  out[i] = table.concat(train.metrics.BLEU{tokenize = case[1], lowercase = case[2]}:tokens(case[3]), " ")
end
print(host.json.encode(out))
"""

WORDS = ("the cat sat on a mat . , ! ? ; : ' \" ( ) [ ] { } - -- 3 3.14 1,000 10-5 $5 5% don't U.S. e.g. it's A.B.C &quot; &amp; "
         "&amp;lt; &lt;b&gt; <skipped> x-\ny Straße ÉTÉ naïve İstanbul ΟΔΟΣ Σ ΑΣ' Ж ＡＢＣ １２ ½ ٣ 中文 漢字 日本語 。 、 「 » « … — "
         "€ ™ 😀 👍🏽 é ́ \u200b \u00a0 \u3000 _ / \\ @ # ~ ^ * + = | < > ` a.b 1.b a.1 1.1 ,, .. 1-2-3 –").split(" ")


def text(rng, most=14, words=WORDS):
    return "".join(rng.choice(words) + rng.choice((" ", " ", " ", "", "  ", "\t", " \n"))
                   for _ in range(rng.randint(0, most)))


def near(rng, line):
    """A text that shares much with `line`."""
    words = [word for word in line.split(" ") if rng.random() > 0.2]
    if len(words) > 1 and rng.random() < 0.5:
        i = rng.randrange(len(words) - 1)
        words[i], words[i + 1] = words[i + 1], words[i]
    return " ".join(words + ([rng.choice(WORDS)] if rng.random() < 0.4 else []))


def corpus(rng, many):
    hypotheses, references = [], []
    several = rng.randint(1, 4)
    for _ in range(many):
        line = text(rng, rng.choice((2, 5, 14)))
        count = several if rng.random() < 0.95 else rng.randint(1, 4)
        references.append([near(rng, line) for _ in range(count)])
        hypotheses.append(rng.choice((line, line, text(rng), "")))
    return hypotheses, references


def call(trainhost, tmp_path, code, cases):
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    return json.loads(trainhost.lua(code, "--", tmp_path / "cases.json"))


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_equal_to_sacrebleu(trainhost, tmp_path, tokenizer):
    rng = random.Random(f"corpus {tokenizer}")
    cases, expected = [], []
    for i in range(60):
        hypotheses, references = corpus(rng, rng.choice((1, 1, 2, 5, 20)))
        options = {"tokenize": tokenizer, "lowercase": rng.random() < 0.3, "effective_order": rng.random() < 0.3,
                   "smooth_method": ("exp", "floor", "add-k", "none")[i % 4], "max_ngram_order": rng.choice((4, 4, 4, 1, 2, 6))}
        if options["smooth_method"] in ("floor", "add-k") and rng.random() < 0.5:
            options["smooth_value"] = rng.choice((0.01, 0.5, 2, 0))
        half = rng.randint(0, len(hypotheses))
        # A text with one reference may have it as a string.
        given = [each[0] if len(each) == 1 and rng.random() < 0.5 else each for each in references]
        cases.append({"options": options, "parts": [[hypotheses[:half], given[:half]], [hypotheses[half:], given[half:]]]})
        streams = [[each[n] if n < len(each) else None for each in references] for n in range(max(map(len, references)))]
        metric = sacrebleu.BLEU(**options, force=True)
        expected.append((metric.corpus_score(hypotheses, streams), metric.get_signature()))
    scores = set()
    for (score, signature), got, case in zip(expected, call(trainhost, tmp_path, SCORES, cases), cases, strict=True):
        assert got["result"] == got["score"] == pytest.approx(score.score, rel=1e-12, abs=1e-12), case
        for name in ("counts", "totals", "precisions", "bp", "sys_len", "ref_len"):
            assert got[name] == pytest.approx(getattr(score, name), rel=1e-12), (name, case)
        assert got["text"] == got["merged"] == score.format(signature=str(signature))
        scores.add(round(score.score))
    assert len(scores) > 10 and 0 in scores


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_tokens_are_sacrebleu_s(trainhost, tmp_path, tokenizer, lowercase):
    rng = random.Random(f"tokens {tokenizer} {lowercase}")
    metric = sacrebleu.BLEU(tokenize=tokenizer, lowercase=lowercase)
    texts = [text(rng, 20) for _ in range(400)] + [text(rng, 12, "aA1.,-&'Σςσ ́:½€。中\n;") for _ in range(400)]
    got = call(trainhost, tmp_path, TOKENS, [[tokenizer, lowercase, each] for each in texts])
    for each, tokens in zip(texts, got, strict=True):
        assert tokens == " ".join(metric._preprocess_segment(each).split()), repr(each)


@pytest.mark.parametrize("tokenizer", ["intl", "none"])
def test_tokens_of_every_character(trainhost, tmp_path, tokenizer):
    """Those between letters and between digits; lower case of the characters that Unicode 14 has."""
    rng = random.Random(7)
    codes = [code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
    chosen = codes if LONG else [*range(0x3000), *rng.sample(codes, 8000)]
    lowercase = tokenizer == "none"
    if lowercase:
        chosen = [code for code in chosen if not 0xA7CB <= code <= 0xA7DC and code < 0x10D00]
    metric = sacrebleu.BLEU(tokenize=tokenizer, lowercase=lowercase)
    lines = ["".join(f"a{chr(code)}b 1{chr(code)}2 {chr(code)} Α{chr(code)}Σ Σ{chr(code)}Α " for code in chosen[i:i + 500])
             for i in range(0, len(chosen), 500)]
    got = call(trainhost, tmp_path, TOKENS, [[tokenizer, lowercase, line] for line in lines])
    for line, tokens in zip(lines, got, strict=True):
        expected = metric._preprocess_segment(line).split()
        different = [pair for pair in zip(expected, tokens.split(" ")) if pair[0] != pair[1]][:3]
        assert not different and len(expected) == tokens.count(" ") + 1, different
