-- What is written out in a train.fit: what it cannot do without, names of losses, optimizers and metrics, and the logs
-- that its callbacks look at.
local by_name = require "train.by_name"
local calls = require "train.check.calls"
local interval = require "train.interval"
local keywords = require "host.keywords"
local metric_logs = require "train.metric_logs"
local monitor_rules = require "train.monitor"
local template = require "train.template"
local values = require "host.check.values"
local written = require "train.check.written"

local named <const>, literal <const>, called_name <const> = written.named, written.literal, written.called_name

-- Callbacks that write no log of their own, whatever their options are.
local SILENT <const> = {}
for name in ([[Attach EarlyStopping ModelCheckpoint CSVLogger TerminateOnNaN History LayerFreeze NanGuard Progress
  SwapEMAWeights TensorBoard replay]]):gmatch("%S+") do SILENT[name] = true end

-- Those that look for the better value of a log, also where none is named; ModelCheckpoint does where it keeps the best.
local MONITORS <const> = {EarlyStopping = "val_loss", ReduceLROnPlateau = "val_loss", ModelCheckpoint = "val_loss"}

local function say(report, at, err) report(at, err.message, err.hint) end

-- Names of losses, optimizers and metrics that are strings.
local function check_names(fit, where, report)
  local function try(item, f)
    local err = calls.refused(f)
    if err then say(report, item, err) end
  end
  local function text_of(item)
    local value = item and literal(item.value)
    return type(value) == "string" and value or nil
  end
  local loss, optimizer = text_of(fit.loss), text_of(fit.optimizer)
  if loss then try(fit.loss, function() by_name.loss(where, loss) end) end
  if optimizer then try(fit.optimizer, function() by_name.check_optimizer(where, optimizer) end) end
  local metrics = fit.metrics and values.origin(fit.metrics.value)
  for _, item in ipairs(metrics and metrics.type == "table" and metrics.items or {}) do
    local name = text_of(item)
    if name then try(item, function() by_name.metrics(where, {name}, loss) end) end
  end
end

-- The logs of one metric, {"map", "map_50"}, its name, and the metric; nil where they do not show.
local function logs_of_metric(item, loss)
  local node = values.origin(item.value)
  local key = item.key or node.type == "string" and node.value
  if not key then return nil end
  if node.type == "function" then return {key}, key, calls.value(node) end
  local ok, made
  if node.type == "string" then
    ok, made = pcall(by_name.metrics, "train.fit", {[key] = node.value}, loss)
    made = ok and made[key]
  elseif node.type == "call" then
    ok, made = calls.make(node)
  end
  if not ok then return nil end
  return metric_logs.names {[key] = made}, key, made
end

-- The names of the logs that a train.fit has by itself, and its metrics; nil where they do not show.
local function log_names(fit)
  if fit.step or fit.compat then return nil end
  local names, made_metrics = {"loss"}, {}
  local metrics = fit.metrics and values.origin(fit.metrics.value)
  if metrics and metrics.type ~= "table" then return nil end
  for _, item in ipairs(metrics and metrics.items or {}) do
    local of_metric, name, made = logs_of_metric(item, fit.loss and literal(fit.loss.value))
    if not of_metric then return nil end
    made_metrics[name] = made
    table.move(of_metric, 1, #of_metric, #names + 1, names)
  end
  local own = #names
  for prefix, given in pairs {val_ = fit.valid or fit.validation_data or fit.validation_split, train_ = fit.evaluate_train} do
    for i = 1, given and own or 0 do names[#names + 1] = prefix .. names[i] end
  end
  return names, made_metrics
end

-- The logs that a callback says it writes: what is not said, a monitor does not find either. nil where it does not show, or
-- where its `check` makes it of the training.
local function writes_of(node)
  if node.type == "false" then return {} end
  local options = node
  if node.type == "call" then
    local name, home = called_name(node)
    if home == "mlflow" and (name == "callback" or name == "MlflowCallback") or home == "train" and SILENT[name] then return {} end
    if home ~= "train" then return nil end
    if name ~= "on" and name ~= "LambdaCallback" then
      local ok, made = calls.make(node)
      return ok and not made.writes_vary and (made.writes or {}) or nil
    end
    options = node.arguments[name == "on" and 2 or 1]
    if name == "on" and #node.arguments == 2 then return {} end
    options = options and values.origin(options)
  end
  if not options or options.type ~= "table" then return nil end
  local item = named(options.items).writes
  if named(options.items).check then return nil end  -- which may set it
  if not item then return {} end
  local list, known = literal(item.value)
  return known and type(list) == "table" and list or nil
end

-- The log that a callback looks at, where that is written, and its `mode`; nil if it looks at none or it does not show.
local function monitored(node, complete)
  local name, home = called_name(node)
  local options = home == "train" and (written.only_table(node) or #node.arguments == 0 and {items = {}})
  if not options then return nil end
  local given = named(options.items)
  local keeps_best = given.save_best_only and literal(given.save_best_only.value) or given.keep_best
  if name == "ModelCheckpoint" and not keeps_best then return nil end
  if given.monitor then return literal(given.monitor.value), given.monitor, given.mode end
  if not complete then return nil end
  return MONITORS[name], node
end

local function check_monitor(wanted, at, names, validates, report)
  for _, name in ipairs(names) do
    if name == wanted then return true end
  end
  if wanted:find("^val_") and not validates then
    return report(at, ("monitor '%s', but the fit has no validation data"):format(wanted),
      "valid = loader, or monitor = \"loss\"")
  end
  local near = keywords.did_you_mean(wanted, names)
  report(at, ("unknown monitor '%s'"):format(wanted), ("%svalid: %s"):format(near and near .. " " or "", table.concat(names, ", ")))
end

-- The fields of the file names of a ModelCheckpoint; what is looked at when a batch ends has no logs of the validation.
local function check_template(node, names, report)
  local name, home = called_name(node)
  if home ~= "train" or name ~= "ModelCheckpoint" then return end
  local first, options = node.arguments[1], node.arguments[#node.arguments]
  local given = options and values.origin(options).type == "table" and named(values.origin(options).items) or {}
  local filepath = given.filepath and given.filepath.value or first
  local text = filepath and literal(filepath)
  local frequency, known = nil, true
  if given.save_freq then frequency, known = literal(given.save_freq.value, calls.value) end
  if type(text) ~= "string" or not known then return end
  local ok, parsed = pcall(template.parse, text)
  local fine, _, at_batches = pcall(function() return interval.split(interval.parse_frequency(frequency or "epoch", "")) end)
  if not (ok and fine) then return end  -- told of as an option
  local there = {}
  for _, each in ipairs(names) do
    if not (at_batches and each:find("^val_")) then there[#there + 1] = each end
  end
  local err = calls.refused(parsed.check, parsed, there)
  if err then say(report, filepath, err) end
end

-- The monitors and file names of the callbacks, and the scheduler's monitor, against the logs, where both are written out.
local function check_logs(fit, complete, report)
  local list = fit.callbacks and values.origin(fit.callbacks.value) or {type = "table", items = {}}
  if list.type ~= "table" then return end
  local names, metrics = log_names(fit)
  if not names then return end
  if fit.scheduler then names[#names + 1] = "learning_rate" end
  local nodes = {}
  for i, item in ipairs(list.items) do
    nodes[i] = values.origin(item.value)
    local writes = writes_of(nodes[i])
    if not writes then return end
    table.move(writes, 1, #writes, #names + 1, names)
  end
  local validates = fit.valid or fit.validation_data or fit.validation_split or not complete
  for _, node in ipairs(nodes) do
    if node.type == "call" then
      local wanted, at, mode = monitored(node, complete)
      local is_there = type(wanted) == "string" and check_monitor(wanted, at, names, validates, report)
      if is_there and MONITORS[called_name(node)] and not mode and not monitor_rules.direction(wanted, {metrics = metrics}) then
        report(at, ("the direction of monitor '%s' is unknown"):format(wanted), 'give mode = "min" or mode = "max"')
      end
      if complete then check_template(node, names, report) end
    end
  end
  local scheduler = fit.scheduler and values.origin(fit.scheduler.value)
  local monitor = scheduler and scheduler.type == "table" and named(scheduler.items).monitor
  local wanted = monitor and literal(monitor.value)
  if type(wanted) == "string" then check_monitor(wanted, monitor, names, validates, report) end
end

-- What is not looked at by itself: data, files, and what is told of elsewhere.
local LEFT <const> = {}
for name in ("train valid validation_data x y resume saved callbacks dry_run scheduler sample_weight"):gmatch("%S+") do
  LEFT[name] = true
end

local minimal  -- a fit that nothing is wrong with
local function refusal(name, value)
  if not minimal then
    local torch = require "torch"
    local x = torch.zeros(256, 1)
    minimal = {model = torch.nn.Linear(1, 1), optimizer = "sgd", loss = "mse", train = {x, x}, epochs = 1, quiet = true,
      attach = false}
  end
  local given = {[name] = value}
  for key, each in pairs(minimal) do
    if given[key] == nil then given[key] = each end
  end
  return calls.refused(require("train.arguments").prepare, given)
end

-- Arguments that are written out, each by itself in a fit that nothing is wrong with.
local function check_values(given, fit, report)
  for _, item in ipairs(given.items) do
    local value, known = calls.value(item.value)
    local is_name = type(value) == "string" and (item.key == "loss" or item.key == "optimizer")
    if item.key and known and not LEFT[item.key] and not is_name and item.key ~= "metrics" then
      local err = refusal(item.key, value)
      if err and err.message:find(item.key, 1, true) then say(report, item, err) end
    end
  end
  local metrics = fit.metrics and values.origin(fit.metrics.value)
  if metrics and metrics.type ~= "table" then
    local value, known = calls.value(metrics)
    local err = known and refusal("metrics", value)
    if err then say(report, fit.metrics, err) end
  end
  for _, item in ipairs(metrics and metrics.type == "table" and metrics.items or {}) do
    local value, known = calls.value(item.value)
    if known and (item.key or type(value) ~= "string") and (item.key or not item.keyed) then
      local err = refusal("metrics", {[item.key or 1] = value})
      if err then say(report, item, err) end
    end
  end
end

-- Callbacks that are none: classes that were not called, functions, names.
local function check_callbacks(fit, report)
  if not fit.callbacks then return end
  local list = values.origin(fit.callbacks.value)
  if list.type ~= "table" then
    local value, known = calls.value(list)
    local err = known and refusal("callbacks", value)
    if err then say(report, fit.callbacks, err) end
    return
  end
  for _, item in ipairs(list.items) do
    local value, known = calls.value(item.value)
    if known and not item.keyed then
      local err = calls.refused(require "train.callback_list", {value})
      if err and not err.message:find("unknown hook", 1, true) then say(report, item.value, err) end
    end
  end
end

-- What a training cannot do without.
local function check_required(fit, call, report)
  local function usage(text, hint) report(call, "train.fit: " .. text, hint) end
  if not (fit.train or fit.x) then usage("keyword 'train' is required") end
  if not (fit.epochs or fit.max_steps or fit.max_time) then
    usage("the training has no bound", "give epochs, max_steps or max_time")
  end
  if not fit.step then
    if not fit.model then usage("keyword 'model' is required") end
    if not fit.loss then usage("keyword 'loss' is required") end
  end
  if fit.model and not fit.optimizer then usage("keyword 'optimizer' is required") end
end

-- What a step is called with, and what it has to give.
local function check_step(fit, report)
  local f = fit.step and values.origin(fit.step.value)
  if not f or f.type ~= "function" then return end
  local first = f.parameters[1]
  if #f.parameters == 1 and first ~= "state" and first ~= "..." and first:sub(1, 1) ~= "_" then
    report(fit.step, ("train.fit: step takes (%s), and is called with (state, batch)"):format(first), "step = function(state, batch)")
  end
  if not f.returns then report(fit.step, "train.fit: step returns nothing", "return loss, or loss and {name = part}") end
end

---Checks a call of train.fit or train.evaluate.
---@param call table
---@param name string
---@param report fun(at: table, message: string, hint: string?)
---@param wrong boolean has it keywords that are none?
return function(call, name, report, wrong)
  local given = (name == "fit" or name == "evaluate") and written.only_table(call)
  if not given then return end
  local fit, complete = named(given.items), true
  for _, item in ipairs(given.items) do complete = complete and item.key ~= nil end
  check_names(fit, "train." .. name, report)
  if name ~= "fit" then return end
  if complete and not wrong and values.origin(call.arguments[1]) == call.arguments[1] then check_required(fit, call, report) end
  check_step(fit, report)
  check_values(given, fit, report)
  check_callbacks(fit, report)
  check_logs(fit, complete, report)
end
