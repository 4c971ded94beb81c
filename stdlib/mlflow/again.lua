-- A training that goes on in its run: what the run holds already, of the epochs since the checkpoint, is not logged twice.
local ask = require "mlflow.ask"
local clock = require "native.vm".clock
local log = require "native.log"

local PATIENCE <const> = 2  -- seconds, for all keys together: a training does not wait longer for a server

-- The values that the run has of a key, by step; nil and why where it has not said so within these seconds.
local function known_of(run, key, seconds)
  local ok, history = pcall(ask.within, seconds, require("mlflow").get_metric_history, run.info.run_id, key)
  if not ok and type(history) == "table" and history.kind == "interrupted" then error(history, 0) end
  if not ok then return nil, type(history) == "table" and history.message or tostring(history) end
  local known = {}
  for _, point in ipairs(history) do
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
---another value is logged beside it, and told of; all of them once the store has not answered
return function(run)
  local known, told, left = {}, false, PATIENCE

  local function look_up(key)
    local began = clock()
    local there, why = known_of(run, key, left)
    known[key], left = there, there and left - (clock() - began) or 0
    if left > 0 then return end
    log.warn(("mlflow: what run %s had before it went on cannot be asked in time%s: values of the steps that are done again may "
      .. "be in it twice"):format(run.info.run_id, why and " (" .. why .. ")" or ""))
  end

  return function(metrics, step)
    local rest = {}
    for key, value in pairs(metrics) do
      if not known[key] and left > 0 then look_up(key) end
      local there = known[key] and known[key][step]
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
