-- Every k epochs: parameters, metrics and the model go into MLflow; a store that fails is tried again and never ends a training.
--
--   trainhost scripts/18_every_k_epochs.lua [--set epochs=12] [--set every=4] [--set failures=2] [--set budget=20%]
--
-- `failures` makes the first entries fail on purpose, as a full disk would.
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"
local train = require "train"
local nn = torch.nn

local epochs = host.param("epochs", 12, {min = 1})
local every = host.param("every", 4, {min = 1})
local failures = host.param("failures", 2, {min = 0, doc = "entries that fail before one is taken"})
local budget = host.param("budget", "20%", {doc = "share of the training's time that the entries may take"})
local out = host.param("out", "out/every")

torch.manual_seed(1)
local x = torch.randn(600, 8)
local y = x["..., 0"]:gt(0):logical_xor(x["..., 1"]:gt(0)):to(torch.int64)  -- is one of the first two numbers above 0?

mlflow.set_experiment("every-k-epochs")
local run <close> = mlflow.start_run {run_name = ("every %d epochs"):format(every)}

local entries, tries = 0, 0
local logger = {
  name = "EveryK", group = "logging",
  errors = {"retry", times = 3, otherwise = "disable"},  -- the training never ends for it
  budget = budget,                                       -- and a word is said if it takes too long
}

function logger:on_epoch_end(state)
  if (state.epoch + 1) % every ~= 0 then return end
  tries = tries + 1
  if tries <= failures then error("the store does not answer (on purpose)") end
  local group = state.optimizer.param_groups[1]
  run:set_tag("learning_rate", tostring(group.lr))
  for name, value in pairs(state.logs) do run:log_metric("every_k_" .. name, value, {step = state.epoch}) end
  local path = ("%s/epoch_%02d.safetensors"):format(out, state.epoch + 1)
  host.file.mkdir(out)
  host.checkpoint.save_tensors(path, state.model:state_dict())
  run:log_artifact(path, "models")
  entries = entries + 1
end

local model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
run:log_params {epochs = epochs, every = every, parameters = #model:parameters()}
local history = train.fit {
  model = model, optimizer = torch.optim.Adam(model:parameters(), {lr = 0.01}), loss = nn.CrossEntropyLoss(),
  train = {x, y}, validation_split = 0.2, batch_size = 50, epochs = epochs, metrics = {"accuracy"}, callbacks = {logger},
}
print(("%d entries of %d tries, val_accuracy %.2f"):format(entries, tries, history.val_accuracy[#history.val_accuracy]))
