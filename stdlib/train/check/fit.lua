-- What is written out in a train.fit: what it cannot do without, names of losses, optimizers and metrics, and the logs
-- that its callbacks look at.
local by_name = require "train.by_name"
local calls = require "train.check.calls"
local keywords = require "host.keywords"
local metric_logs = require "train.metric_logs"
local values = require "host.check.values"
local written = require "train.check.written"

local named <const>, literal <const>, called_name <const> = written.named, written.literal, written.called_name

-- Callbacks that write no log of their own, whatever their options are.
local SILENT <const> = {}
for name in ([[Attach EarlyStopping ModelCheckpoint CSVLogger TerminateOnNaN History LayerFreeze NanGuard Progress
  SwapEMAWeights TensorBoard replay]]):gmatch("%S+") do SILENT[name] = true end

-- Those that look at a log, also where none is named.
local MONITORS <const> = {EarlyStopping = "val_loss", ReduceLROnPlateau = "val_loss"}

local function say(report, line, err) report(line, err.message .. (err.hint and " (" .. err.hint .. ")" or "")) end

-- Names of losses, optimizers and metrics that are strings.
local function check_names(fit, where, report)
  local function try(item, f)
    local ok, err = pcall(f)
    if not ok and type(err) == "table" and err.message then say(report, item.line, err) end
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

-- The logs of one metric, {"map", "map_50"}; nil where they do not show.
local function logs_of_metric(item, loss)
  local node = values.origin(item.value)
  local key = item.key or node.type == "string" and node.value
  if not key then return nil end
  if node.type == "function" then return {key} end
  local ok, made
  if node.type == "string" then
    ok, made = pcall(by_name.metrics, "train.fit", {[key] = node.value}, loss)
    made = ok and made[key]
  elseif node.type == "call" then
    ok, made = calls.make(node)
  end
  return ok and metric_logs.names {[key] = made} or nil
end

-- The names of the logs that a train.fit has by itself; nil where they do not show.
local function log_names(fit)
  if fit.step or fit.compat then return nil end
  local names = {"loss"}
  local metrics = fit.metrics and values.origin(fit.metrics.value)
  if metrics and metrics.type ~= "table" then return nil end
  for _, item in ipairs(metrics and metrics.items or {}) do
    local of_metric = logs_of_metric(item, fit.loss and literal(fit.loss.value))
    if not of_metric then return nil end
    table.move(of_metric, 1, #of_metric, #names + 1, names)
  end
  local own = #names
  for prefix, given in pairs {val_ = fit.valid or fit.validation_data or fit.validation_split, train_ = fit.evaluate_train} do
    for i = 1, given and own or 0 do names[#names + 1] = prefix .. names[i] end
  end
  return names
end

-- The logs that a callback says it writes: what is not said, a monitor does not find either. nil where it does not show.
local function writes_of(node)
  if node.type == "false" then return {} end
  local options = node
  if node.type == "call" then
    local name, home = called_name(node)
    if home == "mlflow" and (name == "callback" or name == "MlflowCallback") or home == "train" and SILENT[name] then return {} end
    if home ~= "train" then return nil end
    if name ~= "on" and name ~= "LambdaCallback" then
      local ok, made = calls.make(node)
      return ok and (made.writes or {}) or nil
    end
    options = node.arguments[name == "on" and 2 or 1]
    if name == "on" and #node.arguments == 2 then return {} end
    options = options and values.origin(options)
  end
  if not options or options.type ~= "table" then return nil end
  local item = named(options.items).writes
  if not item then return {} end
  local list, known = literal(item.value)
  return known and type(list) == "table" and list or nil
end

-- The monitors of the callbacks against the logs, where both are written out.
local function check_monitors(fit, complete, report)
  local list = fit.callbacks and values.origin(fit.callbacks.value)
  local names = list and list.type == "table" and log_names(fit)
  if not names then return end
  if fit.scheduler then names[#names + 1] = "learning_rate" end
  local nodes = {}
  for i, item in ipairs(list.items) do
    nodes[i] = values.origin(item.value)
    local writes = writes_of(nodes[i])
    if not writes then return end
    table.move(writes, 1, #writes, #names + 1, names)
  end
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  for _, node in ipairs(nodes) do
    local name, home = called_name(node)
    local options = home == "train" and (written.only_table(node) or #node.arguments == 0 and {items = {}})
    local monitor = options and named(options.items).monitor
    local wanted = monitor and literal(monitor.value)
    if options and not monitor and complete then wanted = MONITORS[name] end
    if type(wanted) == "string" and not known[wanted] then
      local near = keywords.did_you_mean(wanted, names)
      report(monitor and monitor.line or node.line, ("unknown monitor '%s'; %svalid: %s"):format(wanted,
        near and near .. " " or "", table.concat(names, ", ")))
    end
  end
end

-- What a training cannot do without.
local function check_required(fit, line, report)
  local function usage(text) report(line, "train.fit: " .. text) end
  if not (fit.train or fit.x) then usage("keyword 'train' is required") end
  if not (fit.epochs or fit.max_steps or fit.max_time) then
    usage("the training has no bound (give epochs, max_steps or max_time)")
  end
  if not fit.step then
    if not fit.model then usage("keyword 'model' is required") end
    if not fit.loss then usage("keyword 'loss' is required") end
  end
  if fit.model and not fit.optimizer then usage("keyword 'optimizer' is required") end
end

---Checks a call of train.fit or train.evaluate.
---@param call table
---@param name string
---@param report fun(line: integer, text: string)
---@param wrong boolean has it keywords that are none?
return function(call, name, report, wrong)
  local given = (name == "fit" or name == "evaluate") and written.only_table(call)
  if not given then return end
  local fit, complete = named(given.items), true
  for _, item in ipairs(given.items) do complete = complete and item.key ~= nil end
  check_names(fit, "train." .. name, report)
  if name ~= "fit" then return end
  if complete and not wrong and values.origin(call.arguments[1]) == call.arguments[1] then check_required(fit, call.line, report) end
  check_monitors(fit, complete, report)
end
