-- train.metrics.BLEU: how near translations come to their references, as sacrebleu measures it.
local keywords = require "host.keywords"
local native = require "native.metric_text"
local undefined = require "train.metrics.undefined"
local vm = require "native.vm"

local NAME <const> = "train.metrics.BLEU"
local VERSION <const> = "2.6.0"  -- of the sacrebleu that scores are equal to
local LARGE_LOSS <const> = -9999999999.0  -- its logarithm of 0
local SMOOTHING <const> = {floor = 0.1, ["add-k"] = 1, exp = false, none = false}  -- method -> default value, if it has one
local TOKENIZERS <const> = {"13a", "none", "char", "intl", "zh"}
local MODEL <const> = "it needs a model or a dictionary that does not come with trainhost"
local REFUSED <const> = {["ja-mecab"] = MODEL, ["ko-mecab"] = MODEL, spm = MODEL, flores101 = MODEL, flores200 = MODEL,
  ["spBLEU-1K"] = MODEL}

local BLEU = {__name = "BLEU", direction = "max", needs_output = true}
BLEU.__index = BLEU

local function zeros(count)
  local list = {}
  for i = 1, count do list[i] = 0 end
  return list
end

---Forgets every text.
function BLEU:reset()
  self.sentences, self.sys_len, self.ref_len = 0, 0, 0
  self.correct, self.total = zeros(self.max_ngram_order), zeros(self.max_ngram_order)
  self.least_references, self.most_references = nil, nil
end

local function add(self, sentences, sys_len, ref_len, correct, total, least, most)
  if sentences == 0 then return end
  self.sentences, self.sys_len, self.ref_len = self.sentences + sentences, self.sys_len + sys_len, self.ref_len + ref_len
  for n = 1, self.max_ngram_order do
    self.correct[n], self.total[n] = self.correct[n] + correct[n], self.total[n] + total[n]
  end
  self.least_references = math.min(self.least_references or least, least)
  self.most_references = math.max(self.most_references or most, most)
end

---Adds texts.
---@param hypotheses string[]|string the translations, or one
---@param references (string|string[])[]|string the reference of each, or the list of its references
function BLEU:update(hypotheses, references, weight)
  if weight ~= nil then vm.raise("usage", "BLEU: texts have no weights") end
  if type(hypotheses) == "string" then hypotheses, references = {hypotheses}, {references} end
  add(self, type(hypotheses) == "table" and #hypotheses or 0,
    native.bleu_counts("BLEU", hypotheses, references, nil, self.tokenize, self.lowercase, self.max_ngram_order))
end

local function log(x) return x == 0 and LARGE_LOSS or math.log(x) end

-- The precisions of n-grams in percent, smoothed; how many orders count; correct and total as they were smoothed.
local function precisions_of(self)
  local method, value = self.smooth_method, self.smooth_value or SMOOTHING[self.smooth_method]
  local correct, total = {table.unpack(self.correct)}, {table.unpack(self.total)}
  local precisions, any = {}, false
  for n = 1, self.max_ngram_order do
    precisions[n], any = 0.0, any or correct[n] > 0
  end
  if not any then return precisions, 0, correct, total end
  local halved, orders = 1.0, self.max_ngram_order
  for n = 1, self.max_ngram_order do
    if method == "add-k" and n > 1 then correct[n], total[n] = correct[n] + value, total[n] + value end
    if total[n] == 0 then break end
    if self.effective_order then orders = n end
    if correct[n] > 0 then
      precisions[n] = 100.0 * correct[n] / total[n]
    elseif method == "exp" then
      halved = halved * 2
      precisions[n] = 100.0 / (halved * total[n])
    elseif method == "floor" then
      precisions[n] = 100.0 * value / total[n]
    end
  end
  return precisions, orders, correct, total
end

---The score and what it is made of, by sacrebleu's names: {score, counts, totals, precisions, bp, sys_len, ref_len, ratio}.
---@return table
function BLEU:details()
  local precisions, orders, counts, totals = precisions_of(self)
  local bp = 1.0
  if self.sys_len < self.ref_len then bp = self.sys_len > 0 and math.exp(1 - self.ref_len / self.sys_len) or 0.0 end
  local score = 0.0
  if orders > 0 then
    local sum = 0.0
    for n = 1, orders do sum = sum + log(precisions[n]) end
    score = bp * math.exp(sum / orders)
  end
  if self.sentences == 0 then score = 0 / 0 end
  return {score = score, counts = counts, totals = totals, precisions = precisions, bp = bp, sys_len = self.sys_len,
    ref_len = self.ref_len, ratio = self.ref_len > 0 and self.sys_len / self.ref_len or 0.0}
end

---BLEU of all texts so far, 0 to 100; NaN before the first.
---@return number
function BLEU:result()
  if self.sentences == 0 then return undefined(self, "there are no texts") end
  return self:details().score
end

---What must be told with a score: sacrebleu's signature, "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0". The
---version is that of the sacrebleu whose scores these are.
---@return string
function BLEU:signature()
  local smooth, default = self.smooth_method, SMOOTHING[self.smooth_method]
  if default then smooth = ("%s[%.2f]"):format(smooth, self.smooth_value or default) end
  local same = self.least_references == self.most_references
  return ("nrefs:%s|case:%s|eff:%s|tok:%s|smooth:%s|version:%s"):format(same and (self.most_references or 0) or "var",
    self.lowercase and "lc" or "mixed", self.effective_order and "yes" or "no", self.tokenize, smooth, VERSION)
end

---The tokens that are counted of a text.
---@param text string
---@return string[]
function BLEU:tokens(text) return native.tokenize(text, self.tokenize, self.lowercase) end

---Adds what another BLEU of the same options has seen.
function BLEU:merge(other)
  for _, option in ipairs {"tokenize", "lowercase", "max_ngram_order"} do
    if other[option] ~= self[option] then
      vm.raise("usage", ("BLEU: cannot merge: %s is %s here, %s there"):format(option, tostring(self[option]), tostring(other[option])))
    end
  end
  add(self, other.sentences, other.sys_len, other.ref_len, other.correct, other.total, other.least_references,
    other.most_references)
end

local STATE <const> = {"sentences", "sys_len", "ref_len", "correct", "total", "least_references", "most_references"}

---What a checkpoint keeps.
---@return table
function BLEU:state_dict()
  local state = {}
  for _, field in ipairs(STATE) do
    state[field] = type(self[field]) == "table" and {table.unpack(self[field])} or self[field]
  end
  return state
end

---Goes on where state_dict was taken.
function BLEU:load_state_dict(state)
  if #state.correct ~= self.max_ngram_order then
    vm.raise("usage", ("BLEU: the state has %d orders of n-grams, max_ngram_order is %d"):format(#state.correct, self.max_ngram_order))
  end
  for _, field in ipairs(STATE) do
    self[field] = type(state[field]) == "table" and {table.unpack(state[field])} or state[field]
  end
end

---The line that sacrebleu prints, with the signature: "BLEU|nrefs:1|... = 41.11 100.0/60.0/... (BP = 1.000 ...)".
function BLEU:__tostring()
  local details, words = self:details(), {}
  for n, precision in ipairs(details.precisions) do words[n] = ("%.1f"):format(precision) end
  return ("BLEU|%s = %.2f %s (BP = %.3f ratio = %.3f hyp_len = %d ref_len = %d)"):format(self:signature(), details.score,
    table.concat(words, "/"), details.bp, details.ratio, details.sys_len, details.ref_len)
end

---Corpus BLEU, equal to sacrebleu's: n-grams over all texts, a penalty for brevity against the nearest reference, 0 to 100.
---@param arguments? table tokenize = "13a" | "none" | "char" | "intl" | "zh"; smooth_method = "exp" | "floor" | "add-k" |
---"none"; smooth_value (floor: 0.1, add-k: 1); lowercase = false; effective_order = false; max_ngram_order = 4
---@return table metric
---@example local bleu = train.metrics.BLEU()
--- bleu:update({"the cat sat on the mat"}, {{"the cat sat on a mat", "a cat sat on the mat"}})
--- ("%.2f"):format(bleu:result())  --> 95.54
--- bleu:signature()  --> nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0
return function(arguments)
  local self = setmetatable(keywords.check(NAME, arguments, {
    tokenize = "13a", smooth_method = "exp", smooth_value = keywords.none, lowercase = false, effective_order = false,
    max_ngram_order = 4,
  }), BLEU)
  if REFUSED[self.tokenize] then
    vm.raise("usage", ("%s: the tokenizer '%s' is not available: %s"):format(NAME, self.tokenize, REFUSED[self.tokenize]),
      "tokenize the texts beforehand and give tokenize = \"none\"")
  end
  require("train.options").check(NAME, self, {tokenize = TOKENIZERS, smooth_method = {"exp", "floor", "add-k", "none"},
    smooth_value = "not_negative", lowercase = "flag", effective_order = "flag", max_ngram_order = "positive_count"})
  self:reset()
  return self
end
