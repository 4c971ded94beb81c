-- The arguments of train.fit: defaults, checks, and the state that comes of them.
local Denominator = require "train.denominator"
local State = require "train.state"
local autologged = require "train.autologged"
local batches = require "train.batches"
local callable = require "host.callable"
local closure = require "train.closure"
local by_name = require "train.by_name"
local callback_list = require "train.callback_list"
local data = require "train.data"
local interval = require "train.interval"
local keras = require "train.keras"
local keywords = require "host.keywords"
local live = require "train.live"
local options = require "train.options"
local ordered = require "host.ordered"
local precision = require "train.precision"

local arguments = {}

local none <const> = keywords.none
local DEFAULTS <const> = {
  model = none, optimizer = none, loss = none, train = none, valid = none, epochs = none, max_steps = none,
  max_time = none, metrics = none, callbacks = none, scheduler = none, accumulate = 1, clip_grad_norm = none,
  clip_grad_value = none, device = none, step = none, limit_train_batches = none, limit_valid_batches = none,
  seed = none, quiet = false, verbose = none, user = none,
  autocast = none, scaler = none, resume = none, saved = none, compat = none, reduction = none, count = none, evaluate_train = none,
  detect_anomaly = false, overfit_batches = none, dry_run = none,
  attach = true,
  batch_size = none, shuffle = none, sample_weight = none, class_weight = none, validation_data = none,
  validation_split = none, validation_freq = none, validation_batch_size = none, validation_steps = none,
  steps_per_epoch = none, initial_epoch = 0, weighted_metrics = none,
}

local describe <const> = require("native.vm").describe

local function usage(message, hint) require("native.vm").raise("usage", "train.fit: " .. message, hint) end

-- "the class Linear" of what was not called.
local function class_of(value) return type(value) == "table" and rawget(value, "__name") or nil end

---A usage error unless `loss` can be called, and is no class that makes one.
function arguments.check_loss(loss, where)
  local vm, class = require "native.vm", class_of(loss)
  if class and class:find("Loss$") then
    vm.raise("usage", ("%s: loss is the class %s, expected a loss"):format(where, class),
      ("call the class: torch.nn.%s()"):format(class))
  end
  if not callable(loss) then
    vm.raise("usage", ("%s: loss must be a function or a module, got %s"):format(where, describe(loss)),
      "loss = torch.nn.functional.cross_entropy")
  end
end

---A usage error unless `model` is a module.
function arguments.check_model(model, where)
  local vm = require "native.vm"
  if require("torch.nn.module").is_module(model) then return end
  local hint = "step = function(state, batch) return loss end trains what is no module"
  local class = class_of(model)
  if class then hint = "call the class: " .. class .. "(...)" end
  vm.raise("usage", ("%s: model must be a module, got %s"):format(where, class and "the class " .. class or describe(model)), hint)
end

-- What fit calls on an optimizer; a class is one that was not called.
local function check_optimizer(optimizer)
  local ok, found = pcall(function() return optimizer.step and optimizer.zero_grad and optimizer.param_groups end)
  if ok and found then return end
  if type(optimizer) == "table" and getmetatable(optimizer) == nil and optimizer[1] ~= nil then
    usage(("optimizer must be an optimizer, got a list of %d"):format(#optimizer),
      "several take their steps in a loop by hand with train.state: scripts/07_gan.lua")
  end
  local hint = "torch.optim.AdamW(model:parameters(), {lr = 1e-3})"
  local class = class_of(optimizer)
  if class then hint = ("call the class: torch.optim.%s(model:parameters(), {lr = 1e-3})"):format(class) end
  usage("optimizer must be an optimizer, got " .. (class and "the class " .. class or describe(optimizer)), hint)
end

-- train.metrics.Accuracy where train.metrics.Accuracy() is meant: the function that makes a metric.
local function maker_name(value)
  for name, maker in pairs(require "train.metrics") do
    if maker == value then return name end
  end
  return nil
end

---The step that is used where none is given: batch[1] through the model, the loss against batch[2].
---@param loss any callable
---@param where string
---@param denominator table
function arguments.default_step(loss, where, denominator)
  return function(state, batch)
    if type(batch) ~= "table" or batch[1] == nil or batch[2] == nil then
      local lacks = type(batch) == "table" and (batch[1] == nil and "neither of them" or "no target")
      require("native.vm").raise("usage", ("%s: a batch must be {input, target}, got %s"):format(where, lacks or describe(batch)),
        "give step = function(state, batch) return loss end for batches of another form")
    end
    local output = state.model(batch[1])
    local target = batch[2]
    state.output, state.target = output, target
    if state.sample_weight then return denominator.each(output, target) end
    return loss(output, target)
  end
end

---A usage error unless `metrics` is a table of metrics by name.
---@param metrics any
---@param where string
---@param argument? string "metrics"
function arguments.check_metrics(metrics, where, argument)
  local raise = require("native.vm").raise
  argument = argument or "metrics"
  local is_metric = require("train.metrics.names").is_metric
  if type(metrics) ~= "table" or is_metric(metrics) then
    raise("usage", ("%s: %s must be a table of metrics, got %s"):format(where, argument, describe(metrics)),
      argument .. (type(metrics) == "string" and (' = {"%s"}'):format(metrics) or " = {accuracy = train.metrics.Accuracy()}"))
  end
  for _, name in ipairs(ordered.keys(metrics)) do
    local metric = metrics[name]
    if type(name) ~= "string" then
      raise("usage", ("%s: %s must have names, got the key %s"):format(where, argument, tostring(name)),
        maker_name(metric) and ("call the class: train.metrics.%s()"):format(maker_name(metric))
          or "metrics = {accuracy = train.metrics.Accuracy()}")
    end
    if name == "loss" then raise("usage", ("%s: a metric cannot be called 'loss'"):format(where)) end
    local kind = type(metric)
    local maker = kind == "function" and maker_name(metric)
    if maker then
      raise("usage", ("%s: metric '%s' is the class %s, expected a metric"):format(where, name, maker),
        ("call the class: train.metrics.%s()"):format(maker))
    end
    if kind ~= "function" and not is_metric(metric) then
      raise("usage", ("%s: metric '%s' must have update, result and reset, or be a function, got %s"):format(where, name,
        kind), kind == "table" and "call the class: train.metrics.Accuracy()" or nil)
    end
  end
end

-- What each may be that is no object.
local KINDS <const> = {reduction = {"mean", "sum"}, compat = {"keras"}, count = "function", step = "function",
  initial_epoch = "count", clip_grad_norm = "positive", clip_grad_value = "positive", max_time = "positive"}
for name in ("shuffle quiet detect_anomaly dry_run attach"):gmatch "%S+" do KINDS[name] = "flag" end
for name in ([[epochs max_steps accumulate limit_train_batches limit_valid_batches evaluate_train overfit_batches batch_size
  validation_batch_size steps_per_epoch]]):gmatch "%S+" do KINDS[name] = "positive_count" end

local function check_values(a, said)
  if type(a.max_time) == "string" then
    local spec = interval.parse(a.max_time, "train.fit: max_time")
    if spec.unit ~= "seconds" then usage(('max_time must be a time such as "30min", got "%s"'):format(a.max_time)) end
    a.max_time = spec.count
  end
  options.check("train.fit", a, KINDS, said)
  if a.step ~= nil and (a.class_weight ~= nil or a.sample_weight ~= nil) then
    usage("class_weight and sample_weight go with `loss`, not with a step of your own", "weigh the losses in step")
  end
end

-- Is a validation due after this epoch? Keras's validation_freq: every so many epochs, or a list of epochs from 1.
local function validation_due(frequency)
  if frequency == nil then return function() return true end end
  if type(frequency) == "table" then
    local due = {}
    if next(frequency) == nil then usage "validation_freq is an empty list of epochs" end
    for _, key in ipairs(ordered.keys(frequency)) do
      local epoch = math.type(key) == "integer" and math.type(frequency[key]) and math.tointeger(frequency[key])
      if not epoch or epoch < 1 then
        usage(("validation_freq must be a list of epochs from 1, got %s in it"):format(describe(frequency[key])))
      end
      due[epoch - 1] = true
    end
    return function(epoch) return due[epoch] end
  end
  local every = math.type(frequency) and math.tointeger(frequency)
  if not every or every < 1 then
    usage(("validation_freq must be a whole number of 1 or more or a list of epochs, got %s"):format(describe(frequency)))
  end
  return function(epoch) return (epoch + 1) % every == 0 end
end

local function check(a, said)
  if a.resume ~= nil or a.saved ~= nil then require("train.resume").check("train.fit", a) end
  if a.train == nil then usage("keyword 'train' is required") end
  if not (a.epochs or a.max_steps or a.max_time) then
    usage("the training has no bound", "give epochs, max_steps or max_time")
  end
  check_values(a, said)
  if a.step == nil then
    if a.model == nil then usage("keyword 'model' is required") end
    if a.loss == nil then usage("keyword 'loss' is required", "loss = torch.nn.functional.cross_entropy, or step = function") end
  end
  if a.loss ~= nil then arguments.check_loss(a.loss, "train.fit") end
  if a.user ~= nil and type(a.user) ~= "table" then usage("user must be a table, got " .. describe(a.user)) end
  if a.model ~= nil and a.optimizer == nil then
    usage("keyword 'optimizer' is required", "torch.optim.AdamW(model:parameters(), {lr = 1e-3})")
  end
  if a.model ~= nil then arguments.check_model(a.model, "train.fit") end
  if a.optimizer ~= nil then
    check_optimizer(a.optimizer)
    a.needs_closure = closure.check(a)
  end
end

---Adds what shows a pass of train.evaluate or train.predict.
---@param list table callbacks
---@param verbose any 0 or nil: nothing, 1: a bar, 2: a line at the end
---@return table list
function arguments.with_progress(list, verbose)
  if not verbose or verbose == 0 then return list end
  list:add(require("train.callbacks.progress")(verbose == 2 and {bar = false} or nil))
  return list
end

-- History first, the scheduler among the policies, the progress last.
local function all_callbacks(a, history)
  local list = callback_list({history})
  if a.scheduler ~= nil then list:add(require("train.callbacks.scheduler")(a.scheduler)) end
  local quiet = a.quiet or a.verbose == 0 or a.verbose == false
  for _, entry in ipairs(callback_list(a.callbacks).entries) do
    list:add(entry.callback)
    if entry.base_name == "Progress" then quiet = true end  -- it is shown already
  end
  if a.verbose == nil and require("host").log.is_quiet() then quiet = true end
  if not quiet then
    list:add(require("train.callbacks.progress")(a.verbose == 2 and {bar = false} or nil))
  end
  return live.attachable(autologged.training(list), "train.fit", a)
end

-- The names that the logs will have, so that monitors and templates are checked before the first step. A step of the
-- user's own may log anything: then the names stay open until the first epoch has ended.
local function log_names(a, list)
  local names = {"loss"}
  local metrics = require("train.metric_logs").names(a.metrics)
  table.move(metrics, 1, #metrics, 2, names)
  local written = list:written_names()
  local at_batch = table.move(written, 1, #written, #names + 1, {table.unpack(names)})
  local own = #names
  if a.valid ~= nil then
    for i = 1, own do names[#names + 1] = "val_" .. names[i] end
  end
  if a.evaluate_train then
    for i = 1, own do names[#names + 1] = "train_" .. names[i] end
  end
  return table.move(written, 1, #written, #names + 1, names), at_batch
end

-- Arguments that do nothing as they stand: each is told of, none is an error.
local function warn_of_idle(a, said)
  local function warn(text, ...) require("host").log.warn("train.fit: " .. text:format(...)) end
  if a.epochs and a.initial_epoch >= a.epochs then
    warn("initial_epoch = %d is not below epochs = %d: nothing is trained", a.initial_epoch, a.epochs)
  end
  if a.valid == nil then
    for _, name in ipairs {"validation_batch_size", "validation_freq", "limit_valid_batches"} do
      if a[name] ~= nil then warn("%s does nothing without validation data", said[name] or name) end
    end
    return
  end
  batches.warn_of_steps(a.valid, said.limit_valid_batches, a.limit_valid_batches, "train.fit", said.valid or "valid")
  local every = math.type(a.validation_freq) and a.validation_freq
  if every and a.epochs and every > a.epochs then
    warn("validation_freq = %d is more than epochs = %d: nothing is validated", every, a.epochs)
  end
end

-- Loaders of the data, weights of their samples, and the limits of a dry run.
local function prepare_data(a, said)
  if a.dry_run == nil then a.dry_run = require("host").dry_run() end
  data.of_fit(a, said)
  warn_of_idle(a, said)
  a.validates = a.dry_run and function() return true end or validation_due(a.validation_freq)
  if a.dry_run then
    a.limit_train_batches, a.limit_valid_batches, a.max_steps, a.max_time = 1, 1, nil, nil
    a.epochs = a.initial_epoch + 1
  end
  if a.class_weight ~= nil then
    local of_class, weighted = require("train.class_weight")(a.class_weight), a.weighted
    a.weights = function(batch)
      local weight = of_class(batch[2])
      return weighted and weight * batch[3] or weight
    end
  elseif a.weighted then
    a.weights = function(batch) return batch[3] end
  end
end

---Checks what was given to train.fit.
---@return table a the arguments with defaults
---@return table state
function arguments.prepare(given)
  local words, said = keras.fit(given)
  local a = keywords.check("train.fit", words, DEFAULTS)
  local loss = a.loss
  if type(a.loss) == "string" then a.loss = by_name.loss("train.fit", a.loss) end
  if type(a.optimizer) == "string" and a.model ~= nil then
    arguments.check_model(a.model, "train.fit")
    a.optimizer = by_name.optimizer("train.fit", a.optimizer, a.model, a.compat)
  end
  a.metrics = by_name.metrics("train.fit", a.metrics or {}, loss)
  arguments.check_metrics(a.metrics, "train.fit")
  a.weighted_names = by_name.weighted_metrics("train.fit", a.metrics, a.weighted_metrics, loss)
  check(a, said)
  prepare_data(a, said)
  local history = require("train.callbacks.history")()
  local state = State.new {
    model = a.model, optimizer = a.optimizer, train = a.train, valid = a.valid, metrics = a.metrics, history = history,
    epochs = a.epochs, max_steps = a.max_steps, max_time = a.max_time, phase = "train", arguments = a, user = a.user,
    epoch = a.initial_epoch, epochs_done = a.initial_epoch, compat = a.compat, dry_run = a.dry_run,
    resume = a.resume, saved = a.saved,
  }
  local list = all_callbacks(a, history)
  state.callback_list = list
  a.denominator = Denominator.new {loss = not a.step and a.loss or nil, count = a.count, reduction = a.reduction,
    compat = a.compat, where = "train.fit"}
  local own_step = a.step ~= nil
  a.step = precision.step(a.step or arguments.default_step(a.loss, "train.fit", a.denominator), a, "train.fit")
  a.scaler = precision.scaler(a)
  list:check(state, function()
    if not own_step then state.log_names, state.batch_log_names = log_names(a, list) end
  end)
  return a, state
end

return arguments
