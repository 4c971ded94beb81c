-- Points in a training: "every 5 epochs", "500ba", "30min", "0.5dur".
--
-- A number counts events (epochs at epoch events, batches across all epochs at batch events). A string has a unit:
-- ep epochs, ba batches, st optimizer steps, s sec, min, h of training time, dur the whole training as 1.
local interval = {}

local SECONDS <const> = {ms = 0.001, s = 1, sec = 1, min = 60, h = 3600}
local UNITS <const> = {ep = true, ba = true, st = true, dur = true}
local HINT <const> = 'times are written "5ep" (epochs), "500ba" (batches), "200st" (steps), "30s", "30min", "2h", ' ..
  '"0.5dur" (of the training)'

local function parse_one(value, where)
  local vm = require "native.vm"
  if type(value) == "number" then
    local count = math.tointeger(value)
    if not count or count < 1 then
      vm.raise("usage", ("%s must be a whole number of 1 or more, got %s"):format(where, value))
    end
    return {count = count, unit = "event"}
  end
  local number, unit = tostring(value):match("^%s*([%d.]+)%s*(%a+)%s*$")
  number = tonumber(number)
  if type(value) ~= "string" or not number or not (UNITS[unit] or SECONDS[unit]) or number <= 0 then
    vm.raise("usage", ("%s must be a number or a time, got %s"):format(where,
      type(value) == "string" and ('"%s"'):format(value) or type(value)), HINT)
  end
  if SECONDS[unit] then return {count = number * SECONDS[unit], unit = "seconds"} end
  if unit ~= "dur" and number ~= math.floor(number) then
    vm.raise("usage", ("%s must be a whole number of '%s', got %s"):format(where, unit, value))
  end
  return {count = unit == "dur" and number or math.tointeger(number), unit = unit}
end

---Reads an interval, or a list of several, which compose with or. `where` names the argument in the error.
---@param value number|string|table
---@return table interval {count, unit}, unit "event" for a number; {any = {interval, ...}} for a list
function interval.parse(value, where)
  if type(value) ~= "table" or getmetatable(value) ~= nil or #value == 0 then return parse_one(value, where) end
  local any = {}
  for key, one in pairs(value) do
    if not math.type(key) or key > #value then
      require("native.vm").raise("usage", ("%s must be a list of times, got the key '%s'"):format(where, tostring(key)), HINT)
    end
    any[key] = parse_one(one, where)
  end
  return #any == 1 and any[1] or {any = any}
end

---Reads Keras's save_freq: an interval of which "epoch" is "1ep", also within a list.
---@param value any
---@param where string
function interval.parse_frequency(value, where)
  if type(value) == "table" and getmetatable(value) == nil then
    local list = {}
    for key, one in pairs(value) do list[key] = one == "epoch" and "1ep" or one end
    value = list
  elseif value == "epoch" then
    value = "1ep"
  end
  return interval.parse(value, where)
end

---The single intervals of one that may be a list.
---@return table[]
function interval.each(spec) return spec.any or {spec} end

-- What of a list is left, as one interval.
local function joined(list)
  if #list == 0 then return nil end
  return #list == 1 and list[1] or {any = list}
end

---Parts an interval into what is looked at when an epoch ends ("5ep") and what when a batch does (all else).
---@return table|nil at_epochs
---@return table|nil at_batches
function interval.split(spec)
  local epochs, batches = {}, {}
  for _, one in ipairs(interval.each(spec)) do
    local list = one.unit == "ep" and epochs or batches
    list[#list + 1] = one
  end
  return joined(epochs), joined(batches)
end

local EPOCH_EVENTS <const> = {epoch_begin = true, epoch_end = true, valid_begin = true, valid_end = true}

---How many events of this kind there were before this one: `state.epoch` at epoch events, `state.step` at step events,
---all batches before this one at batch events, 0 at those that come once.
function interval.event_count(state, event)
  if EPOCH_EVENTS[event] then return state.epoch end
  if event == "before_step" or event == "after_step" then return state.step end
  if event == "batch_end" then return state.batches_done - 1 end
  if event == "batch_begin" or event == "before_backward" or event == "after_backward" then return state.batches_done end
  if event:find("_batch_", 1, true) then return state.batch end
  return 0
end

local TRAIN_BATCH_EVENTS <const> = {batch_begin = true, before_backward = true, after_backward = true, batch_end = true}

--- How much of a unit is complete once an event has passed.
---@param state table of the loop
---@param event string "batch_end"
---@param unit string "ep", "st" or "ba"
---@return integer
local function done(state, event, unit)
  if unit == "event" then return interval.event_count(state, event) + 1 end
  if unit == "seconds" then return state:elapsed() end
  if unit == "dur" then return state:progress() end
  if unit == "ep" then
    if EPOCH_EVENTS[event] then return state.epoch + 1 end
    local last = event == "batch_end" and state.batch_count and state.batch + 1 == state.batch_count
    return state.epoch + (last and 1 or 0)
  end
  if unit == "st" then
    if event == "before_step" or event == "after_step" then return state.step + 1 end
    return state.steps_done
  end
  return TRAIN_BATCH_EVENTS[event] and interval.event_count(state, event) + 1 or state.batches_done
end
interval.done = done

-- Sums like 0.1 * 3 must reach 0.3.
local function multiples(amount, count) return math.floor(amount / count + 1e-9) end

local function due_one(spec, state, event, memory, key)
  if spec.unit == "event" or (spec.unit == "ep" and EPOCH_EVENTS[event]) then
    return done(state, event, spec.unit) % spec.count == 0
  end
  local n = multiples(done(state, event, spec.unit), spec.count)
  local before = memory[key] or 0
  memory[key] = n
  return n > before
end

---Is a multiple of the interval complete at this event that was not at the last one? Keeps the count of multiples in
---`memory[key]`, which belongs into the state of the one who asks. Of a list: that of any of them?
function interval.due(spec, state, event, memory, key)
  if not spec.any then return due_one(spec, state, event, memory, key) end
  local due = false
  for i, one in ipairs(spec.any) do  -- all of them keep their count
    if due_one(one, state, event, memory, key .. "." .. i) then due = true end
  end
  return due
end

---Has the point been reached once this event has passed?
function interval.reached(spec, state, event) return done(state, event, spec.unit) >= spec.count - 1e-9 end

---Is the point over before this event has passed?
function interval.over(spec, state, event) return done(state, event, spec.unit) > spec.count end

return interval
