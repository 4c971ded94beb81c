-- What the word and the character error rate share: the edits that make hypotheses of references.
local keywords = require "host.keywords"
local native = require "native.metric_text"
local sums = require "train.metrics.sums"
local texts = require "train.metrics.texts"
local undefined = require "train.metrics.undefined"

local FIELDS <const> = {"hits", "substitutions", "deletions", "insertions", "texts"}

---The constructor of a metric.
---@param name string "WordErrorRate"
---@param characters boolean characters rather than words
---@return fun(arguments: table?): table
return function(name, characters)
  local Class = sums.class(name, FIELDS, "min")

  ---Adds texts.
  ---@param hypotheses string[]|string what was recognized, or one text
  ---@param references string[]|string what was said (jiwer takes it first)
  ---@param weight? number[]|Tensor how much each text counts
  function Class:update(hypotheses, references, weight)
    hypotheses, references, weight = texts.lists(hypotheses, references, weight)
    local hits, substitutions, deletions, insertions = native.edits(name, hypotheses, references, weight, characters)
    sums.add(self, {hits = hits, substitutions = substitutions, deletions = deletions, insertions = insertions, texts = #hypotheses})
  end

  ---The rate and what it is made of, by jiwer's names: {hits, substitutions, deletions, insertions, error_rate, mer, wil, wip}.
  ---mer: errors to all that was said or recognized; wip and wil: the information that is preserved, and that is lost.
  ---@return table
  function Class:details()
    local held = self.sums
    local result = {}
    for _, field in ipairs(FIELDS) do result[field] = held[field] or 0.0 end
    local hits, insertions = result.hits, result.insertions
    local wrong = result.substitutions + result.deletions + insertions
    local there, said = hits + result.substitutions + result.deletions, hits + result.substitutions + insertions
    if there == 0 then  -- as jiwer: silence that is recognized as such is no error
      result.error_rate, result.mer, result.wip = insertions, said == 0 and 0.0 or 1.0, said == 0 and 1.0 or 0.0
    else
      result.error_rate, result.mer = wrong / there, wrong / (there + insertions)
      result.wip = said > 0 and hits / there * (hits / said) or 0.0
    end
    result.wil = 1 - result.wip
    result.texts = nil
    return result
  end

  ---The rate so far: 0 is perfect, it may be above 1; NaN before the first text.
  ---@return number
  function Class:result()
    if (self.sums.texts or 0) == 0 then return undefined(self, "there are no texts") end
    return self:details().error_rate
  end

  return function(arguments)
    local self = setmetatable(keywords.check("train.metrics." .. name, arguments, {}), Class)
    self._options = "none"
    self:reset()
    return self
  end
end
