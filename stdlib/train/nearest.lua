-- The end of an error message about a misspelt name: the nearest valid one, and all of them.
local keywords = require "host.keywords"

local nearest = {}

---"; did you mean 'val_loss'? valid: a, b, c"
---@param wanted string
---@param names string[]
---@return string
function nearest.suggest(wanted, names)
  local hint = keywords.did_you_mean(wanted, names)
  return (hint and "; " .. hint or ";") .. " valid: " .. (#names > 0 and table.concat(names, ", ") or "none")
end

return nearest
