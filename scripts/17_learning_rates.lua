-- Which learning rate? A run for each under one parent, stopped early, with the losses of every epoch.
--
--   trainhost scripts/17_learning_rates.lua [--set rates=0.1,0.01,0.001] [--set epochs=30] [--set patience=3]
--
-- `mlflow ui` shows the parent with its nested runs side by side; the parent carries the best of them as a tag.
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional
local data = torch.utils.data

local rates = host.param("rates", {0.1, 0.01, 0.001})
if #rates == 0 then error("rates is empty: give it as --set rates=0.1,0.01", 0) end
local epochs = host.param("epochs", 30, {min = 1})
local patience = host.param("patience", 3, {min = 0})
local samples = host.param("samples", 6000, {min = 100, max = 60000})
local seed = host.param("seed", 1)

local set = torch.datasets.fashion_mnist()
local images = set.train.tensors[1]:narrow(0, 0, samples):float() / 255
local labels = set.train.tensors[2]:narrow(0, 0, samples)
local train_set, valid_set = data.random_split(data.TensorDataset(images, labels), {samples - samples // 5, samples // 5},
  {seed = seed})

mlflow.set_experiment("learning-rates")
local parent <close> = mlflow.start_run {run_name = "sweep of the learning rate"}
parent:log_params {epochs = epochs, patience = patience, samples = samples}

local best, best_rate = math.huge, nil
for i, lr in ipairs(rates) do
  torch.manual_seed(seed)
  local model = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
  local run <close> = mlflow.start_run {run_name = ("lr %g"):format(lr), nested = true}
  run:log_param("lr", lr)
  local history = train.fit {
    model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = lr, momentum = 0.9}), loss = F.cross_entropy,
    train = data.DataLoader(train_set, {batch_size = 100, shuffle = true, seed = seed}),
    valid = data.DataLoader(valid_set, {batch_size = 1000}), epochs = epochs, metrics = {"accuracy"}, quiet = true,
    callbacks = {
      train.EarlyStopping {monitor = "val_loss", patience = patience, restore_best_weights = true},
      train.on("epoch_end", {group = "logging"}, function(state)
        run:log_metrics({train_loss = state.logs.loss, val_loss = state.logs.val_loss, val_accuracy = state.logs.val_accuracy},
          {step = state.epoch})
      end),
      train.Progress {title = ("rate %d/%d"):format(i, #rates), summary = false},
    },
  }
  local lowest = math.huge
  for _, value in ipairs(history.val_loss) do
    if value < lowest then lowest = value end
  end
  run:log_metric("best_val_loss", lowest)
  if lowest < best then best, best_rate = lowest, lr end
end
parent:set_tag("best_lr", tostring(best_rate))
parent:log_metric("best_val_loss", best)
print(("best learning rate: %s (validation loss %.4f)"):format(best_rate, best))
