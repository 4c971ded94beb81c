-- Trains ResNet-18 or MobileNetV2, whole or narrower, on Fashion-MNIST with one cycle of the learning rate.
--
--   trainhost scripts/04_image_classifier.lua [--set model=mobilenet_v2] [--set width=0.25] [--set epochs=5]
--
-- width is a share of all channels, at most 1. The whole ResNet-18 takes about 20 minutes an epoch on one core; for a quick try:
-- --set width=0.25 --set samples=6000 --set epochs=2
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"
local train = require "train"
local F = torch.nn.functional
local data = torch.utils.data

local model_name = host.param("model", "resnet18", {choices = {"resnet18", "mobilenet_v2"}})
local width = host.param("width", 1.0, {min = 0.0625, max = 1, doc = "the share of all channels"})
local epochs = host.param("epochs", 5, {min = 1})
local batch_size = host.param("batch_size", 64, {min = 2})
local lr = host.param("lr", 0.05, {min = 0, doc = "the highest learning rate of the cycle"})
local seed = host.param("seed", 1)
local samples = host.param("samples", 60000, {min = 120, max = 60000, doc = "fewer for a quick try"})
local tests = host.param("tests", 10000, {min = 1, max = 10000, doc = "test images to score"})

torch.manual_seed(seed)
math.randomseed(seed)
local set = torch.datasets.fashion_mnist {normalize = {0.286, 0.353}}

local function part(of, count)
  return count < #of and data.random_split(of, {count, #of - count}, {seed = seed}) or of
end

local valid_count = samples // 12
if batch_size > samples - valid_count then
  error(("batch_size = %d: there are %d samples to train on, and each batch is a whole one"):format(batch_size,
    samples - valid_count), 0)
end
local fit_set, valid_set = data.random_split(part(set.train, samples), {samples - valid_count, valid_count}, {seed = seed})

local make = {
  resnet18 = function()
    return require "models.resnet18" {num_classes = 10, in_channels = 1, small = true, width = math.tointeger(64 * width // 1)}
  end,
  mobilenet_v2 = function()
    return require "models.mobilenet_v2" {num_classes = 10, in_channels = 1, small = true, width = width}
  end,
}
local net = make[model_name]()
local count = 0
for _, parameter in ipairs(net:parameters()) do count = count + parameter:numel() end
print(("%s, width %g: %d parameters"):format(model_name, width, count))

local fit_loader = data.DataLoader(fit_set, {batch_size = batch_size, shuffle = true, drop_last = true, seed = seed})
local optimizer = torch.optim.SGD(net:parameters(), {lr = lr, momentum = 0.9, weight_decay = 5e-4, nesterov = true})
local cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, {epochs = epochs, steps_per_epoch = #fit_loader})

mlflow.set_experiment("fashion-mnist")
local run <close> = mlflow.start_run {run_name = model_name}
run:log_param("parameters", count)

train.fit {
  model = net, optimizer = optimizer, epochs = epochs, train = fit_loader,
  valid = data.DataLoader(valid_set, {batch_size = 500}),
  scheduler = {cycle, interval = "step"},
  metrics = {accuracy = train.metrics.Accuracy()},
  step = function(state, batch)
    local x, y = batch[1], batch[2]
    local training = state.phase == "train"
    if training and math.random() < 0.5 then x = x:flip(3) end  -- half of the batches are mirrored
    state.output, state.target = net(x), y
    return F.cross_entropy(state.output, y, {label_smoothing = training and 0.1 or 0})
  end,
  callbacks = {mlflow.callback()},
}

local test = train.evaluate {
  model = net, loss = F.cross_entropy, data = data.DataLoader(part(set.test, tests), {batch_size = 500}),
  metrics = {accuracy = train.metrics.Accuracy(), top3 = train.metrics.Accuracy {top_k = 3}},
}
run:log_metrics {test_loss = test.loss, test_accuracy = test.accuracy, test_top3 = test.top3}
print(("test: loss %.4f  accuracy %.4f  among the best three %.4f"):format(test.loss, test.accuracy, test.top3))
