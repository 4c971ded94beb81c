-- How high a learning rate? A short ramp finds it, then one cycle trains with it.
--
--   trainhost scripts/20_one_cycle.lua [--set epochs=3] [--set samples=12000] [--set tries=80]
local host = require "host"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional
local data = torch.utils.data

local epochs = host.param("epochs", 3, {min = 1})
local batch_size = host.param("batch_size", 64, {min = 1})
local samples = host.param("samples", 12000, {min = 200, max = 60000})
local tries = host.param("tries", 80, {min = 10, doc = "steps of the ramp"})
local seed = host.param("seed", 1)
local out = host.param("out", "out/one_cycle")

torch.manual_seed(seed)
local set = torch.datasets.fashion_mnist()
local pool = samples < #set.train and data.random_split(set.train, {samples, #set.train - samples}, {seed = seed}) or set.train
local train_set, valid_set = data.random_split(pool, {samples - samples // 6, samples // 6}, {seed = seed})
local loader = data.DataLoader(train_set, {batch_size = batch_size, shuffle = true, seed = seed})

local model = nn.Sequential(nn.Conv2d(1, 16, 3, {padding = 1}), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
  nn.Conv2d(16, 32, 3, {padding = 1}), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 49, 10))
local optimizer = torch.optim.AdamW(model:parameters(), {lr = 1e-3})

-- The ramp leaves the model, the optimizer and the random numbers as they were.
local found = train.lr_find {model = model, optimizer = optimizer, loss = F.cross_entropy, train = loader, num = tries}
host.file.mkdir(out)
found:plot(out .. "/ramp.svg")
local max_lr = found.suggestion or 1e-2
print(("the loss falls most steeply at a learning rate of %.2g"):format(max_lr))

local history = train.fit {
  model = model, optimizer = optimizer, loss = F.cross_entropy, train = loader, epochs = epochs,
  valid = data.DataLoader(valid_set, {batch_size = 1000}), metrics = {"accuracy"},
  scheduler = {torch.optim.lr_scheduler.OneCycleLR(optimizer, {max_lr = max_lr, total_steps = epochs * #loader}), interval = "step"},
  callbacks = {train.LearningRateMonitor {logging_interval = "step"}},
}
print(("validation: accuracy %.3f"):format(history.val_accuracy[#history.val_accuracy]))
