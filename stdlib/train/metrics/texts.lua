-- What metrics of texts share: lists of texts and their weights.
local vm = require "native.vm"

local texts = {}

---The lists that native.metric_text takes, of lists or of one text.
---@param hypotheses string[]|string
---@param references table|string
---@param weight? number[]|Tensor|number
---@return table hypotheses
---@return table references
---@return number[]|nil weights
function texts.lists(hypotheses, references, weight)
  if type(hypotheses) == "string" then hypotheses, references = {hypotheses}, {references} end
  if type(weight) == "userdata" then weight = weight:tolist() end
  if type(weight) == "number" then weight = {weight} end
  return hypotheses, references, weight
end

---Refuses what is no list of names among `known`.
---@param where string
---@param option string
---@param list any
---@param known fun(name: any): boolean
---@param expected string
function texts.check_names(where, option, list, known, expected)
  local fits = type(list) == "table" and #list > 0
  for _, name in ipairs(fits and list or {}) do fits = fits and known(name) end
  if not fits then
    vm.raise("usage", ("%s: %s must be a list of %s, got %s"):format(where, option, expected,
      type(list) == "table" and "{" .. table.concat(list, ", ") .. "}" or vm.describe(list)))
  end
end

return texts
