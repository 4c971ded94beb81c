-- train.metrics of texts: ROUGE, word and character error rate.
local test = require "test"
local torch = require "torch"
local train = require "train"
local metrics = train.metrics

local function new(name, options, ...)
  local metric = metrics[name](options)
  metric:update(...)
  return metric
end

test.case("the example of rouge-score's README", function()
  local result = new("ROUGE", {use_stemmer = true}, "The quick brown dog jumps on the log.",
    "The quick brown fox jumps over the lazy dog"):result()
  test.near(result.rouge1_precision, 0.75, 1e-15)
  test.near(result.rouge1_recall, 2 / 3, 1e-15)
  test.near(result.rouge1_fmeasure, 0.7058823529411765, 1e-15)
  test.near(result.rougeL_precision, 0.625, 1e-15)
  test.near(result.rougeL_fmeasure, 0.5882352941176471, 1e-15)
end)

test.case("rougeLsum looks for each sentence, a line, in all others", function()
  local rouge = new("ROUGE", {rouge_types = {"rougeL", "rougeLsum"}}, "c d\na b", "a b\nc d")
  test.equal(rouge:result().rougeL_fmeasure, 0.5)
  test.equal(rouge:result().rougeLsum_fmeasure, 1.0)
  test.equal(new("ROUGE", nil, "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5"):result().rougeLsum_recall, 0.8)
end)

test.case("tokens and stems", function()
  test.equal(metrics.ROUGE():tokens("Don't STOP_now, naïve 3.5 \u{212A}elvin İx"),
    {"don", "t", "stop", "now", "na", "ve", "3", "5", "kelvin", "i", "x"})
  test.equal(metrics.ROUGE {use_stemmer = true}:tokens("running flies dying relational skies cats was controlling"),
    {"run", "fli", "die", "relat", "sky", "cat", "was", "control"})
end)

test.case("of several references the best of each type, or the mean; weights; empty texts", function()
  local function f(options, ...) return new("ROUGE", options, ...):result().rouge1_fmeasure end
  test.equal(f(nil, {"a b"}, {{"c d", "a b"}}), 1.0)
  test.equal(f({accumulate = "avg"}, {"a b"}, {{"c d", "a b"}}), 0.5)
  test.equal(f(nil, {"a", "a"}, {"a", "b"}, {3, 1}), 0.75)
  test.equal(f(nil, {"a", "a"}, {"a", "b"}, torch.tensor {3.0, 1.0}), 0.75)
  test.equal(f(nil, "", "a"), 0.0)
  test.equal(f(nil, "", ""), 0.0)
end)

test.case("error rates: others, missing, too many, by what was said", function()
  local wer = new("WER", nil, {"this is the prediction", "there is an other sample"}, {"this is the reference", "there is another one"})
  test.equal(wer:result(), 0.5)
  local details = new("WER", nil, "a x c d d", "a b c e d f"):details()
  test.equal(details.substitutions + details.deletions + details.insertions, 3.0)
  test.near(details.error_rate, 3 / 6, 1e-15)
  test.near(details.wil, 1 - (3 / 6) * (3 / 5), 1e-15)
  test.equal(details.wip + details.wil, 1.0)
  test.equal(new("CER", nil, "hällo", "hallo"):result(), 0.2)
  test.equal(new("CER", nil, "a b", "ab"):result(), 0.5)
  test.equal(new("WER", nil, {"x", "a b"}, {"a", "a b"}, {1, 3}):result(), 1 / 7)
end)

test.case("blanks: several are one, those at the ends go", function()
  test.equal(new("WER", nil, "  a \n b  ", "a b"):result(), 0.0)
  test.equal(new("WER", nil, "a\tb", "a b"):result(), 1.0)
  test.equal(new("CER", nil, " \u{3000}ab\n", "ab"):result(), 0.0)
end)

test.case("references without words: silence, or as many errors as words", function()
  test.equal(new("WER", nil, "", ""):result(), 0.0)
  test.equal(new("WER", nil, "a b", ""):result(), 2.0)
  test.equal(new("WER", nil, {"a b", "c"}, {"", "c"}):result(), 2.0)
  test.equal(new("WER", nil, "", "a b"):result(), 1.0)
end)

test.case("what are no texts", function()
  local wer, rouge = metrics.WER(), metrics.ROUGE()
  test.equal(test.raises("WordErrorRate: 2 hypotheses, but references for 1", wer.update, wer, {"a", "b"}, {"a"}).kind, "usage")
  test.raises("WordErrorRate: argument 'hypotheses%[1%]' must be a string, got number 5", wer.update, wer, {5}, {"a"})
  test.raises("argument 'references' must be a string or a list of strings, got nil", wer.update, wer, {"a"})
  test.raises("argument 'hypotheses' must be", wer.update, wer, torch.ones(2), {"a"})
  test.raises("argument 'references%[1%]%[2%]' must be a string, got boolean", rouge.update, rouge, {"a"}, {{"a", true}})
  test.raises("argument 'references[1]' must be a string or a list of strings, got table", rouge.update, rouge, {"a"}, {{}})
  test.raises("weight must be a list of 1 numbers, one for each text, got 2", rouge.update, rouge, {"a"}, {"a"}, {1, 2})
  test.raises("a text has one reference, got 2", wer.update, wer, {"a"}, {{"a", "b"}})
end)

test.case("ROUGE's logs in train.fit: <name>1, <name>2, <name>L, <name>Lsum", function()
  local model = torch.nn.Linear(1, 1)
  local history = train.fit {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1}), epochs = 1, verbose = 0,
    train = {{torch.ones(2, 1)}},
    step = function(state, batch)
      state.output, state.target = {"the cat", "a dog"}, {"the cat", "the dog"}
      return model(batch[1]):sum()
    end,
    metrics = {rouge = metrics.ROUGE(), wer = metrics.WER()}}.history
  test.near(history.rouge1[1], 0.75, 1e-12)
  test.near(history.rouge2[1], 0.5, 1e-12)
  test.near(history.rougeLsum[1], 0.75, 1e-12)
  test.near(history.wer[1], 0.25, 1e-12)
end)
