-- The one table that is handed to every hook.
--
-- Fields while training: model, optimizer, epoch, batch, step (all from 0: the index of the current one), epochs_done,
-- batches_done, steps_done (how many are complete), batch_count (batches in this pass, nil when unknown), epochs,
-- max_steps, max_time, phase ("train", "valid", "evaluate", "predict"), inputs (the batch), output, target, loss,
-- samples, epoch_batches (done in this epoch), logs, metrics, history, stopping, stop_reason, user (yours, saved with the checkpoints).
local State = {__name = "state"}
State.__index = State

---A state with these fields.
function State.new(fields)
  fields.epoch, fields.batch, fields.step = fields.epoch or 0, fields.batch or 0, fields.step or 0
  fields.epochs_done, fields.batches_done, fields.steps_done = 0, 0, 0
  fields.epoch_batches = 0
  fields.stopping, fields.user = false, fields.user or {}
  fields.clock = fields.clock or require("host").clock
  fields.started = fields.clock()
  return setmetatable(fields, State)
end

---Asks for the training to end after this batch (or this epoch). Every reason given is kept.
---@param reason string
function State:stop(reason)
  reason = reason or "stop requested"
  self.stopping = true
  self.stop_reason = self.stop_reason and self.stop_reason .. "; " .. reason or reason
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

---Tells every callback of an event.
function State:emit(event)
  local list = self.callback_list
  if list and list.handlers[event] then list:emit(event, self) end
end

function State:__tostring()
  return ("state: epoch %d, batch %d, step %d, %s"):format(self.epoch + 1, self.batch + 1, self.step + 1,
    tostring(self.logs or ""))
end

return State
