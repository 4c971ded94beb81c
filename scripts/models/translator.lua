-- A translator: encoder and decoder Transformer over words, decoding greedily or with a beam.
local torch = require "torch"
local nn, F = torch.nn, torch.nn.functional

local Translator = nn.class("Translator")
Translator.pad, Translator.first, Translator.last, Translator.unknown = 0, 1, 2, 3  -- words before all others

--- config: source_words, target_words, width, heads, layers, dropout, max_length.
function Translator:__init(config)
  local width = config.width
  self.config = config
  self.source = nn.Embedding(config.source_words, width, Translator.pad)
  self.target = nn.Embedding(config.target_words, width, Translator.pad)
  local options = {batch_first = true, norm_first = true}
  self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(width, config.heads, 4 * width, config.dropout, options),
    config.layers, nn.LayerNorm(width), false)
  self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(width, config.heads, 4 * width, config.dropout, options),
    config.layers, nn.LayerNorm(width))
  self.head = nn.Linear(width, config.target_words)
  self.dropout = nn.Dropout(config.dropout)
  self:register_buffer("places", Translator.sinusoids(config.max_length, width), false)
  for _, p in ipairs(self:parameters()) do
    if p:dim() > 1 then nn.init.xavier_uniform_(p) end
  end
end

--- Sines and cosines of ever slower waves, [length, width] (Vaswani 2017).
function Translator.sinusoids(length, width)
  local place = torch.arange(length):unsqueeze(1)
  local speed = torch.exp(torch.arange(0, width, 2) * (-math.log(10000) / width))
  return torch.stack({(place * speed):sin(), (place * speed):cos()}, 2):flatten(1)
end

function Translator:embed(table_of_words, ids)
  local x = table_of_words(ids) * math.sqrt(self.config.width) + self.places:narrow(0, 0, ids:size(1))
  return self.dropout(x)
end

--- source [batch, n]: what the decoder reads of it, and where it is padding.
function Translator:encode(source)
  local padding = source:eq(Translator.pad)
  return self.encoder(self:embed(self.source, source), nil, padding), padding
end

--- The logits of each next word, [batch, m, target_words]; target [batch, m] begins with `first`.
function Translator:decode(target, memory, padding)
  local mask = torch.ones(target:size(1), target:size(1), {dtype = torch.bool, device = target.device}):triu(1)
  return self.head(self.decoder(self:embed(self.target, target), memory, mask, nil,
    target:eq(Translator.pad), padding, true))
end

function Translator:forward(source, target)
  local memory, padding = self:encode(source)
  return self:decode(target, memory, padding)
end

--- The likeliest word each time, for a whole batch [batch, n]; lists of ids without `first` and `last`.
function Translator:greedy(source, limit)
  local _ <close> = torch.no_grad()
  local memory, padding = self:encode(source)
  local ids = source:new_full({source:size(0), 1}, Translator.first)
  local done = torch.zeros(source:size(0), {dtype = torch.bool, device = source.device})
  for _ = 1, limit do
    local word = self:decode(ids, memory, padding):select(1, -1):argmax(-1):masked_fill(done, Translator.pad)
    ids = torch.cat({ids, word:unsqueeze(1)}, 1)
    done:logical_or_(word:eq(Translator.last))
    if done:all():item() then break end
  end
  local lists = ids:tolist()
  for i, list in ipairs(lists) do lists[i] = Translator.words_of(list) end
  return lists
end

--- The `beam` best beginnings are kept each time; one sentence [1, n]; scores are divided by the length.
function Translator:beam(source, limit, beam)
  local _ <close> = torch.no_grad()
  local memory, padding = self:encode(source)
  local width = math.min(beam, self.config.target_words)
  local kept, ended = {{ids = {Translator.first}, score = 0}}, {}
  for _ = 1, limit do
    local lists = {}
    for i, each in ipairs(kept) do lists[i] = each.ids end
    local logits = self:decode(torch.tensor(lists), memory:expand(#kept, -1, -1), padding:expand(#kept, -1)):select(1, -1)
    local best, words = F.log_softmax(logits, -1):topk(width)
    local grown, scores, ids = {}, best:tolist(), words:tolist()
    for i, each in ipairs(kept) do
      for k, word in ipairs(ids[i]) do
        local longer = table.move(each.ids, 1, #each.ids, 1, {})
        longer[#longer + 1] = word
        grown[#grown + 1] = {ids = longer, score = each.score + scores[i][k], rank = #grown}
      end
    end
    table.sort(grown, function(a, b)
      if a.score ~= b.score then return a.score > b.score end
      return a.rank < b.rank
    end)
    kept = {}
    for i = 1, math.min(beam, #grown) do
      local each = grown[i]
      local into = each.ids[#each.ids] == Translator.last and ended or kept
      into[#into + 1] = each
    end
    if #kept == 0 or #ended >= beam then break end
  end
  local best
  for _, each in ipairs(#ended > 0 and ended or kept) do
    each.mean = each.score / (#each.ids - 1)
    if not best or each.mean > best.mean then best = each end
  end
  return Translator.words_of(best.ids)
end

--- What lies between `first` and `last`.
function Translator.words_of(list)
  local words = {}
  for i = 2, #list do
    if list[i] == Translator.last or list[i] == Translator.pad then break end
    words[#words + 1] = list[i]
  end
  return words
end

return Translator
