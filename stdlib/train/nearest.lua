-- The end of an error message about a misspelt name: the nearest valid one, and what else is valid.
local keywords = require "host.keywords"

local nearest = {}

---"; did you mean 'val_loss'? valid: a, b, c"
---@param wanted string
---@param names string[]
---@return string
function nearest.suggest(wanted, names)
  local hint = keywords.did_you_mean(wanted, names)
  return (hint and "; " .. hint or ";") .. " valid: " .. (#names > 0 and keywords.listed(names, hint ~= nil) or "none")
end

---A usage error unless a name is one of those that there are: "unknown monitor 'los'; did you mean 'loss'? valid: loss".
---@param what string "monitor"
---@param name string
---@param names string[]
---@param hint? string
function nearest.check(what, name, names, hint)
  for _, each in ipairs(names) do
    if each == name then return end
  end
  require("native.vm").raise("usage", ("unknown %s '%s'%s"):format(what, name, nearest.suggest(name, names)), hint)
end

return nearest
