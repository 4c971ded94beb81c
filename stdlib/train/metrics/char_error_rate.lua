-- train.metrics.CharErrorRate: how many characters were recognized wrongly.
local make = require("train.metrics.error_rate")("CharErrorRate", true)

---The character error rate of all texts, equal to jiwer's: characters of Unicode that are others, missing or too many, by
---the characters of the references; space counts but at the ends.
---@return table metric
---@example local cer = train.metrics.CER()
--- cer:update({"hallo"}, {"hello"})
--- cer:result()  --> 0.2
return function(arguments) return make(arguments) end
