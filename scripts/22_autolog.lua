-- mlflow.autolog: one line, and every training of the script is a run: that of train.fit, and that of a plain loop.
--
--   trainhost scripts/22_autolog.lua [--set epochs=6] [--set every=2] [--set lr=0.01]
--
-- `mlflow ui` in the same folder shows them: parameters, curves, models every k epochs, TensorBoard's files, the script.
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"
local train = require "train"
local nn, F, data = torch.nn, torch.nn.functional, torch.utils.data

local epochs = host.param("epochs", 6, {min = 1})
local every = host.param("every", 2, {min = 1, doc = "epochs between the models that are logged"})
local lr = host.param("lr", 0.01, {min = 0})

mlflow.set_experiment("autolog")
mlflow.autolog {every = every, log_models = true, keep_last_models = 2, log_input_examples = true}

torch.manual_seed(1)
local x = torch.randn(512, 10)
local y = x:sum(1, true) + torch.randn(512, 1) * 0.1

local function network() return nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1)) end

-- A run of its own, which ends with the training: FINISHED, or FAILED with an error.
local model = network()
train.fit {
  model = model, optimizer = torch.optim.Adam(model:parameters(), {lr = lr}), loss = F.mse_loss, metrics = {"mae"},
  train = {x, y}, batch_size = 64, epochs = epochs, validation_split = 0.25, verbose = 2,
  callbacks = {train.EarlyStopping {patience = 3, restore_best_weights = true}},
}
local fitted = mlflow.last_active_run()

-- A loop without any callback: its optimizer, its backward passes and its loader tell what there is to know.
local plain = network()
local optimizer = torch.optim.SGD(plain:parameters(), {lr = lr})
local loader = data.DataLoader(data.TensorDataset(x, y), {batch_size = 64, shuffle = true})
for _ = 1, epochs do
  for input, target in loader:iter() do
    optimizer:zero_grad()
    F.mse_loss(plain(input), target):backward()
    optimizer:step()
  end
end
local looped = mlflow.active_run()
looped:end_run()  -- or the end of the script

for _, run in ipairs {fitted, looped} do
  local read = mlflow.get_run(run.info.run_id).data
  print(("%s: optimizer %s, loss %.4f"):format(run.info.run_name, read.params.opt_name, read.metrics.loss))
end
