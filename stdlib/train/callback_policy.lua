-- What becomes of a callback whose hook throws or takes too long.
--
-- errors = "raise" (the default): the error ends the training. "disable" (the default in the logging group): the
-- callback is switched off with one warning. "retry", or {"retry", times = 3, otherwise = "raise"}: the hook is called
-- again at once up to so many times, then `otherwise` ("raise" or "disable", by default that of the group).
--
-- budget = "50ms" bounds each call of a hook, "5%" the share of the training's time: an overrun warns once, and where an
-- error would switch the callback off, so does an overrun. A slow callback never ends a training.
local interval = require "train.interval"
local describe <const> = require("native.vm").describe
local log = require("host").log
local ordered = require "host.ordered"

local policy = {}

policy.ERRORS = '"raise", "disable", "retry" or {"retry", times = 3, otherwise = "disable"}'
policy.BUDGET = 'the time of one call as "50ms" or a share of the training as "5%"'

local VERDICTS <const> = {raise = true, disable = true}
local RETRY <const> = {[1] = true, times = true, otherwise = true}
local TIMES <const> = 3

---Reads `errors`.
---@param value any
---@param verdict string what stands where `otherwise` is not given
---@return table|nil errors {times, verdict}; nil if it is none
---@return string? got what of it is wrong
function policy.errors(value, verdict)
  if value == nil then return {times = 0, verdict = verdict} end
  if VERDICTS[value] then return {times = 0, verdict = value} end
  if value == "retry" then value = {"retry"} end
  if type(value) ~= "table" then return nil, describe(value) end
  if value[1] ~= "retry" then return nil, "a table that begins with " .. describe(value[1]) end
  for _, key in ipairs(ordered.keys(value)) do
    if not RETRY[key] then return nil, "the key " .. describe(key) end
  end
  local times = value.times == nil and TIMES or math.type(value.times) and math.tointeger(value.times)
  if not times or times < 1 then return nil, "times = " .. describe(value.times) end
  if value.otherwise ~= nil and not VERDICTS[value.otherwise] then return nil, "otherwise = " .. describe(value.otherwise) end
  return {times = times, verdict = value.otherwise or verdict}
end

---Reads `budget`.
---@return table|nil budget {seconds} or {share}, and text; nil if it is none
function policy.budget(value)
  if type(value) ~= "string" then return nil end
  local percent = tonumber(value:match("^%s*([%d.]+)%s*%%%s*$"))
  if percent then return percent > 0 and percent <= 100 and {share = percent / 100, text = value} or nil end
  local ok, spec = pcall(interval.parse, value, "budget")
  if not ok or spec.unit ~= "seconds" then return nil end
  return {seconds = spec.count, text = value}
end

local function is_interruption(err) return type(err) == "table" and err.kind == "interrupted" end

local function add(err, text)
  if type(err) == "string" then return err .. text end
  if type(err) == "table" and type(err.message) == "string" then err.message = err.message .. text end
  return err
end

-- One line for the log that names the callback and its hook, whatever was thrown.
local function line(item, err)
  local text = tostring(err)
  return text:find(item.prefix, 1, true) and text or item.prefix .. text
end

---Acts on an error of a hook: returns once a repeated call has gone well, raises, or calls `switch_off(entry, text)`.
---@param list table the emitter
---@param item table {f, callback, entry, handler, prefix}
---@param state table
---@param err any what the hook threw
---@param switch_off fun(list: table, entry: table, text: string)
function policy.failed(list, item, state, err, switch_off)
  -- An error that an event within this hook let pass has been judged already.
  if is_interruption(err) or rawequal(err, list.passed) then error(err, 0) end
  local entry = item.entry
  local errors = entry.errors
  if errors.times > 0 and not entry.told then
    entry.told = true
    log.warn(("%s; it is called again up to %d times"):format(line(item, err), errors.times))
  end
  for _ = 1, errors.times do
    local ok
    ok, err = pcall(item.f, item.callback, state)
    if ok then return end
    err = item.handler(err)
    if is_interruption(err) or rawequal(err, list.passed) then error(err, 0) end
  end
  if errors.times > 0 then err = add(err, (" (called %d times)"):format(errors.times + 1)) end
  if errors.verdict == "raise" then
    list.passed = err
    error(err, 0)
  end
  switch_off(list, entry, line(item, err))
end

local function duration(seconds)
  if seconds < 1 then return ("%.3gms"):format(seconds * 1000) end
  return ("%.3gs"):format(seconds)
end

-- The first epoch, or a second, must have passed before a share says something.
local SHARE_FROM <const> = {epoch_end = true, train_end = true, evaluate_end = true, predict_end = true}
local LEAST <const> = 0.02

-- The text of an overrun, nil when the call kept to its budget.
local function overrun(entry, event, state, took, now)
  local budget = entry.budget
  if budget.seconds then
    if took <= budget.seconds then return nil end
    return ("callback %s, %s: took %s, its budget is %s a call"):format(entry.title, entry.source[event], duration(took),
      budget.text)
  end
  if entry.started ~= state.started then entry.started, entry.spent = state.started, 0 end
  entry.spent = entry.spent + took
  local elapsed = now - (state.started or now)
  if entry.spent < LEAST or entry.spent <= budget.share * elapsed then return nil end
  if not SHARE_FROM[event] and state.epochs_done == 0 and elapsed < 1 then return nil end
  return ("callback %s: its hooks took %s of %s (%.3g%%), its budget is %s of the training"):format(entry.title,
    duration(entry.spent), duration(elapsed), entry.spent / elapsed * 100, budget.text)
end

---A hook that keeps watch over its time.
---@param list table the emitter
---@param entry table with `budget`
---@param event string
---@param f function the hook
---@param switch_off fun(list: table, entry: table, text: string)
---@return function
function policy.timed(list, entry, event, f, switch_off)
  local host_clock <const> = require("host").clock
  return function(callback, state)
    local clock = state.clock or host_clock
    local before = clock()
    f(callback, state)
    local now = clock()
    local text = overrun(entry, event, state, now - before, now)
    if not text then return end
    if entry.errors.verdict == "disable" then return switch_off(list, entry, text) end
    if not entry.late then
      entry.late = true
      log.warn(text .. "; this is said once")
    end
  end
end

return policy
