-- Loops by hand without a state, under mlflow.autolog: what optimizers, backward passes and loaders show of them.
--
-- The parameters of each optimizer and of host.param, batch_size; where the batches come from a DataLoader the mean loss of
-- each pass at steps from 0, else that of each step of the optimizer. The loss of a step is the sum of what was called
-- backward since the last one: batches of an accumulation are parts of one mean.
local failures = require "mlflow.failures"
local log = require "native.log"
local passes = require "torch.utils.data.passes"
local scalers = require "torch.grad_scaler"
local tensor = require "native.tensor"
local torch = require "torch"
local training_params = require "mlflow.training_params"

local plain_loop = {}

local with_state = setmetatable({}, {__mode = "k"})  -- the states of loops that are under way
local options  -- of autolog; nil where it is off
local hook, backward  -- while somebody watches: the hook of all optimizers, the tensors' own backward
local loop, pending

local function try(f, ...) return failures.try(loop.run, {quiet = loop.options.silent}, f, ...) end

-- --- Epochs

local function new_sums() return {sums = {}, weights = {}} end

local function end_pass()
  if not loop or not next(loop.pass.sums) then return end
  local pass, run = loop.pass, loop.run
  loop.pass = new_sums()
  for key, sum in pairs(pass.sums) do
    if loop.options.log_every_epoch then try(run.log_metric, run, key, sum / pass.weights[key], {step = loop.epochs}) end
  end
  loop.epochs = loop.epochs + 1
end

-- The samples of a batch: of x, y as values, or of i, {x, y}.
local function samples_of(first, second)
  if math.type(first) == "integer" then first = type(second) == "table" and second[1] or second end
  if type(first) == "table" and getmetatable(first) == nil then first = first[1] end
  return torch.is_tensor(first) and first:dim() > 0 and first:size(0) or 1
end

local current  -- the pass that is under way

local function counted(pass, first, ...)
  if first == nil then
    if current == pass then current = nil end
  else
    pass.drawn = pass.drawn + samples_of(first, (...))
  end
  return first, ...
end

local function watch_pass(loader, next_batch, state, control, closing)
  if not torch.is_grad_enabled() then return next_batch, state, control, closing end
  end_pass()
  local pass = {drawn = 0, batch_size = loader.batch_size}
  current = pass
  return function(s, c) return counted(pass, next_batch(s, c)) end, state, control, closing
end

-- --- Steps

local function begin()
  local autolog = require "mlflow.autolog"
  if autolog.keeps_out(options) then return nil end
  local run, is_made = autolog.run(options)
  loop = run and {run = run, is_made = is_made, options = options, optimizers = setmetatable({}, {__mode = "k"}), count = 0,
    steps = 0, epochs = 0, pass = new_sums()} or nil
  if not loop then  -- nobody takes it, and it has been said
    plain_loop.watch(nil)
    return nil
  end
  for key, value in pairs(options.style == "lightning" and {Mode = "training"} or {}) do try(run.set_tag, run, key, value) end
  try(run.set_tag, run, "mlflow.autologging", "trainhost")
  try(run.log_params, run, (require("host").params()))
  try(require "mlflow.provenance", run)
  if current then plain_loop.log_new("batch_size", current.batch_size) end
  return loop
end

---Logs a parameter, unless host.param has one of that name.
---@private
function plain_loop.log_new(key, value)
  if value ~= nil and require("host").params()[key] == nil then try(loop.run.log_param, loop.run, key, value) end
end

-- The first optimizer has opt_name, the second opt_2_name.
local function take_note(optimizer)
  local index = loop.count + 1
  loop.count, loop.optimizers[optimizer] = index, index
  local params = training_params.of({optimizer = optimizer}, loop.options.style, {})
  for key in pairs((require("host").params())) do params[key] = nil end
  local all = {}
  for key, value in pairs(params) do
    if index > 1 then key = key:find("^opt_") and key:gsub("^opt_", "opt_" .. index .. "_") or key .. "_" .. index end
    all[key] = value
  end
  try(loop.run.log_params, loop.run, all)
  return index
end

local function log_step(optimizer, loss)
  if not loop and not begin() then return end
  local index = loop.optimizers[optimizer] or take_note(optimizer)
  if index == 1 then loop.steps = loop.steps + 1 end
  if loss == nil then return end
  local key, run, every = index == 1 and "loss" or "loss_" .. index, loop.run, loop.options._steps
  if current then
    local count = math.max(current.drawn - (current.counted or 0), 1)
    if loop.count == index then current.counted = current.drawn end
    local pass = loop.pass
    pass.sums[key] = (pass.sums[key] or 0) + loss:double() * count
    pass.weights[key] = (pass.weights[key] or 0) + count
    if not every then return end
  end
  if loop.steps % (every or 1) == 0 then try(run.log_metric, run, key, loss, {step = loop.steps}) end
end

local function after_step(optimizer)
  local loss = pending
  pending = nil
  local ok, err = pcall(log_step, optimizer, loss)
  if ok then return end
  if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
  log.warn("mlflow.autolog: this loop is not logged: " .. (type(err) == "table" and err.message or tostring(err)))
  plain_loop.watch(nil)
end

local function watched_backward(self, ...)
  backward(self, ...)
  if self:numel() ~= 1 then return end
  local loss = (scalers.losses and scalers.losses[self] or self):detach():reshape({})
  pending = pending and pending.device == loss.device and pending + loss or loss
end

-- --- Begin and end

-- Nobody watches, and no step pays, while a loop with a state is under way.
local function look()
  local wanted = options and not next(with_state)
  if wanted and not hook then
    backward = tensor.methods.backward
    tensor.methods.backward, passes.watch, scalers.losses = watched_backward, watch_pass, setmetatable({}, {__mode = "k"})
    hook = torch.optim.Optimizer.register_optimizer_step_post_hook(after_step)
  elseif not wanted and hook then
    tensor.methods.backward, passes.watch, scalers.losses = backward, nil, nil
    hook:remove()
    hook, pending = nil, nil
  end
end

---Watches loops from now on with these options of autolog; nil ends it.
---@param given table|nil
function plain_loop.watch(given)
  options = given
  look()
end

---Says that a loop with a state begins or is over.
---@param state table
---@param is_begun boolean
function plain_loop.leave(state, is_begun)
  with_state[state] = is_begun or nil
  look()
end

---A run ends: what is known of its loop is logged.
---@param run table
function plain_loop.ended(run)
  if not loop or loop.run ~= run then return end
  end_pass()
  if loop.epochs > 0 then plain_loop.log_new("epochs", loop.epochs) end
  loop, current = nil, nil
end

---Ends the run that was begun for a loop, for what is begun next has one of its own.
function plain_loop.release()
  if loop and loop.is_made then loop.run:end_run() end
end

return plain_loop
