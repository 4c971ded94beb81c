-- train.metrics.WordErrorRate: how many words were recognized wrongly.
local make = require("train.metrics.error_rate")("WordErrorRate", false)

---The word error rate of all texts, equal to jiwer's: words that are others, missing or too many, by the words of the
---references. Blanks divide words, nothing else is changed: lower case, punctuation and the like are up to the caller.
---@return table metric
---@example local wer = train.metrics.WER()
--- wer:update({"the cat sat on mat"}, {"the cat sat on the mat"})
--- ("%.4f"):format(wer:result())  --> 0.1667
return function(arguments) return make(arguments) end
