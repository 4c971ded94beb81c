-- train.metrics.ROUGE: how much of summaries and their references is the same.
local keywords = require "host.keywords"
local native = require "native.metric_text"
local sums = require "train.metrics.sums"
local texts = require "train.metrics.texts"
local undefined = require "train.metrics.undefined"

local NAME <const> = "train.metrics.ROUGE"
local PARTS <const> = {"precision", "recall", "fmeasure"}
local ORDERS <const> = {rougeL = 0, rougeLsum = -1}  -- as native.metric_text numbers them; rouge1 to rouge9 are n-grams
for n = 1, 9 do ORDERS["rouge" .. n] = n end

local ROUGE = sums.class("ROUGE", {"weight"}, "max")
local of_sums = {merge = ROUGE.merge, state_dict = ROUGE.state_dict, load = ROUGE.load_state_dict, reset = ROUGE.reset}

---Forgets every text.
function ROUGE:reset()
  of_sums.reset(self)
  self.totals = {}
end

local function add(self, totals)
  for i = 1, #totals do self.totals[i] = (self.totals[i] or 0.0) + totals[i] end
end

---Adds texts.
---@param hypotheses string[]|string the summaries, or one
---@param references (string|string[])[]|string the reference of each, or the list of its references
---@param weight? number[]|Tensor how much each text counts
function ROUGE:update(hypotheses, references, weight)
  hypotheses, references, weight = texts.lists(hypotheses, references, weight)
  local total, totals = native.rouge("ROUGE", hypotheses, references, weight, self._orders, self.use_stemmer,
    self.accumulate == "best")
  sums.add(self, {weight = total})
  add(self, totals)
end

---The means over the texts so far, by torchmetrics' names: rouge1_precision, rouge1_recall, rouge1_fmeasure, rouge2_...,
---rougeL_..., rougeLsum_...; NaN before the first text.
---@return table<string, number>
function ROUGE:result()
  local weight, result = self.sums.weight or 0, {}
  local nothing = weight == 0 and undefined(self, "there are no texts") or nil
  for i, name in ipairs(self.rouge_types) do
    for p, part in ipairs(PARTS) do
      result[name .. "_" .. part] = nothing or self.totals[(i - 1) * #PARTS + p] / weight
    end
  end
  return result
end

---The tokens that are compared of a text.
---@param text string
---@return string[]
function ROUGE:tokens(text) return native.rouge_tokens(text, self.use_stemmer) end

---Adds what another ROUGE of the same options has seen.
function ROUGE:merge(other)
  of_sums.merge(self, other)
  add(self, other.totals)
end

---What a checkpoint keeps.
---@return table<string, any>
function ROUGE:state_dict()
  local state = of_sums.state_dict(self)
  state.totals = {table.unpack(self.totals)}
  return state
end

---Goes on where state_dict was taken.
function ROUGE:load_state_dict(state)
  of_sums.load(self, state)
  self.totals = {table.unpack(state.totals)}
end

---ROUGE of summaries, equal to the package rouge-score: shared n-grams (rouge1, rouge2), the longest common subsequence
---(rougeL) and that of sentences, one a line (rougeLsum). Tokens are runs of a to z and 0 to 9 in lower case. In train.fit
---the f-measures are the logs <name>1, <name>2, <name>L and <name>Lsum.
---@param arguments? table rouge_types = {"rouge1", "rouge2", "rougeL", "rougeLsum"} of rouge1 to rouge9, rougeL, rougeLsum;
---use_stemmer = false: words without their English endings (Porter's stemmer); accumulate = "best" | "avg" of several
---references
---@return table metric
---@example local rouge = train.metrics.ROUGE()
--- rouge:update({"the cat sat on a mat"}, {"the cat sat on the mat"})
--- ("%.4f"):format(rouge:result().rouge1_fmeasure)  --> 0.8333
--- ("%.4f"):format(rouge:result().rouge2_recall)  --> 0.6000
return function(arguments)
  local self = setmetatable(keywords.check(NAME, arguments, {rouge_types = {"rouge1", "rouge2", "rougeL", "rougeLsum"},
    use_stemmer = false, accumulate = "best"}), ROUGE)
  require("train.options").check(NAME, self, {use_stemmer = "flag", accumulate = {"best", "avg"}})
  texts.check_names(NAME, "rouge_types", self.rouge_types, function(name) return ORDERS[name] ~= nil end,
    '"rouge1" to "rouge9", "rougeL" and "rougeLsum"')
  self._orders, self.parts = {}, {}
  for i, name in ipairs(self.rouge_types) do
    self._orders[i] = ORDERS[name]
    self.parts[i] = {name:sub(#"rouge" + 1), name .. "_fmeasure"}
  end
  self._options = sums.options_text(self, {"rouge_types", "use_stemmer", "accumulate"})
  self:reset()
  return self
end
