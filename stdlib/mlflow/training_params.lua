-- The parameters of a training under the keys of Keras's autolog (fit's arguments, opt_*, those of EarlyStopping), or of
-- Lightning's.
local inner <const> = require("train.data").inner
local json = require "native.json"
local vm = require "native.vm"

local training_params = {}

local function none(value)
  if value == nil then return json.null end
  return value
end

-- A field of the data loader, also of one within a stretch; nil where the data are something else.
local function of_loader(data, name)
  local ok, value = pcall(function()
    data = inner(data)
    if name == "shuffle" then return data.options.shuffle end
    return data[name]
  end)
  if ok then return value end
end

-- How many samples a batch has: of a loader, else of the first batch of a list.
local function batch_size_of(data)
  local size = of_loader(data, "batch_size")
  if size ~= nil then return size end
  local ok, count = pcall(function() return getmetatable(data) == nil and data[1][1]:size(0) end)
  return ok and count or nil
end

-- Keras logs every argument of fit but the data and the callbacks, None where it is not given.
local function keras_arguments(params, state, a)
  params.shuffle = a.shuffle == nil and none(of_loader(state.train, "shuffle")) or a.shuffle
  params.validation_split = (a.validation_split or 0) + 0.0
  params.initial_epoch, params.validation_freq = a.initial_epoch, a.validation_freq or 1
  params.class_weight = none(a.class_weight)
  params.sample_weight = a.sample_weight ~= nil and vm.describe(a.sample_weight) or json.null
  params.steps_per_epoch, params.validation_steps = none(a.steps_per_epoch), none(a.limit_valid_batches)
  params.validation_batch_size = none(a.validation_batch_size)
end

-- What Keras's fit has no argument for, where it is given.
local OWN <const> = {"max_steps", "max_time", "clip_grad_norm", "clip_grad_value", "seed", "limit_train_batches",
  "overfit_batches", "evaluate_train"}

local function own_arguments(params, a)
  for _, key in ipairs(OWN) do params[key] = a[key] end
  if a.accumulate ~= 1 then params.accumulate = a.accumulate end
end

-- PyTorch's names of hyperparameters as Keras has them.
local KERAS_NAMES <const> = {lr = "opt_learning_rate", eps = "opt_epsilon"}

local function plain(value)
  if type(value) == "function" then return nil end
  if type(value) ~= "userdata" then return value end
  local ok, number = pcall(function() return value:item() end)
  return ok and number or nil
end

---The values of an optimizer under Keras's names, opt_*.
---@param optimizer any
---@param params table takes them
---@param a? table arguments of train.fit, for what is an optimizer's in Keras
function training_params.of_optimizer(optimizer, params, a)
  params.opt_name = (optimizer.__name or "optimizer"):lower()
  for key, value in pairs(optimizer.defaults or {}) do
    if key == "betas" and type(value) == "table" then
      params.opt_beta_1, params.opt_beta_2 = plain(value[1]), plain(value[2])
    else
      params[KERAS_NAMES[key] or "opt_" .. key] = plain(value)
    end
  end
  if not a then return end
  for _, key in ipairs {"opt_weight_decay", "opt_clipnorm", "opt_ema_overwrite_frequency", "opt_loss_scale_factor"} do
    params[key] = none(params[key])
  end
  params.opt_global_clipnorm, params.opt_clipvalue = none(a.clip_grad_norm), none(a.clip_grad_value)
  params.opt_gradient_accumulation_steps = none(a.accumulate ~= 1 and a.accumulate or nil)
  params.opt_use_ema, params.opt_ema_momentum = false, 0.99
end

-- Keras's average of the weights is an option of its optimizer.
local function of_ema(callbacks, params)
  for _, entry in ipairs(callbacks) do
    if entry.base_name == "SwapEMAWeights" then
      params.opt_use_ema, params.opt_ema_momentum = true, entry.callback.decay or params.opt_ema_momentum
    end
  end
end

local function tuple(list)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = require("mlflow.text").str(plain(value)) end
  return ("(%s)"):format(table.concat(parts, ", "))
end

local function lightning_optimizer(optimizer, params)
  params.optimizer_name = optimizer.__name or "optimizer"
  for key, value in pairs(optimizer.defaults or {}) do
    params[key] = type(value) == "table" and tuple(value) or plain(value)
  end
end

local KERAS_STOPPING <const> = {"monitor", "min_delta", "patience", "baseline", "restore_best_weights"}
local LIGHTNING_STOPPING <const> = {"monitor", "mode", "patience", "min_delta"}

---The first train.EarlyStopping of a training.
---@param callbacks table[] the entries of its list
---@return table?
function training_params.early_stopping(callbacks)
  for _, entry in ipairs(callbacks) do
    if entry.base_name == "EarlyStopping" then return entry.callback end
  end
end

---All that is known of a training when it begins; the names of host.param stand as the script has them.
---@param state table
---@param style string "keras" or "lightning"
---@param callbacks table[] the entries of its list
---@return table<string, any>
function training_params.of(state, style, callbacks)
  local params, a = {}, state.arguments
  local keras = style ~= "lightning"
  params.epochs, params.batch_size = state.epochs, batch_size_of(state.train)
  params.max_steps, params.max_time = state.max_steps, state.max_time
  if a then
    if keras then keras_arguments(params, state, a) end
    own_arguments(params, a)
  end
  if state.optimizer and keras then
    training_params.of_optimizer(state.optimizer, params, a)
    if a then of_ema(callbacks, params) end
  elseif state.optimizer then
    lightning_optimizer(state.optimizer, params)
  end
  local stopping = training_params.early_stopping(callbacks)
  if stopping then
    for _, key in ipairs(keras and KERAS_STOPPING or LIGHTNING_STOPPING) do params[key] = none(stopping[key]) end
    if not keras then params.stopped_epoch = 0 end
  end
  for key, value in pairs((require("host").params())) do params[key] = value end
  return params
end

return training_params
