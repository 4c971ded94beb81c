-- The emitter: a list of callbacks that hears events in a fixed order.
--
-- Within one event: metrics, user callbacks, stop and learning-rate policies, logging, checkpoint; list order within
-- each group. An error names the callback and its hook; what becomes of it says `errors` (callback_policy.lua).
local autologged = require "train.autologged"
local callback_hooks = require "train.callback_hooks"
local hooks = require "train.hooks"
local nearest = require "train.nearest"
local callback_policy = require "train.callback_policy"
local callback_state = require "train.callback_state"
local ordered = require "host.ordered"
local State <const> = require "train.state"

local GROUPS <const> = {metrics = 1, user = 2, policy = 3, logging = 4, checkpoint = 5}

local CallbackList = {}
CallbackList.__index = CallbackList
CallbackList.__name = "CallbackList"

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

local function class_name(callback)
  local meta = getmetatable(callback)
  return type(meta) == "table" and type(meta.__name) == "string" and meta.__name or nil
end

-- Keras gives a callback its model as self.model.
local WITHOUT_MODEL <const> = "attempt to index a nil value (field 'model')"
local MODEL_HINT <const> = "the model is state.model"

-- Puts the callback and its hook into an error, position and traceback kept.
local function explain(prefix)
  return function(err)
    local kind = type(err)
    if kind == "nil" then return prefix .. "error without a message" end
    if kind == "number" then err, kind = tostring(err), "string" end
    if kind == "string" then
      local position, rest = err:match("^([^\n]-:%d+: )(.*)$")
      position, rest = position or "", rest or err
      if rest == WITHOUT_MODEL then rest = ("%s (%s)"):format(rest, MODEL_HINT) end
      return rest:find("^callback ") and err or position .. prefix .. rest
    end
    if kind == "table" and type(err.message) == "string" and err.kind ~= "interrupted" then
      if err.message == WITHOUT_MODEL then err.hint = MODEL_HINT end
      if not err.message:find("^callback ") then err.message = prefix .. err.message end
    end
    return err
  end
end

local function prefix_of(name, hook) return ("callback %s, %s: "):format(name, hook) end

local switch_off

-- Sets the handlers of each event anew: a list; false where nobody has listened yet. A list that is being walked stays as
-- it was, the table of them is one for good.
local function rebuild(self)
  local handlers = {}
  for rank = 1, 5 do
    for _, entry in ipairs(self.entries) do
      if entry.rank == rank and not entry.disabled then
        for event, f in pairs(entry.hooks) do
          local list = handlers[event]
          if not list then
            list = {}
            handlers[event] = list
          end
          local prefix = prefix_of(entry.title, entry.source[event])
          if entry.budget then f = callback_policy.timed(self, entry, event, f, switch_off) end
          list[#list + 1] = {f = f, callback = entry.callback, entry = entry, prefix = prefix, handler = explain(prefix)}
        end
      end
    end
  end
  for _, event in ipairs(hooks.events) do
    self.handlers[event] = handlers[event] or self.handlers[event] and {} or false
  end
end

function switch_off(self, entry, text)
  entry.disabled = true
  rebuild(self)
  require("host").log.warn(("%s; callback %s is switched off, the training goes on"):format(text, entry.title))
end

local function unique_name(self, wanted)
  local count = 1
  for _, entry in ipairs(self.entries) do
    if entry.base_name == wanted then count = count + 1 end
  end
  return count == 1 and wanted or wanted .. "#" .. count
end

local function wrong_field(name, field, what, value, got)
  usage(("callback %s: %s must be %s, got %s"):format(name, field, what, got or require("native.vm").describe(value)))
end

local function enter(self, callback, position)
  if type(callback) ~= "table" then
    local hint, maker = "a callback is a table with functions such as on_epoch_end", nil
    if type(callback) == "function" then
      for name, value in pairs(require "train") do maker = value == callback and name or maker end
      hint = maker and ("call it: train.%s{...}"):format(maker) or 'a function is hooked up by train.on("epoch_end", f)'
    elseif type(callback) == "string" then
      hint = "callbacks = {train.EarlyStopping{patience = 3}}"
    end
    usage(("callbacks[%s] must be a table with hooks, got %s"):format(position,
      maker and "the class " .. maker or require("native.vm").describe(callback)), hint)
  end
  for _, entry in ipairs(self.entries) do
    if rawequal(entry.callback, callback) then usage(("callback %s is in the list twice"):format(entry.title)) end
  end
  local own = callback.name or class_name(callback)
  local base_name = own or "callback"
  local name = type(base_name) == "string" and unique_name(self, base_name) or "of number " .. position
  local title = own and name or callback_hooks.place(callback)
  if type(base_name) ~= "string" then wrong_field(name, "name", "text", callback.name) end
  local group = callback.group or "user"
  local rank = GROUPS[group]
  if not rank then
    usage(("callback %s: unknown group '%s'; valid: metrics, user, policy, logging, checkpoint"):format(title,
      tostring(group)))
  end
  local errors, got = callback_policy.errors(callback.errors, group == "logging" and "disable" or "raise")
  if not errors then wrong_field(title, "errors", callback_policy.ERRORS, callback.errors, got) end
  local budget = callback_policy.budget(callback.budget)
  if callback.budget ~= nil and not budget then wrong_field(title, "budget", callback_policy.BUDGET, callback.budget) end
  local by_event, source = callback_hooks.of(callback, title)
  callback_state.check(callback, title)
  self.entries[#self.entries + 1] = {callback = callback, base_name = base_name, name = name, title = title, rank = rank,
    errors = errors, budget = budget, hooks = by_event, source = source}
  if callback.entered then callback:entered(self) end
end

---Makes an emitter from a list of callbacks.
---@param callbacks table[] tables with hooks (`on_epoch_end = function(self, state) end`), what train.on returns, or false
--- of a callback: `name`, `group`, `errors` = "raise" | "disable" | "retry" | {"retry", times = 3, otherwise = "disable"}, `budget`
--- = "50ms" of each call or "5%" of the training, `state_fields`, `writes`
---@return table list with `list:emit(event, state)`, `list:add(callback)`, `list:state_dict()`
---@example local tries = 0
--- local upload = {name = "upload", errors = {"retry", times = 2}, on_epoch_end = function() tries = tries + 1 end}
--- local state = train.state{callbacks = train.callback_list{upload}}
--- state:emit("epoch_end")
--- tries  --> 1
local function new(callbacks)
  local self = setmetatable({entries = {}, handlers = {}, _checked = setmetatable({}, {__mode = "k"})}, CallbackList)
  if callbacks ~= nil and (type(callbacks) ~= "table" or getmetatable(callbacks) ~= nil) then
    local is_one = type(callbacks) == "table"
    usage("callbacks must be a list of callbacks, got " .. (is_one and "one callback" or require("native.vm").describe(callbacks)),
      is_one and "put the callback in braces: callbacks = {callback}" or "callbacks = {train.EarlyStopping{patience = 3}}")
  end
  local last, count = 0, 0
  for _, key in ipairs(ordered.keys(callbacks or {})) do
    if math.type(key) ~= "integer" then
      usage(("callbacks must be a list of callbacks, got the key '%s'"):format(tostring(key)),
        "put the callback in braces: callbacks = {callback}")
    end
    last, count = math.max(last, key), count + 1
  end
  if last ~= count then
    usage(("callbacks has %d entries but the last one is number %d: one is nil"):format(count, last),
      "`condition and callback` gives false where there is none, which is passed over")
  end
  for i = 1, count do
    if callbacks[i] ~= false then enter(self, callbacks[i], i) end
  end
  rebuild(self)
  return self
end

local function position_of(self, callback)
  for i, entry in ipairs(self.entries) do
    if rawequal(entry.callback, callback) then return i end
  end
  usage("the callback is not in the list")
end

---Adds a callback at the end of its group, or right after another one. Within a hook: it hears from the next event on.
---@param callback table
---@param after? table a callback of the list
function CallbackList:add(callback, after)
  local place = after and position_of(self, after)
  enter(self, callback, #self.entries + 1)
  if place then table.insert(self.entries, place + 1, table.remove(self.entries)) end
  rebuild(self)
end

---Takes a callback out. Within a hook: it hears nothing more from the next event on.
function CallbackList:remove(callback)
  table.remove(self.entries, position_of(self, callback))
  rebuild(self)
end

---Puts another callback at the place of one, under the same name where it has none of its own.
function CallbackList:replace(old, callback)
  local i = position_of(self, old)
  local entry = table.remove(self.entries, i)
  local ok, err = pcall(enter, self, callback, i)
  if not ok then
    table.insert(self.entries, i, entry)
    error(err, 0)
  end
  table.insert(self.entries, i, table.remove(self.entries))
  rebuild(self)
end

-- The first event of a state: what does not fit is found, and a training that has not begun does.
local function begin(self, event, state)
  local begins = event == "train_begin" or tostring(event):find("^evaluate_") or tostring(event):find("^predict_")
  if not begins or event == "train_begin" then autologged.training(self) end
  self:check(state)
  if begins then return end
  State.follow(state, "train_begin", self)
  self:tell("train_begin", state)
end

---Calls the hook of every callback that listens to `event`, in order. A state that is new to the list is checked, and
---its training begins with "train_begin" where the loop did not say so.
---@param event string
---@param state table handed to every hook: train.fit's, train.state{...}, or a plain table, which becomes a state with the
---callbacks of the list; its counters (epoch, batch, step, epochs_done, batches_done, steps_done) follow the events
function CallbackList:emit(event, state)
  if type(state) ~= "table" then
    usage(("emit: expected a state after the event, got %s"):format(require("native.vm").describe(state)),
      "state = train.state{...}, or a table")
  end
  if not self._checked[state] then begin(self, event, state) end
  if State.follow(state, event, self) then return end
  self:tell(event, state)
end

-- What hooks have put off until all have heard of the event: state:after(event, f).
local function run_after(state, event)
  local list = state._after[event]
  if not list then return end
  state._after[event] = nil
  if next(state._after) == nil then state._after = false end
  for _, f in ipairs(list) do f(state) end
end

---The same for a state whose counters have followed the event.
---@private
function CallbackList:tell(event, state)
  local list = self.handlers[event]
  if list == nil then
    usage(("unknown event '%s'%s"):format(tostring(event), nearest.suggest(tostring(event), hooks.events)))
  end
  for i = 1, list and #list or 0 do
    local item = list[i]
    if not item.entry.disabled then
      local ok, err = pcall(item.f, item.callback, state)
      if not ok then callback_policy.failed(self, item, state, item.handler(err), switch_off) end
    end
  end
  if state._after then run_after(state, event) end
end

---Does any callback listen to `event`?
function CallbackList:hears(event)
  local list = self.handlers[event]
  return list and #list > 0
end

---Lets every callback find its own mistakes before the first step: calls `callback:check(state)` where there is one, in the
---order of the groups, also of those that a check adds. What a check puts into its `writes` is known to those after it.
---@param state table
---@param before? fun() called before each check
function CallbackList:check(state, before)
  State.join(state, self)
  self._checked[state] = true
  local done = {}
  local function next_entry()
    local found
    for _, entry in ipairs(self.entries) do
      if entry.callback.check and not done[entry] and (not found or entry.rank < found.rank) then found = entry end
    end
    return found
  end
  for entry in next_entry do
    done[entry] = true
    if before then before() end
    local ok, err = xpcall(entry.callback.check, explain(prefix_of(entry.title, "check")), entry.callback, state)
    if not ok then error(err, 0) end
  end
  if before then before() end
end

---The log names that callbacks say they write (`writes = {"f1"}`), for the check of monitors.
function CallbackList:written_names()
  local names = {}
  for _, entry in ipairs(self.entries) do
    for _, name in ipairs(entry.callback.writes or {}) do names[#names + 1] = name end
  end
  return names
end

---The state of every callback by name.
function CallbackList:state_dict()
  local all = {}
  for _, entry in ipairs(self.entries) do all[entry.name] = callback_state.get(entry.callback) end
  return all
end

---Gives every callback its state back; names that are not in the list are passed over.
---@param all table
---@param state? table of the training that goes on: the second argument of every load_state_dict
function CallbackList:load_state_dict(all, state)
  for _, entry in ipairs {table.unpack(self.entries)} do
    if all[entry.name] then callback_state.set(entry.callback, all[entry.name], state) end
  end
end

return new
