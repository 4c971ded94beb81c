-- The end of an error message about a misspelt name: the nearest valid one, and all of them.
local nearest = {}

---"; did you mean 'val_loss'? valid: a, b, c"
---@param wanted string
---@param names string[]
---@return string
function nearest.suggest(wanted, names)
  local best = require("native.vm").nearest(wanted, names, 1)[1]
  local text = best and ("; did you mean '%s'?"):format(best) or ";"
  return text .. " valid: " .. (#names > 0 and table.concat(names, ", ") or "none")
end

return nearest
