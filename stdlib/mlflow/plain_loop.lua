-- Loops by hand without a state, under mlflow.autolog: what optimizers, backward passes and loaders show of them.
--
-- The parameters of each optimizer and of host.param, batch_size; where the batches come from a DataLoader the mean loss of
-- each pass over it, at steps from 0, else that of each step of the optimizer. The loss of a step is the sum of what was
-- called backward since the last one, or since the optimizer's zero_grad: batches of an accumulation are parts of one mean,
-- the evaluations of a closure are not. Of several loaders that a step draws from the first one has its loss; a pass that no
-- step has drawn from, a look at the validation data, counts for nothing.
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
local hook, pre_hook  -- while somebody watches: those of all optimizers
local backward, zero_grad  -- while somebody watches: what the tensors and the optimizers have of their own
local loop, pending
local since = setmetatable({}, {__mode = "k"})  -- optimizer -> as pending, since its zero_grad; false: nothing yet

local function try(f, ...) return failures.try(loop.run, {quiet = loop.options.silent}, f, ...) end

-- --- Epochs

local passes_of = setmetatable({}, {__mode = "k"})  -- loader -> the pass that is under way, or was last
local current  -- the pass that the steps are of
local is_drawn = false  -- has a batch been drawn since the last step?

-- A pass is over, or begins anew: it is logged, at the number that each of its keys has come to.
local function end_pass(pass)
  if current == pass then current = nil end
  if not next(pass.sums) then return end
  local run, sums, weights = loop.run, pass.sums, pass.weights
  pass.sums, pass.weights = {}, {}
  for i, other in ipairs(loop.passes) do
    if other == pass then table.remove(loop.passes, i) break end
  end
  for key, sum in pairs(sums) do
    local epoch = loop.epochs_of[key] or 0
    loop.epochs_of[key] = epoch + 1
    if loop.options.log_every_epoch then try(run.log_metric, run, key, sum / weights[key], {step = epoch}) end
  end
end

-- The samples of a batch: of x, y as values, or of i, {x, y}.
local function samples_of(first, second)
  if math.type(first) == "integer" then first = type(second) == "table" and second[1] or second end
  if type(first) == "table" and getmetatable(first) == nil then first = first[1] end
  return torch.is_tensor(first) and first:dim() > 0 and first:size(0) or 1
end

-- The first that a step draws from, but for one that steps are of already.
local function draw_from(pass)
  if not (current and is_drawn) or next(pass.sums) and not next(current.sums) then current = pass end
  is_drawn = true
end

-- What was called backward and not yet stepped is of this pass still.
local function is_over(pass)
  pass.is_over = true
  if not (current == pass and pending) then end_pass(pass) end
end

local function counted(pass, first, ...)
  if first == nil then
    is_over(pass)
  else
    draw_from(pass)
    pass.drawn = pass.drawn + samples_of(first, (...))
  end
  return first, ...
end

local function watch_pass(loader, next_batch, state, control, closing)
  if not torch.is_grad_enabled() then return next_batch, state, control, closing end
  if passes_of[loader] then end_pass(passes_of[loader]) end
  local pass = {drawn = 0, counted = {}, batch_size = loader.batch_size, sums = {}, weights = {}}
  passes_of[loader] = pass
  return function(s, c) return counted(pass, next_batch(s, c)) end, state, control, setmetatable({}, {__close = function()
    local _ <close> = closing
    is_over(pass)
  end})
end

-- --- Steps

local function begin()
  local autolog = require "mlflow.autolog"
  if autolog.keeps_out(options) then return nil end
  local run, is_made = autolog.run(options)
  loop = run and {run = run, is_made = is_made, options = options, optimizers = setmetatable({}, {__mode = "k"}), count = 0,
    steps = 0, passes = {}, epochs_of = {}} or nil
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
    local pass = current
    local count = math.max(pass.drawn - (pass.counted[key] or 0), 1)
    pass.counted[key] = pass.drawn
    if not next(pass.sums) then table.insert(loop.passes, pass) end
    pass.sums[key] = (pass.sums[key] or 0) + loss:double() * count
    pass.weights[key] = (pass.weights[key] or 0) + count
    if not every then return end
  end
  if loop.steps % (every or 1) == 0 then try(run.log_metric, run, key, loss, {step = loop.steps}) end
end

local function reset(optimizer) since[optimizer] = false end

local function watched_zero_grad(self, ...)
  reset(self)
  return zero_grad(self, ...)
end

-- Each evaluation of a closure begins anew.
local function before_step(optimizer, args)
  local closure = args[1]
  if type(closure) ~= "function" then return end
  args[1] = function(...)
    reset(optimizer)
    return closure(...)
  end
end

local function after_step(optimizer)
  local loss = since[optimizer]
  if loss == nil then loss = pending end
  pending = nil
  for other in pairs(since) do reset(other) end
  local ok, err = pcall(log_step, optimizer, loss or nil)
  is_drawn = false
  if current and current.is_over then end_pass(current) end
  if ok then return end
  if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
  log.warn("mlflow.autolog: this loop is not logged: " .. (type(err) == "table" and err.message or tostring(err)))
  plain_loop.watch(nil)
end

local function plus(sum, loss) return sum and sum.device == loss.device and sum + loss or loss end

local function watched_backward(self, ...)
  backward(self, ...)
  if self:numel() ~= 1 then return end
  local loss = (scalers.losses and scalers.losses[self] or self):detach():reshape({})
  pending = plus(pending, loss)
  for optimizer, sum in pairs(since) do since[optimizer] = plus(sum, loss) end
end

-- --- Begin and end

-- Nobody watches, and no step pays, while a loop with a state is under way.
local function look()
  local wanted = options and not next(with_state)
  local Optimizer = torch.optim.Optimizer
  if wanted and not hook then
    backward, zero_grad = tensor.methods.backward, Optimizer.zero_grad
    tensor.methods.backward, Optimizer.zero_grad = watched_backward, watched_zero_grad
    passes.watch, scalers.losses = watch_pass, setmetatable({}, {__mode = "k"})
    pre_hook = Optimizer.register_optimizer_step_pre_hook(before_step)
    hook = Optimizer.register_optimizer_step_post_hook(after_step)
  elseif not wanted and hook then
    tensor.methods.backward, Optimizer.zero_grad, passes.watch, scalers.losses = backward, zero_grad, nil, nil
    pre_hook:remove()
    hook:remove()
    hook, pre_hook, pending, current = nil, nil, nil, nil
    since = setmetatable({}, {__mode = "k"})
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
  while loop.passes[1] do end_pass(loop.passes[1]) end
  local epochs = 0
  for _, count in pairs(loop.epochs_of) do epochs = math.max(epochs, count) end
  if epochs > 0 then plain_loop.log_new("epochs", epochs) end
  loop, current = nil, nil
end

---Ends the run that was begun for a loop, for what is begun next has one of its own.
function plain_loop.release()
  if loop and loop.is_made then loop.run:end_run() end
end

return plain_loop
