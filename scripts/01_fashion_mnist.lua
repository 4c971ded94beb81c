-- Trains a small convolutional network on Fashion-MNIST: about 0.92 of the test set in a few minutes on two cores.
--
--   trainhost scripts/01_fashion_mnist.lua [--set epochs=12] [--set lr=0.002] [--set batch_size=64] [--set seed=1]
--
-- Then `mlflow ui` in the same folder shows the run: parameters, curves, checkpoints, the picture of the losses.
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional
local data = torch.utils.data

local lr = host.param("lr", 2e-3, {min = 0, doc = "the learning rate of the first epoch"})
local decay = host.param("decay", 0.8, {doc = "what the learning rate is multiplied by each epoch"})
local epochs = host.param("epochs", 12, {min = 1})
local batch_size = host.param("batch_size", 64, {min = 1})
local patience = host.param("patience", 3, {doc = "epochs without improvement before it stops"})
local save_every = host.param("save_every", 5, {min = 1, doc = "epochs between checkpoints"})
local seed = host.param("seed", 1)
local samples = host.param("samples", 60000, {min = 600, max = 60000, doc = "fewer for a quick try"})
local out = host.param("out", "out", {doc = "the folder for checkpoints and the picture"})

torch.manual_seed(seed)

local Net = nn.class("Net")

function Net:__init()
  self.conv1 = nn.Conv2d(1, 16, 3, {padding = 1})
  self.conv2 = nn.Conv2d(16, 32, 3, {padding = 1})
  self.dropout = nn.Dropout(0.25)
  self.fc1 = nn.Linear(32 * 7 * 7, 128)
  self.fc2 = nn.Linear(128, 10)
end

function Net:forward(x)
  x = F.max_pool2d(F.relu(self.conv1(x)), 2)
  x = F.max_pool2d(F.relu(self.conv2(x)), 2)
  x = self.dropout(x:flatten(1))
  return self.fc2(F.relu(self.fc1(x)))
end

-- The validation set is split from the training set: the test set is scored once, at the very end.
local set = torch.datasets.fashion_mnist()
local pool = samples < #set.train and data.random_split(set.train, {samples, #set.train - samples}, {seed = seed}) or set.train
local valid_count = samples // 12
local fit_set, valid_set = data.random_split(pool, {samples - valid_count, valid_count}, {seed = seed})

local net = Net()
local optimizer = torch.optim.AdamW(net:parameters(), {lr = lr})

mlflow.set_experiment("fashion-mnist")
local run <close> = mlflow.start_run {run_name = "small cnn"}

local history = train.fit {
  model = net, optimizer = optimizer, loss = F.cross_entropy, epochs = epochs,
  train = data.DataLoader(fit_set, {batch_size = batch_size, shuffle = true, seed = seed}),
  valid = data.DataLoader(valid_set, {batch_size = 1000}),
  metrics = {accuracy = train.metrics.Accuracy()},
  callbacks = {
    train.LearningRateScheduler(function(epoch) return lr * decay ^ epoch end),
    train.EarlyStopping {monitor = "val_loss", patience = patience, restore_best_weights = true, verbose = true},
    train.ModelCheckpoint {filepath = out .. "/{epoch:02d}-{val_loss:.3f}", save_freq = save_every .. "ep", keep_last = 3},
    -- A policy of your own is a function of the one state table.
    train.on("epoch_end", {every = save_every}, function(state)
      local logs = state.logs
      run:log_text(("epoch %d: %s\n"):format(state.epoch + 1, tostring(logs)), ("notes/epoch_%02d.txt"):format(state.epoch + 1))
    end),
    mlflow.callback(),
  },
}

local test = train.evaluate {
  model = net, loss = F.cross_entropy, data = data.DataLoader(set.test, {batch_size = 1000}),
  metrics = {accuracy = train.metrics.Accuracy()},
}
run:log_metrics {test_loss = test.loss, test_accuracy = test.accuracy}

host.file.mkdir(out)
run:log_artifact(train.plot(history, out .. "/loss.svg", {title = "Fashion-MNIST, small CNN"}))
print(("test: loss %.4f  accuracy %.4f"):format(test.loss, test.accuracy))
