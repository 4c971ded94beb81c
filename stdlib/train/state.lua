-- The one table that is handed to every hook: train.fit makes one, and train.state for loops by hand.
--
-- Fields while training: model, optimizer, epoch, batch, step (all from 0: the index of the current one), epochs_done,
-- batches_done, steps_done (how many are complete), batch_count (batches in this pass, nil when unknown), epochs,
-- max_steps, max_time, phase ("train", "valid", "evaluate", "predict"), inputs (the batch), output, target, loss,
-- samples, epoch_batches (done in this epoch), logs, metrics, history, stopping, stop_reason, skip_step (a hook of
-- before_step sets it: this step of the optimizer is left out), found_inf (a flag of the device for the same), count (what the
-- batch counts: samples, tokens or weights), dry_run (nothing is to be written), user (yours, saved with the checkpoints),
-- saved (more that has a state_dict, by name), resumed (the checkpoint that the training went on from), resumed_time (when that
-- was made, seconds since 1970), resumed_run (the id of the MLflow run of then), run (the MLflow run that mlflow.callback logs
-- it to).
local logs = require "train.logs"

local State = {__name = "state"}
State.__index = State

-- What every state has from the start.
local function complete(fields)
  for _, name in ipairs {"epoch", "batch", "step", "epochs_done", "batches_done", "steps_done", "epoch_batches"} do
    fields[name] = fields[name] or 0
  end
  fields.stopping, fields.user, fields.logs = fields.stopping or false, fields.user or {}, fields.logs or logs.new()
  fields.phase, fields.clock = fields.phase or "train", fields.clock or require("host").clock
  fields.started, fields._after = fields.started or fields.clock(), fields._after or false
  if fields.dry_run == nil then fields.dry_run = require("host").dry_run() end
  return setmetatable(fields, State)
end

---A state with these fields, for the loops of this library.
function State.new(fields) return complete(fields) end

-- What an event says about how far the training is. The index of the current one and the count of those that are
-- done follow each other: a loop by hand may set an index itself, also to begin later than at 0.
local function reach(state, index, done)
  if state[index] < state[done] then state[index] = state[done] else state[done] = state[index] end
end

-- A loop by hand ends after one batch in a dry run; train.fit has its bounds.
local function end_dry_run(state)
  if not state.arguments and not state.stopping then state:stop("dry run: one batch of each phase") end
end

local counted = {}

---Is there anything to go on from: a wish, or a callback that recovers by itself?
---@return boolean
function State:may_resume()
  if self.dry_run or not self.callback_list or self.resume == false then return false end
  for _, entry in ipairs(self.callback_list.entries) do
    if entry.callback.recovers then return true end
  end
  return self.resume ~= nil
end

function counted.train_begin(state)
  state.started = state.clock()
  if state:may_resume() then
    state:after("train_begin", function() require("train.resume").begin(state) end)
  end
end

function counted.epoch_begin(state)
  if state._within then  -- an epoch that goes on: its begin was told before
    state._within = nil
    return true
  end
  reach(state, "epoch", "epochs_done")
  state.batch, state.epoch_batches = 0, 0
  if state.logs == state._old_logs then state.logs = logs.new() end  -- else they are put there for this epoch
end

function counted.batch_begin(state)
  reach(state, "batch", "epoch_batches")
  reach(state, "step", "steps_done")
end

function counted.after_step(state)
  if state.step ~= state.steps_done then reach(state, "step", "steps_done") end
  state.steps_done = state.steps_done + 1
end

function counted.batch_end(state)
  if state.batch ~= state.epoch_batches then reach(state, "batch", "epoch_batches") end
  state.batches_done, state.epoch_batches = state.batches_done + 1, state.epoch_batches + 1
  if state.dry_run then end_dry_run(state) end
end

function counted.epoch_end(state)
  reach(state, "epoch", "epochs_done")
  state.epochs_done, state._old_logs = state.epoch + 1, state.logs
  if state.dry_run then end_dry_run(state) end
end

-- What callbacks write behind the training's back is there before any of them hears that it has ended.
function counted.train_end(state, list)
  local saves = false
  for _, entry in ipairs(list and list.entries or {}) do
    if entry.callback.settle then entry.callback:settle(state) end
    saves = saves or entry.callback.checkpoint_folder ~= nil
  end
  if saves and not (state.interrupted or state.dry_run) then
    state:after("train_end", function() require("train.resume").finish(state) end)
  end
end

---A list of callbacks begins to tell of events. A plain table becomes a state; one without callbacks of its own has those of
---the list from then on.
---@param state table
---@param list table
function State.join(state, list)
  if getmetatable(state) == nil then complete(state)._borrows = true end
  if getmetatable(state) == State and state._borrows then state.callback_list = list end
end

---Takes note of an event that a list of callbacks is told of, before its hooks run.
---@param state table
---@param event string
---@param list table
---@return boolean? is_told the callbacks have heard of this very event before
function State.follow(state, event, list)
  if getmetatable(state) ~= State then return nil end
  local f = counted[event]
  return f and f(state, list)
end

---Puts off `f(state)` until every callback has heard of an event.
---@param event string
---@param f fun(state: table)
function State:after(event, f)
  local waiting = self._after or {}
  self._after = waiting
  waiting[event] = waiting[event] or {}
  table.insert(waiting[event], f)
  local handlers = self.callback_list and self.callback_list.handlers
  if handlers and not handlers[event] then handlers[event] = {} end
end

---Asks for the training to end after this batch (or this epoch). Every reason given is kept.
---@param reason string
---@param for_now? boolean a training that goes on from a checkpoint of now is not stopped
function State:stop(reason, for_now)
  reason = tostring(reason or "stop requested")
  self.stopping = true
  if not for_now then self._lasting_stop = self._lasting_stop and self._lasting_stop .. "; " .. reason or reason end
  self.stop_reason = self.stop_reason and self.stop_reason .. "; " .. reason or reason
end

---Tells the callbacks of an error on its way out of a loop; nil is none.
---@param err any
function State:fail(err)
  if err == nil then return end
  self.error = err
  local ok, second = pcall(self.emit, self, "exception")
  if not ok then require("host").log.warn(("in an exception hook: %s"):format(tostring(second))) end
end

---Until it is closed an error on its way out is told to the callbacks.
---@return table to be closed
function State:guard()
  return setmetatable({}, {__close = function(_, err) self:fail(err) end})
end

---Seconds since the training began.
function State:elapsed() return self.clock() - self.started end

---The fraction of the training that is done, from 0 to 1, by whichever bound is nearest.
function State:progress()
  local fraction = 0
  if self.epochs then
    local within = self._train_count and self.epoch_batches / self._train_count or 0
    local done = self.epochs_done > self.epoch and self.epochs_done or self.epoch + math.min(within, 1)
    fraction = math.max(fraction, done / self.epochs)
  end
  if self.max_steps then fraction = math.max(fraction, self.steps_done / self.max_steps) end
  if self.max_time then fraction = math.max(fraction, self:elapsed() / self.max_time) end
  return math.min(fraction, 1)
end

---Prints a line for the user, above the progress bar where one is drawn.
---@param text string
function State:say(text)
  for _, entry in ipairs(self.callback_list and self.callback_list.entries or {}) do
    if entry.callback.say and not entry.disabled then return entry.callback:say(text) end
  end
  print(text)
end

---Tells every callback of an event.
---@param event string
function State:emit(event)
  local list, f = self.callback_list, counted[event]
  if f and f(self, list) then return end
  if list.handlers[event] ~= false then list:tell(event, self) end
end

function State:__tostring()
  return ("state: epoch %d, batch %d, step %d, %s"):format(self.epoch + 1, self.batch + 1, self.step + 1,
    tostring(self.logs or ""))
end

return State
