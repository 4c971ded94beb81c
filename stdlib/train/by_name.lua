-- Losses, optimizers and metrics by their names in PyTorch and Keras.
local nearest = require "train.nearest"
local ordered = require "host.ordered"
local torch = require "torch"

local by_name = {}

local function unknown(where, what, name, names)
  require("native.vm").raise("usage", ("%s: unknown %s '%s'%s"):format(where, what, name, nearest.suggest(name, names)))
end

-- Keras's losses are of probabilities, PyTorch's of logits: those of Keras's names are Keras's.
local function from_probabilities(f)
  return function(output, target) return f(output:clamp(1e-7, 1 - 1e-7), target) end
end

local function categorical(output, target)
  if not output:is_same_size(target) then
    require("native.vm").raise("shape", ("categorical_crossentropy: the target must be one-hot, of the output's shape %s, got %s")
      :format(tostring(output.shape), tostring(target.shape)),
      'classes as whole numbers: loss = "sparse_categorical_crossentropy", or of logits loss = "cross_entropy"')
  end
  return -(target * output:clamp(1e-7, 1 - 1e-7):log()):sum(-1)
end

local function sparse_categorical(output, target)
  return torch.nn.functional.nll_loss(output:clamp(1e-7, 1 - 1e-7):log(), target, {reduction = "none"})
end

local LOSSES <const> = {
  mse = "mse_loss", mean_squared_error = "mse_loss", mae = "l1_loss", mean_absolute_error = "l1_loss",
  l1 = "l1_loss", huber = "huber_loss", smooth_l1 = "smooth_l1_loss", cross_entropy = "cross_entropy", nll = "nll_loss",
  kl_div = "kl_div", poisson_nll = "poisson_nll_loss", hinge_embedding = "hinge_embedding_loss",
  binary_cross_entropy = "binary_cross_entropy",
  binary_cross_entropy_with_logits = "binary_cross_entropy_with_logits",
}

local KERAS_LOSSES <const> = {
  binary_crossentropy = function() return from_probabilities(torch.nn.functional.binary_cross_entropy) end,
  categorical_crossentropy = function() return categorical end,
  sparse_categorical_crossentropy = function() return sparse_categorical end,
}

---A loss: "mse", "cross_entropy", "CrossEntropyLoss", a function's name in torch.nn.functional; Keras's crossentropies,
---which take probabilities: "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy".
---@param where string
---@param name string
---@return any loss
function by_name.loss(where, name)
  local F = torch.nn.functional
  if LOSSES[name] then return F[LOSSES[name]] end
  if KERAS_LOSSES[name] then return KERAS_LOSSES[name]() end
  local classes = {}
  for key in pairs(torch.nn) do
    if type(key) == "string" and key:find("Loss$") then classes[#classes + 1] = key end
  end
  table.sort(classes)
  for _, class in ipairs(classes) do
    if class == name then return torch.nn[name]() end
  end
  local names = ordered.keys(LOSSES)
  table.move(ordered.keys(KERAS_LOSSES), 1, 3, #names + 1, names)
  unknown(where, "loss", name, table.move(classes, 1, #classes, #names + 1, names))
end

local OPTIMIZERS <const> = {}
for class in ("Adadelta Adafactor Adagrad Adam Adamax AdamW ASGD LBFGS Muon NAdam RAdam RMSprop Rprop SGD SparseAdam"):gmatch "%S+" do
  OPTIMIZERS[class:lower()] = class
end

-- What Keras's defaults are where they are not PyTorch's.
local KERAS_DEFAULTS <const> = {
  adam = {eps = 1e-7}, adamw = {eps = 1e-7, weight_decay = 4e-3}, adamax = {lr = 1e-3, eps = 1e-7},
  nadam = {lr = 1e-3, eps = 1e-7}, sgd = {lr = 1e-2}, rmsprop = {lr = 1e-3, alpha = 0.9, eps = 1e-7},
  adagrad = {lr = 1e-3, eps = 1e-7}, adadelta = {lr = 1e-3, rho = 0.95, eps = 1e-7},
}

---The name of an optimizer's class; a usage error if there is none of that name.
---@param where string
---@param name string
---@return string
function by_name.check_optimizer(where, name)
  local class = OPTIMIZERS[name:lower()]
  if not class then unknown(where, "optimizer", name, ordered.keys(OPTIMIZERS)) end
  return class
end

---An optimizer of a model's parameters by its class's name in any case: "adam", "AdamW"; PyTorch's defaults, Keras's with
---compat = "keras".
---@param where string
---@param name string
---@param model userdata
---@param compat string?
---@return userdata optimizer
function by_name.optimizer(where, name, model, compat)
  local class = by_name.check_optimizer(where, name)
  return torch.optim[class](model:parameters(), compat == "keras" and KERAS_DEFAULTS[name:lower()] or {})
end

-- The name of a metric in a list that is an object: that of its class, "auc_1" for a second one, as in Keras.
local function name_of(metric, taken)
  local names = require "train.metrics.names"
  local class = names.is_metric(metric) and getmetatable(metric)
  class = type(class) == "table" and class.__name
  if type(class) ~= "string" then return nil end
  local name = names.snake(class)
  local unique, count = name, 0
  while taken[unique] ~= nil do
    count = count + 1
    unique = ("%s_%d"):format(name, count)
  end
  return unique
end

---Metrics by name: names and objects in a list become metrics by name.
---@param where string
---@param given table metrics by name, names, objects: {"accuracy", train.metrics.AUC(), f1 = train.metrics.F1()}
---@param loss any what it says of scores and targets
---@return table metrics by name
function by_name.metrics(where, given, loss)
  local names, all = require "train.metrics.names", {}
  if type(given) ~= "table" or names.is_metric(given) then return given end
  for _, key in ipairs(ordered.keys(given)) do
    local value, log = given[key], key
    if type(value) == "string" then
      if math.type(key) == "integer" then log = value end
      value = require "train.metrics.of_loss"(where, value, loss)
    elseif math.type(key) == "integer" then
      log = name_of(value, all) or key
    end
    if all[log] ~= nil then
      require("native.vm").raise("usage", ("%s: two metrics are called '%s'"):format(where, log))
    end
    all[log] = value
  end
  return all
end

---Keras's weighted_metrics beside its metrics: one that is among both is "weighted_<name>" there, as in Keras.
---@param where string
---@param metrics table by name; those that are weighted are added
---@param given table|nil as for by_name.metrics
---@param loss any
---@return table<string, boolean> weighted which of them get the weights of the samples
function by_name.weighted_metrics(where, metrics, given, loss)
  local weighted = {}
  if given == nil then return weighted end
  local more = by_name.metrics(where, given, loss)
  require("train.arguments").check_metrics(more, where, "weighted_metrics")
  for name, metric in pairs(more) do
    if metrics[name] ~= nil then name = "weighted_" .. name end
    if metrics[name] ~= nil then
      require("native.vm").raise("usage", ("%s: two metrics are called '%s'"):format(where, name))
    end
    metrics[name], weighted[name] = metric, true
  end
  return weighted
end

return by_name
