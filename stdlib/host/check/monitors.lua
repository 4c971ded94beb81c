-- Callbacks that are written out in a train.fit: their options, and the logs that they look at.
local keywords = require "host.keywords"
local values = require "host.check.values"

-- Callbacks of train that write no log of their own.
local SILENT <const> = {}
for name in ([[EarlyStopping ModelCheckpoint CSVLogger TerminateOnNaN History ReduceLROnPlateau LearningRateScheduler
  TensorBoard Progress BackupAndRestore]]):gmatch("%S+") do SILENT[name] = true end

-- Those whose options are tried: making one touches nothing.
local TRIED <const> = {}
for name in ([[EarlyStopping ModelCheckpoint CSVLogger TerminateOnNaN ReduceLROnPlateau]]):gmatch("%S+") do
  TRIED[name] = true
end

local function named(items)
  local by_name = {}
  for _, item in ipairs(items) do
    if item.key then by_name[item.key] = item end
  end
  return by_name
end

-- "EarlyStopping" for train.EarlyStopping{...}, and the namespace's name.
local function called_name(node)
  if node.type ~= "call" then return nil end
  local callee = values.origin(node.callee)
  local base = callee.type == "index" and callee.key and values.of(callee.object)
  return base and values.is_namespace(base) and callee.key, base and values.is_namespace(base) and getmetatable(base).__name
end

local LITERALS <const> = {string = true, number = true, ["true"] = true, ["false"] = true}

-- The value of what is written out; nil, false for anything that is computed.
local function literal(node)
  if node.type == "string" then return node.value, true end
  if node.type == "number" then return tonumber(node.value), true end
  if node.type == "unary" and node.operator == "-" and node.operand.type == "number" then
    return -tonumber(node.operand.value), true
  end
  if LITERALS[node.type] then return node.type == "true", true end
  return nil, false
end

local monitors = {}

---Makes a callback whose options are all written out.
---@param call table
---@param report fun(line: integer, text: string)
function monitors.options(call, report)
  local name, home = called_name(call)
  if home ~= "train" or not TRIED[name] or #call.arguments ~= 1 or call.arguments[1].type ~= "table" then return end
  local given = {}
  for _, item in ipairs(call.arguments[1].items) do
    local value, known = literal(item.value)
    if not item.key or not known then return end
    given[item.key] = value
  end
  local ok, err = pcall(values.of(call.callee), given)
  if not ok and type(err) == "table" then report(call.line, err.message .. (err.hint and " (" .. err.hint .. ")" or "")) end
end

-- The names of the logs that a train.fit has; nil where they do not show.
local function log_names(fit)
  if fit.step or fit.evaluate_train or fit.compat then return nil end
  local names = {"loss"}
  if fit.metrics then
    local metrics = values.origin(fit.metrics.value)
    if metrics.type ~= "table" then return nil end
    for _, item in ipairs(metrics.items) do
      local name = item.key or item.value.type == "string" and item.value.value
      local made = item.key and called_name(values.origin(item.value))
      -- A metric of several numbers has more logs than its name.
      if not name or not (item.value.type == "string" or item.value.type == "function" or made == "Accuracy"
        or made == "Mean" or made == "Sum") then return nil end
      names[#names + 1] = name
    end
  end
  if fit.valid or fit.validation_data or fit.validation_split then
    for i = 1, #names do names[#names + 1] = "val_" .. names[i] end
  end
  return names
end

local function writes_nothing(node)
  local name, home = called_name(node)
  if home == "train" and SILENT[name] then return true end
  if home == "mlflow" and name == "callback" then return true end
  return false
end

---Compares the monitors of the callbacks in a train.fit{...} with its logs, where both are written out.
---@param call table
---@param report fun(line: integer, text: string)
function monitors.fit(call, report)
  local name, home = called_name(call)
  if home ~= "train" or name ~= "fit" or not call.arguments[1] or call.arguments[1].type ~= "table" then return end
  local fit = named(call.arguments[1].items)
  local list = fit.callbacks and values.origin(fit.callbacks.value)
  local names = list and list.type == "table" and log_names(fit)
  if not names then return end
  local known = {}
  for _, each in ipairs(names) do known[each] = true end
  local calls = {}
  for i, item in ipairs(list.items) do
    calls[i] = values.origin(item.value)
    if not writes_nothing(calls[i]) then return end
    if called_name(calls[i]) == "ReduceLROnPlateau" or called_name(calls[i]) == "LearningRateScheduler" then
      known.learning_rate, known.lr = true, true
    end
  end
  for _, each in ipairs(calls) do
    local options = each.arguments[1]
    local monitor = options and options.type == "table" and named(options.items).monitor
    local wanted = monitor and monitor.value.type == "string" and monitor.value.value
    if wanted and not known[wanted] then
      local near = keywords.did_you_mean(wanted, names)
      report(monitor.line, ("unknown monitor '%s'; %svalid: %s"):format(wanted, near and near .. " " or "",
        table.concat(names, ", ")))
    end
  end
end

return monitors
