-- train.metrics.Perplexity: how surprised a language model is, exp of the mean negative log-likelihood of a token.
local classes = require "train.metrics.classes"
local keywords = require "host.keywords"
local regression = require "train.metrics.regression"
local sums = require "train.metrics.sums"
local tensors = require "train.metrics.tensors"
local undefined = require "train.metrics.undefined"
local vm = require "native.vm"

local NAME <const> = "train.metrics.Perplexity"

local Perplexity = sums.class("Perplexity", {"total", "weight"}, "min")

local function check_shapes(pred, target)
  local dims = target:dim()
  local fits = pred:dim() == dims + 1 and pred:size(-1) > 0
  for i = 0, fits and dims - 1 or -1 do fits = fits and pred:size(i) == target:size(i) end
  if not fits then
    vm.raise("shape", ("Perplexity: scores of shape %s do not go with tokens of shape %s"):format(tostring(pred.shape),
      tostring(target.shape)), "[batch, tokens, vocabulary] and [batch, tokens]")
  end
end

---Adds tokens.
---@param pred Tensor [..., vocabulary] probabilities (logits with from_logits), the vocabulary in the last dimension
---@param target Tensor [...] the tokens that were there, integers
---@param weight? Tensor of target's shape, or [batch]
function Perplexity:update(pred, target, weight)
  tensors.check(self, pred, target, weight)
  check_shapes(pred, target)
  local torch = require "torch"
  local float64 = torch.float64
  pred = pred:detach():reshape({-1, pred:size(-1)})
  if pred.dtype ~= float64 then pred = pred:float() end
  local counts = target:ne(self.ignore_index):to(float64)
  local tokens = target:reshape({-1})
  tokens = classes.whole(self, tokens:masked_fill(tokens:eq(self.ignore_index), 0), pred:size(1), "the target holds")
  local surprise
  if self.from_logits then
    surprise = torch.nn.functional.cross_entropy(pred, tokens, {reduction = "none"}):to(float64)
  else
    surprise = -pred:gather(1, tokens:unsqueeze(1)):squeeze(1):to(float64):log()
  end
  if weight then counts = counts * regression.weight(self, weight, target) end
  counts = counts:reshape({-1})
  sums.add(self, {total = torch.where(counts:eq(0), 0.0, surprise * counts):sum(), weight = counts:sum()})
end

---The perplexity so far, 1 or more; NaN before the first token.
---@return number
function Perplexity:result()
  classes.confirm(self)
  local weight = sums.read(self.sums.weight or 0)
  if weight == 0 then return undefined(self, "there are no tokens") end
  local perplexity = math.exp(sums.read(self.sums.total) / weight)
  if perplexity ~= perplexity then
    return undefined(self, self.from_logits and "the logits hold NaN"
      or "these are no probabilities (from_logits = true takes logits)")
  end
  return perplexity
end

---The perplexity of tokens: exp of their mean cross-entropy, each token alike over all batches.
---@param arguments? table ignore_index = -100: the target of tokens that do not count, as in F.cross_entropy;
---from_logits = false
---@return table metric
---@example local perplexity = train.metrics.Perplexity{from_logits = true}
--- perplexity:update(torch.zeros(2, 3, 5), torch.tensor{{0, 1, 2}, {3, 4, -100}})
--- ("%.4f"):format(perplexity:result())  --> 5.0000
return function(arguments)
  local self = setmetatable(keywords.check(NAME, arguments, {ignore_index = -100, from_logits = false}), Perplexity)
  require("train.options").check(NAME, self, {from_logits = "flag", ignore_index = "integer"})
  self._options = "none"
  self:reset()
  return self
end
