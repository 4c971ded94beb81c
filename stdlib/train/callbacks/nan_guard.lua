-- train.NanGuard: finds NaN and infinity at the step where they arise, names where they come from, and acts on it.
--
-- Note [Looking for what is not finite]
-- Once a backward has run, whatever was not finite in data, weights, loss or gradients has come into a gradient, so that is
-- what each step looks at: on the CPU one native pass over the gradients, which the optimizer reads next anyway. On a device
-- the host does not wait: a flag goes to the optimizer, whose kernel leaves a bad step out, and is copied to the host, which
-- reads it at the next step. Only then is the cause looked for.
local cause = require "train.cause"
local keywords = require "host.keywords"
local layers = require "train.layers"
local learning_rate = require "train.learning_rate"
local native = require "native.magnitude"
local numbers = require "train.numbers"
local options = require "train.options"
local rewind = require "train.rewind"
local torch = require "torch"

local NanGuard = {__name = "NanGuard", group = "policy", state_fields = {"found", "bad_steps", "_in_row", "_since"}}
NanGuard.__index = NanGuard

local is_tensor <const> = torch.is_tensor
local first_not_finite <const>, keep <const> = native.first_not_finite, require("native.tensor").keep

local KEPT <const> = 100  -- of what was found

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function NanGuard:check(state)
  if not state.optimizer then usage("needs an optimizer", "train.TerminateOnNaN looks at the loss alone") end
  if self.policy == "roll_back" and not state.model then usage('policy = "roll_back" needs a model') end
end

local function forget(self)
  self.found, self.bad_steps = {}, 0
  self._in_row, self._since, self._layers, self._snapshot, self._buffers = 0, 0, nil, nil, nil
  self._flag, self._pending, self._early = nil, nil, nil
end

-- Running statistics and their counts: the forward of a bad batch has changed them already. Those of one dtype are one
-- list, which a device copies at once.
local function statistics(model)
  local lists, of_dtype = {}, {}
  for _, buffer in ipairs(model and model:buffers() or {}) do
    if buffer:is_floating_point() or buffer:numel() == 1 then
      local dtype = tostring(buffer.dtype)
      if not of_dtype[dtype] then
        of_dtype[dtype] = {}
        lists[#lists + 1] = of_dtype[dtype]
      end
      table.insert(of_dtype[dtype], buffer)
    end
  end
  return lists
end

local function copy_into(into, from)
  local _ <close> = torch.no_grad()
  for i, list in ipairs(from) do torch.ops.aten._foreach_copy_(into[i], list) end
end

local function copy_buffers(self, into)
  if #self._own == 0 then return nil end
  if not into then return rewind.clone(self._own) end
  copy_into(into, self._own)
  return into
end

local function prepare(self, state)
  self._layers = layers.new(state)
  self._own, self._buffers, self._pending = statistics(state.model), nil, nil
  self._accumulates = state.arguments and (state.arguments.accumulate or 1) > 1
end

local function acts(self) return self.policy ~= "warn" end

function NanGuard:on_train_begin(state)
  forget(self)
  state.leaves_out_not_finite = acts(self)
  prepare(self, state)
  self._buffers = copy_buffers(self)
end

function NanGuard:on_epoch_begin(state)
  if not self._layers:is_current(state) then prepare(self, state) end
  if acts(self) then self._buffers = copy_buffers(self, self._buffers) end  -- a checkpoint is read after on_train_begin
end

local function restore_buffers(self)
  if self._buffers then copy_into(self._own, self._buffers) end
end

local function snapshot_of(state)
  return rewind.take {model = state.model, optimizer = state.optimizer, step = state.step}
end

-- Is it time for a new snapshot of what roll_back goes back to?
local function is_snapshot_due(self)
  self._since = self._since + 1
  if self.policy ~= "roll_back" or self._snapshot and self._since <= self.snapshot_every then return false end
  self._since = 1
  return true
end

-- What is done about a bad step. `late`: the flag has left it out, and the next one is about to be taken.
local act = {}

function act.warn() return "the step is taken" end

function act.skip(self, state, late)
  restore_buffers(self)
  if not late then state.skip_step = true end
  return "the step is left out"
end

function act.reduce_lr(self, state, late)
  act.skip(self, state, late)
  learning_rate.map(state.optimizer, function(lr) return math.max(lr * self.factor, math.min(lr, self.min_lr)) end)
  return ("the step is left out, the learning rate is now %.6g"):format(learning_rate.get(state.optimizer))
end

function act.roll_back(self, state)
  state.skip_step = true  -- a late one too: its gradients are those of other weights
  local snapshot = self._snapshot
  if not snapshot then
    restore_buffers(self)
    return "the step is left out: there is no good state yet to roll back to"
  end
  snapshot:restore(true)  -- the learning rates stay: a scheduler has gone on
  self._since = 0
  return ("rolled back to the state of step %d"):format(snapshot.step + 1)
end

function act.stop(self, state)
  restore_buffers(self)
  state.skip_step = true
  return "the training stops"
end

-- One warning for the first bad steps of a training, then at powers of ten.
local function is_told(count) return count <= 3 or math.log(count, 10) % 1 == 0 end

local function bad(self, state, where, found)
  self.bad_steps, self._in_row = self.bad_steps + 1, self._in_row + 1
  local action = act[self.policy](self, state, where ~= state)
  local text = ("NanGuard: step %d (epoch %d, batch %d): %s; %s"):format(where.step + 1, where.epoch + 1, where.batch + 1,
    found.text, action)
  found.step, found.epoch, found.batch, found.policy = where.step, where.epoch, where.batch, self.policy
  if #self.found < KEPT then self.found[#self.found + 1] = found end
  if self.verbose and is_told(self.bad_steps) then state:say("warning: " .. text) end
  if self.callback then self.callback(state, found) end
  if self.policy == "stop" then
    state:stop(("%s at step %d"):format(found.text, where.step + 1))
  elseif self.policy ~= "warn" and self._in_row >= self.patience then
    state:stop(("NanGuard: %d steps one after another were not finite: %s"):format(self._in_row, found.text))
  end
end

-- Gradients that overflow under a scaler are its own affair: it leaves the step out and lowers the scale.
local function is_scaled(state)
  local scaler = state.arguments and state.arguments.scaler
  return scaler and scaler:is_enabled()
end

local function loss_of(state)
  local loss = state.loss
  if is_tensor(loss) then return (loss:dim() == 0 and loss or loss:detach():sum()):item() end
  return type(loss) == "number" and loss or 0
end

-- Of the batches of one step any may be bad, and the last one is what is left to look at.
function NanGuard:on_after_backward(state)
  if not self._accumulates or self._early or not self._layers.on_cpu then return end
  local loss = loss_of(state)
  if loss - loss ~= 0 then self._early = cause.find(state, self._layers, loss) end
end

local function look(self, state)
  local known, early = self._layers, self._early
  self._early = nil
  local loss = loss_of(state)
  local loss_is_finite = loss - loss == 0 and not early
  local index = first_not_finite(known.tensors, true)
  if not index and loss_is_finite then
    self._in_row = 0
    if not acts(self) then return end
    self._buffers = copy_buffers(self, self._buffers)
    if is_snapshot_due(self) then self._snapshot = snapshot_of(state) end
    return
  end
  if loss_is_finite and is_scaled(state) then return end
  bad(self, state, state, early or cause.find(state, known, loss, index))
end

-- Which gradients, and the loss, are finite: the largest value of one that is not stays so.
local function flags_of(state, known)
  local _ <close> = torch.no_grad()
  local gradients, indices = {}, {}
  for i, tensor in ipairs(known.tensors) do
    local grad = tensor.grad
    if grad ~= nil then
      gradients[#gradients + 1] = grad.is_sparse and grad:coalesce():values() or grad
      indices[#indices + 1] = i
    end
  end
  if #gradients == 0 then return nil end
  local device = gradients[1].device
  local norms = torch.ops.aten._foreach_norm(gradients, math.huge)
  if torch.is_tensor(state.loss) then norms[#norms + 1] = state.loss:detach():sum() end
  for i, norm in ipairs(norms) do norms[i] = norm:to(device, torch.float32) end
  return torch.stack(norms):isfinite(), indices
end

-- What the flags of the last step say, once their copy is there.
local function read(self, state)
  local flag = self._flag
  if not flag then return end
  self._flag = nil
  if flag.event then flag.event:synchronize() end
  local found, loss_is_bad = {}, false
  for i, is_finite in ipairs(flag.copy:tolist()) do
    if not is_finite and flag.indices[i] then found[#found + 1] = flag.indices[i] end
    if not is_finite and not flag.indices[i] then loss_is_bad = true end
  end
  if #found == 0 and not loss_is_bad then
    self._in_row = 0
    self._buffers, self._pending = self._pending, self._buffers
    self._snapshot = flag.snapshot or self._snapshot
  elseif loss_is_bad or not is_scaled(state) then
    bad(self, state, flag, cause.find_late(flag.inputs, self._layers, found))
  end
end

local function look_later(self, state)
  read(self, state)
  local finite, indices = flags_of(state, self._layers)
  if not finite then return end
  if acts(self) and not is_scaled(state) then
    state.found_inf = keep(finite:all():logical_not():to(torch.float32))
  end
  local flag = {copy = keep(finite:to("cpu", {non_blocking = true})), indices = indices, step = state.step,
    epoch = state.epoch, batch = state.batch, inputs = state.inputs}
  layers.each_tensor(state.inputs, "batch", function(tensor) keep(tensor) end)
  if finite.is_cuda then
    flag.event = torch.Event(finite.device)
    flag.event:record()
  end
  if acts(self) then
    self._pending = copy_buffers(self, self._pending)
    if is_snapshot_due(self) then flag.snapshot = snapshot_of(state) end
  end
  self._flag = flag
end

function NanGuard:on_before_step(state)
  if not self._layers then prepare(self, state) end
  if self._layers.on_cpu then return look(self, state) end
  look_later(self, state)
end

--- The flag is that of one step.
---@private
function NanGuard:on_batch_end(state) state.found_inf = nil end

function NanGuard:on_epoch_end(state)
  read(self, state)
  if not self._layers.on_cpu then state.skip_step = nil end
end

-- What became of the bad steps; one that stops the training is told by the reason.
local SUMMARY <const> = {warn = "took", skip = "left out", reduce_lr = "left out", roll_back = "rolled back"}

function NanGuard:on_train_end(state)
  local done = SUMMARY[self.policy]
  if not done or not self.verbose or self.bad_steps == 0 then return end
  state:say(("NanGuard: %s %s that %s not finite"):format(done, numbers.counted(self.bad_steps, "step"),
    self.bad_steps == 1 and "was" or "were"))
end

---Looks at the gradients (and the loss) of every step for NaN and infinity before the optimizer steps, says at which step
---and from where they came (the data, a weight, the loss, the gradient of a parameter, each with its layer), and acts: "warn"
---takes the step all the same; "skip" leaves it out, weights and running statistics as they were; "reduce_lr" does that and
---multiplies the learning rate by `factor`; "roll_back" goes back to the last good state in memory; "stop" ends the training
---with weights and running statistics of before. On a device the step is left out at once and the rest follows one step later.
---Gradients that
---overflow under a GradScaler are left to it. In a loop by hand: emit "before_step" and heed state.skip_step.
---A batch whose loss is not finite counts in no average of the epoch where its step is left out (on the CPU).
---@param arguments? table policy = "warn"|"skip"|"reduce_lr"|"roll_back"|"stop", factor = 0.5 and min_lr = 0 of reduce_lr,
---snapshot_every = 100 (steps between the states that roll_back keeps), patience = 25 (so many bad steps one after another
---end the training, but under "warn"), callback = function(state, found) with found.kind = "data"|"weight"|"loss"|"output"|
---"gradient", name, layer, text, verbose = true, errors = "raise", budget
---@return table callback `found` lists what was found, `bad_steps` counts, and a line at the end says how many there were
return function(arguments)
  local self = setmetatable(options.of_callback("train.NanGuard", arguments, {
    policy = "warn", factor = 0.5, min_lr = 0, snapshot_every = 100, patience = 25, callback = keywords.none, verbose = true,
  }, {
    policy = {"warn", "skip", "reduce_lr", "roll_back", "stop"}, factor = "not_negative", min_lr = "not_negative",
    snapshot_every = "positive_count", patience = "positive_count", callback = "function", verbose = "verbose",
  }), NanGuard)
  if not (self.factor < 1) then usage(("train.NanGuard: factor must be less than 1, got %s"):format(self.factor)) end
  forget(self)
  return self
end
