-- A training that goes on in its run: what the run holds already, of the epochs since the checkpoint, is not logged twice.
local log = require "native.log"

-- The values that the run has of a key, by step; none where it cannot be asked.
local function known_of(run, key)
  local ok, history = pcall(require("mlflow").get_metric_history, run.info.run_id, key)
  if not ok and type(history) == "table" and history.kind == "interrupted" then error(history, 0) end
  local known = {}
  for _, point in ipairs(ok and history or {}) do
    known[point.step] = known[point.step] or {}
    table.insert(known[point.step], point.value)
  end
  return known
end

local function has(values, value)
  for _, other in ipairs(values) do
    if value == other or value ~= value and other ~= other then return true end
  end
  return false
end

---@param run Run
---@return fun(metrics: table, step: integer): table metrics without those that the run has with this very value; one with
---another value is logged beside it, and told of
return function(run)
  local known, told = {}, false
  return function(metrics, step)
    local rest = {}
    for key, value in pairs(metrics) do
      known[key] = known[key] or known_of(run, key)
      local there = known[key][step]
      if not (there and has(there, value)) then rest[key] = value end
      if there and rest[key] and not told then
        told = true
        log.warn(("mlflow: run %s has another value of '%s' at step %d, from before it went on: both are logged"):format(
          run.info.run_id, key, step))
      end
    end
    return rest
  end
end
