-- What goes on inside: norms and histograms of gradients for TensorBoard, a guard against NaN, a diagnosis of the curves.
--
--   trainhost scripts/21_monitoring.lua [--set epochs=5] [--set poison=30]
--   tensorboard --logdir out/monitoring
--
-- Batch `poison` has a NaN in it on purpose: its step is left out, the weights stay sound.
local host = require "host"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional
local data = torch.utils.data

local epochs = host.param("epochs", 5, {min = 1})
local samples = host.param("samples", 6000, {min = 200, max = 60000})
local poison = host.param("poison", 30, {min = -1, doc = "the batch that has a NaN; -1 for none"})
local seed = host.param("seed", 1)
local out = host.param("out", "out/monitoring")

torch.manual_seed(seed)
local set = torch.datasets.fashion_mnist()
local pool = samples < #set.train and data.random_split(set.train, {samples, #set.train - samples}, {seed = seed}) or set.train
local train_set, valid_set = data.random_split(pool, {samples - samples // 6, samples // 6}, {seed = seed})

local model = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
local found = {}
local history = train.fit {
  model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.05, momentum = 0.9}), loss = F.cross_entropy,
  train = data.DataLoader(train_set, {batch_size = 50, shuffle = true, seed = seed}),
  valid = data.DataLoader(valid_set, {batch_size = 1000}), epochs = epochs, metrics = {"accuracy"},
  callbacks = {
    train.on("batch_begin", function(state)
      if state.batches_done == poison then state.inputs[1][0] = 0 / 0 end
    end),
    train.NanGuard {policy = "skip", callback = function(_, what) found[#found + 1] = what end},
    train.GradientMonitor {log_freq = 10, max_norm = 100, policy = "clip"},
    train.LearningRateMonitor(), train.Throughput(), train.MemoryMonitor(),
    train.Diagnose {window = 4},
    train.TensorBoard {log_dir = out, histogram_freq = 1},
  },
}
local finite = true
for _, parameter in ipairs(model:parameters()) do finite = finite and parameter:isfinite():all():item() end
print(("%d bad batches left out, weights finite: %s, val_accuracy %.3f"):format(#found, finite,
  history.val_accuracy[#history.val_accuracy]))
