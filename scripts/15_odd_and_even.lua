-- Odd or even: one network tells the parity of a class in a loop by hand, with the callbacks of train.fit.
--
--   trainhost scripts/15_odd_and_even.lua [--set epochs=5] [--set lr=0.001] [--set samples=6000]
--
-- `mlflow ui` shows epoch_train_loss and epoch_val_loss, each the mean over all samples, the ragged last batch too.
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"
local train = require "train"
local nn = torch.nn
local data = torch.utils.data

local epochs = host.param("epochs", 5, {min = 1})
local lr = host.param("lr", 1e-3, {min = 0})
local batch_size = host.param("batch_size", 100, {min = 1})
local samples = host.param("samples", 6000, {min = 100, max = 60000})
local seed = host.param("seed", 1)

torch.manual_seed(seed)
local set = torch.datasets.fashion_mnist()
local images = set.train.tensors[1]:narrow(0, 0, samples):flatten(1):float() / 255
local labels = set.train.tensors[2]:narrow(0, 0, samples)
local odd = labels:remainder(2):float():unsqueeze(1)  -- 1 for odd, 0 for even
local first = samples * 4 // 5
local train_loader = data.DataLoader(data.TensorDataset(images:narrow(0, 0, first), odd:narrow(0, 0, first)),
  {batch_size = batch_size, shuffle = true, seed = seed})
local valid_loader = data.DataLoader(data.TensorDataset(images:narrow(0, first, samples - first),
  odd:narrow(0, first, samples - first)), {batch_size = 1000})

local model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 1))
local loss_function = nn.BCEWithLogitsLoss()
local optimizer = torch.optim.Adam(model:parameters(), {lr = lr})

mlflow.set_experiment("odd-and-even")
local run <close> = mlflow.start_run {run_name = "raw loop"}
run:log_params(host.params())

local state = train.state {model = model, optimizer = optimizer, epochs = epochs, batch_count = #train_loader, callbacks = {
  train.EarlyStopping {monitor = "epoch_val_loss", mode = "min", patience = 2, verbose = 1},
  train.on("epoch_end", {group = "logging"}, function(s)
    run:log_metrics({epoch_train_loss = s.logs.epoch_train_loss, epoch_val_loss = s.logs.epoch_val_loss}, {step = s.epoch})
  end),
  train.Progress(),
}}

state:emit("train_begin")
while not state.stopping and state.epochs_done < epochs do
  state:emit("epoch_begin")
  local train_loss = train.metrics.Mean()
  model:train()
  for x, y in train_loader:iter() do
    state:emit("batch_begin")
    local loss = loss_function(model(x), y)
    optimizer:zero_grad()
    loss:backward()
    optimizer:step()
    state:emit("after_step")
    train_loss:update(loss, #x)
    state:emit("batch_end")
  end

  local valid_loss, accuracy = train.metrics.Mean(), train.metrics.Accuracy {from_logits = true}
  model:eval()
  torch.no_grad(function()
    for x, y in valid_loader:iter() do
      local output = model(x)
      valid_loss:update(loss_function(output, y), #x)
      accuracy:update(output, y)
    end
  end)
  state.logs.epoch_train_loss = train_loss:result()
  state.logs.epoch_val_loss = valid_loss:result()
  state.logs.val_accuracy = accuracy:result()
  state:emit("epoch_end")
end
state:emit("train_end")
print(("odd or even: %.1f %% of the validation set"):format(100 * state.logs.val_accuracy))
