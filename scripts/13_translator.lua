-- A Transformer translates short English sentences into German; BLEU on sentences that it has not seen.
--
--   trainhost scripts/13_translator.lua [--set epochs=30] [--set beam=4] [--set file=pairs.tsv]
local host = require "host"
local torch = require "torch"
local train = require "train"
local Translator = require "models.translator"
local read = require "data.read"
local vocabulary = require "models.vocabulary"
local F = torch.nn.functional

local file = host.param("file", "", {doc = "lines sentence <tab> translation; without one, data/eng_deu.tsv"})
local width = host.param("width", 96, {min = 2})
local heads = host.param("heads", 4, {min = 1})
local layers = host.param("layers", 2, {min = 1})
local dropout = host.param("dropout", 0.2, {min = 0, max = 1})
local epochs = host.param("epochs", 30, {min = 1})
local batch_size = host.param("batch_size", 64, {min = 1})
local lr = host.param("lr", 2e-3, {min = 0})
local beam = host.param("beam", 4, {min = 1, doc = "beginnings that are kept while a sentence is written; 1: greedy alone"})
local limit = host.param("limit", 0, {min = 0, doc = "sentences to read, for a quick try; 0 reads all"})
local seed = host.param("seed", 1)

torch.manual_seed(seed)
local sentences, words = {}, {source = {}, target = {}}
for _, pair in ipairs(read.sentence_pairs(file)) do
  if limit == 0 or #sentences < limit then
    local each = {source = vocabulary.split(pair.source), targets = {}}
    for i, target in ipairs(pair.targets) do each.targets[i] = vocabulary.split(target) end
    sentences[#sentences + 1] = each
  end
end
read.at_least(file, "eng_deu.tsv", #sentences, 2, "pairs of sentences")
local order = torch.randperm(#sentences):tolist()
local test_count = math.max(1, #sentences // 10)
local tested, fitted = {}, {}
for i, place in ipairs(order) do table.insert(i <= test_count and tested or fitted, sentences[place + 1]) end
local longest, pairs_of_words = 0, {}
for _, each in ipairs(fitted) do
  words.source[#words.source + 1] = each.source
  for _, target in ipairs(each.targets) do
    words.target[#words.target + 1] = target
    pairs_of_words[#pairs_of_words + 1] = {each.source, target}
    longest = math.max(longest, #each.source + 2, #target + 2)
  end
end
for _, each in ipairs(tested) do longest = math.max(longest, #each.source + 2) end
local english, german = vocabulary.new(words.source, 2), vocabulary.new(words.target, 2)
print(("%d sentences with %d translations to learn from, %d to test; %d and %d words"):format(#fitted, #pairs_of_words,
  #tested, #english.words, #german.words))

-- In a new order each epoch; a batch is {source, target}.
local function batches()
  local places = torch.randperm(#pairs_of_words):tolist()
  local at = 0
  return function()
    if at >= #places then return nil end
    local from, to = {}, {}
    for i = at + 1, math.min(at + batch_size, #places) do
      local pair = pairs_of_words[places[i] + 1]
      from[#from + 1], to[#to + 1] = english:encode(pair[1]), german:encode(pair[2])
    end
    at = at + batch_size
    return {vocabulary.padded(from), vocabulary.padded(to)}
  end
end

local model = Translator {
  source_words = #english.words, target_words = #german.words, width = width, heads = heads, layers = layers,
  dropout = dropout, max_length = 2 * longest,
}
local steps = epochs * math.ceil(#pairs_of_words / batch_size)
local optimizer = torch.optim.AdamW(model:parameters(), {lr = lr, betas = {0.9, 0.98}})
local schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, {total_steps = steps, pct_start = 0.2})

train.fit {
  model = model, optimizer = optimizer, epochs = epochs, train = batches, clip_grad_norm = 1,
  scheduler = {schedule, interval = "step"},
  step = function(state, batch)
    local target = batch[2]
    local logits = state.model(batch[1], target["..., :-1"])  -- says each word from those before it
    return F.cross_entropy(logits:flatten(0, 1), target["..., 1:"]:flatten(),
      {ignore_index = Translator.pad, label_smoothing = 0.1})
  end,
}

model:eval()
local sources = {}
for i, each in ipairs(tested) do sources[i] = english:encode(each.source) end
local greedy = model:greedy(vocabulary.padded(sources), longest)
local searched = {}
for i, source in ipairs(sources) do
  searched[i] = beam > 1 and model:beam(torch.tensor {source}, longest, beam) or greedy[i]
end

local function bleu(translations)
  local said, wanted = {}, {}
  for i, each in ipairs(tested) do
    said[i], wanted[i] = german:decode(translations[i]), {}
    for k, target in ipairs(each.targets) do wanted[i][k] = table.concat(target, " ") end
  end
  local metric = train.metrics.BLEU {tokenize = "none"}
  metric:update(said, wanted)
  return metric:result()
end

for i = 1, math.min(8, #tested) do
  print(("%-28s %-36s (%s)"):format(table.concat(tested[i].source, " "), german:decode(searched[i]),
    table.concat(tested[i].targets[1], " ")))
end
print(("BLEU: %.1f greedy, %.1f with a beam of %d"):format(bleu(greedy), bleu(searched), beam))
