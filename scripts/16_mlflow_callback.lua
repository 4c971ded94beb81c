-- A callback of your own that logs into MLflow, as a plain table and as a class with settings and a state.
--
--   trainhost scripts/16_mlflow_callback.lua [--set epochs=4] [--set every=2]
--
-- Both log the same: the current epoch, every key of the logs, how many parameters the model has, what its weights are on
-- the average.
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local epochs = host.param("epochs", 4, {min = 1})
local every = host.param("every", 2, {min = 1, doc = "epochs between the log entries of the class"})

local function count_parameters(model)
  local total = 0
  for _, parameter in ipairs(model:parameters()) do total = total + parameter:numel() end
  return total
end

local function average_weight(model)
  local _ <close> = torch.no_grad()
  local mean = train.metrics.Mean()
  for _, parameter in ipairs(model:parameters()) do mean:update(parameter) end
  return mean:result()
end

local function log_all(run, state)
  run:log_metric("current_epoch", state.epoch, {step = state.epoch})
  for key, value in pairs(state.logs) do run:log_metric(key, value, {step = state.epoch}) end
  run:log_metric("total_parameters", count_parameters(state.model), {step = state.epoch})
  run:log_metric("average_weight", average_weight(state.model), {step = state.epoch})
end

-- The plain table: a hook is a function, and that is all. A logger that fails is switched off, the training goes on.
local function plain(run)
  return {name = "plain", group = "logging", on_epoch_end = function(_, state) log_all(run, state) end}
end

-- The class: settings, a state that checkpoints keep (its fields), a check before the first step.
local EveryFew = {__name = "EveryFew", group = "logging"}
EveryFew.__index = EveryFew

local function every_few(run, k) return setmetatable({every = k, logged = 0, _run = run}, EveryFew) end

function EveryFew:check(state) assert(state.model, "EveryFew needs a model") end

function EveryFew:on_epoch_end(state)
  if (state.epoch + 1) % self.every ~= 0 then return end
  log_all(self._run, state)
  self.logged = self.logged + 1
end

torch.manual_seed(1)
local x = torch.randn(512, 10)
local y = (x:sum(1, true) + torch.randn(512, 1) * 0.1)

mlflow.set_experiment("callbacks")
for _, make in ipairs {plain, every_few} do
  local run <close> = mlflow.start_run {run_name = make == plain and "table" or "class"}
  local callback = make(run, every)
  local model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1))
  local history = train.fit {model = model, optimizer = "adam", loss = F.mse_loss, train = {x, y}, validation_split = 0.25,
    batch_size = 64, epochs = epochs, callbacks = {callback}, verbose = 2}
  print(("%s: %d entries, val_loss %.4f"):format(make == plain and "table" or "class", callback.logged or epochs,
    history.val_loss[#history.val_loss]))
end
