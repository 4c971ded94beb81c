-- train.metrics.BLEU.
local test = require "test"
local train = require "train"
local BLEU = train.metrics.BLEU

local function score(options, hypotheses, references)
  local bleu = BLEU(options)
  bleu:update(hypotheses, references)
  return bleu:result()
end

test.case("the example of sacrebleu's README", function()
  local bleu = BLEU()
  bleu:update({"The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."}, {
    {"The dog bit the man.", "The dog had bit the man."}, {"It was not unexpected.", "No one was surprised."},
    {"The man bit him first.", "The man had bitten the dog."}})
  test.equal(tostring(bleu), "BLEU|nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0 = 48.53 82.4/50.0/45.5/37.5 "
    .. "(BP = 0.943 ratio = 0.944 hyp_len = 17 ref_len = 18)")
  test.near(bleu:result(), 48.530827, 1e-5)
end)

test.case("equal texts have 100, nothing in common 0, an empty hypothesis 0", function()
  test.near(score(nil, {"a b c d e"}, {"a b c d e"}), 100, 1e-9)
  test.equal(score(nil, {"a b c d e"}, {"v w x y z"}), 0.0)
  test.equal(score(nil, {""}, {"v w x y z"}), 0.0)
  local bleu = BLEU()
  test.truthy(bleu:result() ~= bleu:result(), "NaN before the first text")
end)

test.case("of two references equally near in length the shorter one counts", function()
  local bleu = BLEU()
  bleu:update({"a b c d"}, {{"a b c d e f", "a b"}})
  test.equal({bleu:details().ref_len, bleu:details().bp}, {2, 1.0})
end)

test.case("smoothing: what a missing order costs", function()
  local hypothesis, reference = {"a b x d"}, {"a b c d"}
  test.equal(score({smooth_method = "none"}, hypothesis, reference), 0.0)
  test.near(score({smooth_method = "exp"}, hypothesis, reference), (75 * 100 / 3 * 25 * 25) ^ 0.25, 1e-9)
  test.near(score({smooth_method = "floor"}, hypothesis, reference), (75 * 100 / 3 * 5 * 10) ^ 0.25, 1e-9)
  test.near(score({smooth_method = "add-k"}, hypothesis, reference), (75 * 50 * 100 / 3 * 50) ^ 0.25, 1e-9)
  test.near(score({smooth_method = "floor", smooth_value = 0.5}, hypothesis, reference), (75 * 100 / 3 * 25 * 50) ^ 0.25, 1e-9)
  test.near(score({effective_order = true}, {"a b"}, {"a b"}), 100, 1e-9)
  test.equal(score(nil, {"a b"}, {"a b"}) < 1e-9, true)
end)

test.case("lower case, tokenizers and their tokens", function()
  test.equal(BLEU {lowercase = true}:tokens("ÉTÉ, ΟΔΟΣ 3.5%"), {"été", ",", "οδος", "3.5", "%"})
  test.equal(BLEU {tokenize = "none"}:tokens(" Don't  stop. "), {"Don't", "stop."})
  test.equal(BLEU {tokenize = "char"}:tokens("né 1"), {"n", "é", "1"})
  test.equal(BLEU {tokenize = "intl"}:tokens("1,5 €x—y"), {"1,5", "€", "x", "—", "y"})
  test.equal(BLEU {tokenize = "zh"}:tokens("我爱NLP."), {"我", "爱", "NLP", "."})
end)

test.case("parts, merging and a saved state give what all texts at once give", function()
  local hypotheses = {"the cat sat", "on the mat today", "a b c d e f", ""}
  local references = {{"the cat sat down", "a cat sat"}, "on a mat today", {"a b c e f"}, "nothing"}
  local whole, parts, other = BLEU(), BLEU(), BLEU()
  whole:update(hypotheses, references)
  parts:update(hypotheses[1], references[1])
  parts:update({}, {})
  other:update({hypotheses[2], hypotheses[3], hypotheses[4]}, {references[2], references[3], references[4]})
  parts:merge(other)
  parts:merge(BLEU())
  test.equal(tostring(parts), tostring(whole))
  test.truthy(whole:signature():find("nrefs:var|", 1, true))
  local loaded = BLEU()
  loaded:load_state_dict(parts:state_dict())
  test.equal(loaded:details(), whole:details())
  loaded:update("more", "words")
  test.equal(parts:details(), whole:details())
  parts:reset()
  parts:update("x", "x")
  test.equal(parts:signature(), "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0")
end)

test.case("what cannot be measured is refused", function()
  local bleu = BLEU()
  test.raises("2 hypotheses, but references for 1", bleu.update, bleu, {"a", "b"}, {"a"})
  test.raises("argument 'references[1]' must be a string or a list of strings, got", bleu.update, bleu, {"a"}, {{}})
  test.raises("argument 'hypotheses[2]' must be a string", bleu.update, bleu, {"a", 3}, {"a", "b"})
  test.raises("argument 'hypotheses' must be a string or a list of strings, got nil", bleu.update, bleu, nil, {"a"})
  test.raises("texts have no weights", bleu.update, bleu, {"a"}, {"a"}, 2)
  test.equal(bleu.sentences, 0)
  test.raises("the tokenizer 'ja-mecab' is not available: it needs a model", BLEU, {tokenize = "ja-mecab"})
  test.raises('tokenize must be "13a", "none", "char", "intl" or "zh"', BLEU, {tokenize = "14a"})
  test.raises('smooth_method must be "exp", "floor", "add-k" or "none"', BLEU, {smooth_method = "add"})
  test.raises("cannot merge: tokenize is 13a here, char there", bleu.merge, bleu, BLEU {tokenize = "char"})
end)
