-- The training of 01_fashion_mnist.lua as a loop by hand: early stopping, checkpoints and MLflow without `train`.
--
--   trainhost scripts/02_raw_loop.lua [--set epochs=12] [--set lr=0.002] [--set batch_size=64] [--set seed=1]
--   [--set samples=6000]
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"
local nn, F = torch.nn, torch.nn.functional
local data = torch.utils.data

local lr, decay = host.param("lr", 2e-3, {min = 0}), host.param("decay", 0.8)
local epochs, batch_size = host.param("epochs", 12, {min = 1}), host.param("batch_size", 64, {min = 1})
local patience, save_every = host.param("patience", 3, {min = 1}), host.param("save_every", 5, {min = 1})
local seed, out = host.param("seed", 1), host.param("out", "out/raw")
local samples = host.param("samples", 60000, {min = 600, max = 60000, doc = "fewer for a quick try"})

torch.manual_seed(seed)
local set = torch.datasets.fashion_mnist()
local valid_count = samples // 12
local fit_set, valid_set = data.random_split(data.Subset(set.train, torch.arange(samples):tolist()),
  {samples - valid_count, valid_count}, {seed = seed})

local net = nn.Sequential(
  nn.Conv2d(1, 16, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
  nn.Conv2d(16, 32, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
  nn.Flatten(), nn.Dropout(0.25), nn.Linear(32 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10))
local optimizer = torch.optim.AdamW(net:parameters(), {lr = lr})

local fit_loader = data.DataLoader(fit_set, {batch_size = batch_size, shuffle = true, seed = seed})
local valid_loader = data.DataLoader(valid_set, {batch_size = 1000})
local test_loader = data.DataLoader(set.test, {batch_size = 1000})

-- The mean loss and the accuracy over a set: sums over samples, divided once, so that a ragged last batch counts right.
local function score(loader)
  local _ <close> = torch.no_grad()
  net:eval()
  local loss, right, count = 0, 0, 0
  for x, y in loader:iter() do
    local pred = net(x)
    loss = loss + F.cross_entropy(pred, y):item() * x:size(0)
    right = right + pred:argmax(1):eq(y):sum():item()
    count = count + x:size(0)
  end
  net:train()
  return loss / count, right / count
end

local function copy_of(state)
  local copy = {}
  for name, tensor in pairs(state) do copy[name] = tensor:detach():clone() end
  return copy
end

mlflow.set_experiment("fashion-mnist")
local run <close> = mlflow.start_run {run_name = "raw loop"}
run:log_params(host.params())

local best, best_weights, wait = math.huge, nil, 0
for epoch = 0, epochs - 1 do
  for _, group in ipairs(optimizer.param_groups) do group.lr = lr * decay ^ epoch end
  local total, count = torch.zeros({}, {dtype = torch.float64}), 0
  for x, y in fit_loader:iter() do
    local loss = F.cross_entropy(net(x), y)
    optimizer:zero_grad()
    loss:backward()
    optimizer:step()
    total:add_(loss:detach(), {alpha = x:size(0)})
    count = count + x:size(0)
  end

  local loss = total:item() / count
  local val_loss, val_accuracy = score(valid_loader)
  print(("epoch %d/%d: loss %.4f  val_loss %.4f  val_accuracy %.4f"):format(epoch + 1, epochs, loss, val_loss, val_accuracy))
  run:log_metrics({loss = loss, val_loss = val_loss, val_accuracy = val_accuracy}, {step = epoch})

  if (epoch + 1) % save_every == 0 then
    local folder = ("%s/%02d-%.3f"):format(out, epoch + 1, val_loss)
    host.checkpoint.save(folder, {tensors = {model = net:state_dict()}, state = {epoch = epoch, val_loss = val_loss}})
    run:log_artifacts(folder, ("checkpoints/%02d"):format(epoch + 1))
  end

  wait = wait + 1
  if val_loss < best then
    best, best_weights, wait = val_loss, copy_of(net:state_dict()), 0
  elseif wait >= patience then
    print(("stopped: val_loss has not improved for %d epochs"):format(wait))
    break
  end
end

net:load_state_dict(best_weights)
local test_loss, test_accuracy = score(test_loader)
run:log_metrics {test_loss = test_loss, test_accuracy = test_accuracy}
print(("test: loss %.4f  accuracy %.4f"):format(test_loss, test_accuracy))
