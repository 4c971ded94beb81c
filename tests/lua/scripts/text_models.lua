-- The models of scripts/models for texts, scores and series: what they do beside training, which tests/parity compares.
local test = require "test"
local torch = require "torch"

package.path = "scripts/?.lua;" .. package.path
local CharLSTM = require "models.char_lstm"
local Forecaster = require "models.forecaster"
local GPT = require "models.gpt"
local MatrixFactorization = require "models.matrix_factorization"
local Translator = require "models.translator"
local read = require "data.read"
local vocabulary = require "models.vocabulary"

local function small_gpt()
  torch.manual_seed(1)
  local net = GPT {vocab_size = 17, block_size = 12, n_layer = 2, n_head = 2, n_embd = 16, dropout = 0.5, bias = true}
  for _, p in ipairs(net:parameters()) do torch.nn.init.normal_(p, 0, 0.3) end  -- far from saying the same of everything
  return net
end

test.case("the logits of a GPT that reads with a cache are those of one that reads at once", function()
  local _ <close> = torch.no_grad()
  local net = small_gpt():eval()
  local ids = torch.randint(0, 17, {3, 12})
  local whole = net(ids)
  for _, pieces in ipairs {{12}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {5, 1, 1, 4, 1}, {1, 11}} do
    local cache, at, parts = net:new_cache(3), 0, {}
    for i, size in ipairs(pieces) do
      parts[i] = net(ids:narrow(1, at, size), cache)
      at = at + size
    end
    test.truthy(torch.allclose(torch.cat(parts, 1), whole, {rtol = 1e-5, atol = 1e-6}), table.concat(pieces, " "))
    test.equal(cache.length, 12)
  end
  test.raises("longer than the block", net, torch.zeros(1, 13, {dtype = torch.int64}))
end)

test.case("a GPT writes the same with and without its cache, also beyond the block", function()
  local net = small_gpt()
  local start = torch.tensor {{3, 1}, {5, 0}}
  local function write(options)
    torch.manual_seed(7)
    return net:generate(start, 30, options)
  end
  for _, options in ipairs {{temperature = 0}, {}, {temperature = 0.5, top_k = 3}, {top_k = 100}} do
    local with = write(options)
    options.cache = false
    test.truthy(with:equal(write(options)))
    test.equal({with.shape[1], with.shape[2]}, {2, 32})
    test.truthy(with["..., :2"]:equal(start))
  end
  test.equal(net.training, true)
end)

test.case("top_k = 1 and temperature 0 take the likeliest, top_k = 3 one of the likeliest three", function()
  local _ <close> = torch.no_grad()
  local net = small_gpt()
  local start = torch.tensor {{3, 1, 4}}
  test.truthy(net:generate(start, 8, {top_k = 1}):equal(net:generate(start, 8, {temperature = 0})))
  net:eval()
  local _, places = net(start):select(1, -1):topk(3)
  local seen = {}
  for _ = 1, 60 do seen[net:generate(start, 1, {top_k = 3})[{0, -1}]:item()] = true end
  local count = 0
  for id in pairs(seen) do
    count = count + 1
    test.truthy(places:eq(id):any():item(), "not among the best: " .. id)
  end
  test.truthy(count > 1)
end)

test.case("the first weights of a GPT: the tables are one, the ends of residual paths are smaller", function()
  torch.manual_seed(1)
  local net = GPT {vocab_size = 50, block_size = 8, n_layer = 8, n_head = 2, n_embd = 32, dropout = 0, bias = false}
  test.truthy(net.transformer.wte.weight == net.lm_head.weight)
  test.near(net.lm_head.weight:std():item(), 0.02, 0.002)
  test.near(net.transformer.h[0].mlp.c_proj.weight:std():item(), 0.02 / 4, 0.0005)
  local groups = net:parameter_groups(0.1)
  test.equal(#groups[1].params + #groups[2].params, #net:parameters())
  test.equal(#groups[2].params, 17)  -- the weights of the normalizations
end)

test.case("the character model that goes on from its state says what one that reads it all says", function()
  local _ <close> = torch.no_grad()
  local net = CharLSTM(11, 6, 2, 0.3):eval()
  local ids = torch.randint(0, 11, {2, 9})
  local first, state = net(ids:narrow(1, 0, 4))
  local second = net(ids:narrow(1, 4, 5), state)
  test.truthy(torch.allclose(torch.cat({first, second}, 1), (net(ids)), {rtol = 1e-5, atol = 1e-6}))
  test.equal(net:generate(ids:narrow(0, 0, 1), 5, 0.5).shape[2], 14)
end)

test.case("recommended is what scores best and is not known", function()
  torch.manual_seed(2)
  local net = MatrixFactorization(4, 9, 3, 2.5)
  local all = torch.arange(9)
  local scores = net(torch.full({9}, 2), all):detach()
  local best, items = net:recommend(2, 9)
  test.truthy(torch.allclose(best, (scores:sort(0, true))))
  test.truthy(torch.allclose(scores[items], best))
  local known = items:narrow(0, 0, 4)
  local _, rest = net:recommend(2, 5, known)
  test.truthy(rest:equal(items:narrow(0, 4, 5)))
end)

test.case("a step of the recommender touches the rows of its batch alone", function()
  local net = MatrixFactorization(6, 5, 2, 0)
  local before = net.user.weight:detach():clone()
  local optimizer = torch.optim.SparseAdam(net:parameters(), {lr = 0.1})
  net(torch.tensor {1, 4}, torch.tensor {0, 3}):sum():backward()
  test.equal(net.user.weight.grad.layout, torch.sparse_coo)
  optimizer:step()
  test.equal(net.user.weight:detach():ne(before):any(1):tolist(), {false, true, false, false, true, false})
end)

local function small_translator(seed)
  torch.manual_seed(seed)
  return Translator {source_words = 12, target_words = 9, width = 8, heads = 2, layers = 1, dropout = 0.1,
    max_length = 12}:eval()
end

test.case("a beam of one is greedy, padding changes nothing", function()
  local net = small_translator(4)
  local source = torch.tensor {{1, 5, 6, 2, 0, 0}, {1, 7, 8, 9, 10, 2}}
  local greedy = net:greedy(source, 6)
  test.equal(net:beam(source["0:1, :4"], 6, 1), greedy[1])
  test.equal(net:beam(source["1:2"], 6, 1), greedy[2])
  test.equal(Translator.words_of {1, 4, 5, 2, 7}, {4, 5})
end)

test.case("a beam that keeps everything finds what is likeliest of all", function()
  local _ <close> = torch.no_grad()
  local source = torch.tensor {{1, 5, 6, 2}}
  for seed = 1, 6 do
    local net = small_translator(seed)
    local last = Translator.last
    local first = torch.log_softmax(net(source, torch.tensor {{1}}), -1)[{0, 0}]
    local best, words = first[last]:item(), {}
    for word = 0, 8 do
      local second = torch.log_softmax(net(source, torch.tensor {{1, word}}), -1)[{0, 1}]
      local mean = (first[word]:item() + second[last]:item()) / 2
      if word ~= last and mean > best then best, words = mean, Translator.words_of {1, word, last} end
    end
    test.equal(net:beam(source, 2, 100), words)
  end
end)

test.case("anomalies are the runs of errors beyond the limit", function()
  local errors = torch.tensor {0.1, -0.1, 0.2, -0.2, 0.0, 0.1, 5.0, 7.0, 0.1, -6.0, -0.1, 4.0, -5.0}
  local runs, scores = Forecaster.anomalies(errors, errors:narrow(0, 0, 6), 4)
  test.equal(#scores, 13)
  local places = {}
  for i, run in ipairs(runs) do places[i] = {run.first, run.last, run.peak > 0} end
  test.equal(places, {{7, 8, true}, {10, 10, false}, {12, 12, true}, {13, 13, false}})
  test.near(runs[1].peak, scores[7]:item(), 1e-9)
end)

test.case("the files of the scripts are read as they are", function()
  local ids, characters, encode, decode = read.characters("")
  test.equal(#characters, 61)
  test.equal(decode(ids:narrow(0, 0, 42)), "From fairest creatures we desire increase,")
  test.truthy(encode("From"):equal(ids:narrow(0, 0, 4)))
  local users, items, known = read.scores("")
  test.equal({#users, #items, #known, users[1], items[1], known[2]}, {434, 16, 6568, "republican 1", "handicapped-infants", {0, 1, 1}})
  local times, values = read.series("")
  test.equal({#times, times[1], times[732], values[1]}, {732, "1950-01", "2010-12", 23.11})
  test.equal(#read.sentence_pairs(""), 1706)
end)

test.case("a file of the user's own is read: UTF-8, lines of scores, Windows' ends of lines", function()
  local folder = test.tmpdir()
  local function file(text)
    local out = assert(io.open(folder .. "/file", "wb"))
    out:write(text)
    out:close()
    return folder .. "/file"
  end
  local ids, characters, _, decode = read.characters(file "äbä\r\nb")
  test.equal(characters, {"\n", "b", "ä"})
  test.equal(decode(ids), "äbä\nb\n")
  local users, items, known = read.scores(file "196\t242\t3\t881250949\n186\t302\t2.5\t891717742\n196\t302\t4\t1\n")
  test.equal({users, items, known}, {{"196", "186"}, {"242", "302"}, {{0, 0, 3}, {1, 1, 2.5}, {0, 1, 4}}})
  users, items, known = read.scores(file "userId,movieId,rating,timestamp\r\n1,31,2.5,12\r\n")
  test.equal({users, items, known}, {{"1"}, {"31"}, {{0, 0, 2.5}}})
  local pairs_read = read.sentence_pairs(file "a b\tc\r\na b\td\textra\nonly\n")
  test.equal(pairs_read, {{source = "a b", targets = {"c", "d"}}})
  test.equal({read.series(file "t,v\n1,2.5\r\n2,\n3,4\n")}, {{"1", "3"}, {2.5, 4}})
end)

test.case("words and their numbers", function()
  test.equal(vocabulary.split "I'm  sure, Tom.", {"i'm", "sure", ",", "tom", "."})
  test.equal(vocabulary.split "Schön ist's!", {"schön", "ist's", "!"})
  local words = vocabulary.new({{"a", "b"}, {"a", "c", "b"}}, 2)
  test.equal(words.words, {"", "<", ">", "?", "a", "b"})
  test.equal(words:encode {"b", "c", "a"}, {1, 5, 3, 4, 2})
  test.equal(words:decode {5, 3, 4}, "b ? a")
  test.equal(vocabulary.padded({{1, 2}, {3}}):tolist(), {{1, 2}, {3, 0}})
end)
