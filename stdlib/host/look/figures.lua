-- What runs have logged, as texts and in an order: numbers, times, which value of a metric is the better one.
local json = require "native.json"

local figures = {}

local LOWER <const> = {"loss", "error", "err", "mse", "mae", "rmse", "mape", "perplexity", "wer", "cer", "fid", "nll", "bpb"}
local HIGHER <const> = {"acc", "accuracy", "auc", "f1", "precision", "recall", "iou", "map", "ap", "bleu", "psnr", "ssim", "r2",
  "dice", "reward", "return", "rouge", "score", "sensitivity", "specificity"}

---Six digits of a number: 0.123457, nan.
---@param value number
---@return string
function figures.short(value)
  if value ~= value then return "nan" end
  return ("%.6g"):format(value)
end

---Seconds as "4.2s", "3:07", "1:02:03" or "2d 03:04:05".
---@param seconds number
---@return string
function figures.duration(seconds)
  if seconds < 10 then return ("%.1fs"):format(math.max(seconds, 0)) end
  local whole = math.floor(seconds + 0.5)
  if whole < 60 then return whole .. "s" end
  if whole < 3600 then return ("%d:%02d"):format(whole // 60, whole % 60) end
  local clock = ("%d:%02d:%02d"):format(whole // 3600 % 24, whole // 60 % 60, whole % 60)
  return whole < 86400 and clock or ("%dd %s"):format(whole // 86400, clock)
end

---How long ago: "12s", "5m", "3h", "9d".
---@param seconds number
---@return string
function figures.age(seconds)
  local whole = math.max(math.floor(seconds), 0)
  for _, unit in ipairs {{60, "s"}, {60, "m"}, {48, "h"}} do
    if whole < unit[1] then return whole .. unit[2] end
    whole = whole // (unit[2] == "h" and 24 or 60)
  end
  return whole .. "d"
end

---How long a run has taken, in seconds; nil for one whose process was killed.
---@param run table
---@param now number
---@return number?
function figures.seconds_of(run, now)
  if run.end_time then return (run.end_time - run.start_time) / 1000 end
  return not run.is_left and now - run.start_time / 1000 or nil
end

---Bytes as "12 B", "3.4 kB", "5.6 MB".
---@param bytes integer
---@return string
function figures.size(bytes)
  if bytes < 1000 then return bytes .. " B" end
  for _, unit in ipairs {"kB", "MB", "GB"} do
    bytes = bytes / 1000
    if bytes < 1000 or unit == "GB" then return ("%.1f %s"):format(bytes, unit) end
  end
end

local function holds(name, words)
  name = "_" .. name:lower():gsub("[^%w]+", "_") .. "_"
  for _, word in ipairs(words) do
    if name:find("_" .. word .. "_", 1, true) then return true end
  end
  return false
end

---The better direction of a metric, as its name tells it: "min" of val_loss, "max" of accuracy; nil if it does not.
---@param name string
---@return string?
function figures.direction(name)
  if name:find("^system/") or name:find("^opt_") then return nil end
  if holds(name, LOWER) then return "min" end
  return holds(name, HIGHER) and "max" or nil
end

---Names of metrics, losses first, those of the system last.
---@param names table<string, any>
---@return string[]
function figures.ordered(names)
  local list = {}
  for name in pairs(names) do list[#list + 1] = name end
  local function rank(name)
    if name == "loss" then return 1 elseif name == "val_loss" then return 2 end
    return name:find("^system/") and 4 or 3
  end
  table.sort(list, function(a, b)
    local x, y = rank(a), rank(b)
    if x ~= y then return x < y end
    return a < b
  end)
  return list
end

---The colour of a status.
---@param status string
---@return string?
function figures.ink(status)
  return ({RUNNING = "blue", FINISHED = "green", FAILED = "red", KILLED = "yellow"})[status] or "yellow"
end

---A run as JSON has it.
---@param run table
---@param experiment string
---@param now number
---@return table
function figures.plain(run, experiment, now)
  local metrics = {}
  for name, point in pairs(run.metrics) do
    metrics[name] = point.value - point.value == 0 and point.value or figures.short(point.value)
  end
  return {run_id = run.run_id, run_name = run.run_name, experiment_id = run.experiment_id, experiment = experiment,
    status = run.status, process_is_gone = run.is_left or false, start_time = run.start_time, end_time = run.end_time or json.null,
    duration = figures.seconds_of(run, now) or json.null, metrics = metrics, params = run.params, tags = run.tags}
end

return figures
