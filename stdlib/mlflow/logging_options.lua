-- The options of mlflow.callback and mlflow.autolog: those of MLflow's Keras and Lightning integrations, and our own.
local interval = require "train.interval"
local keywords = require "host.keywords"
local options = require "train.options"
local text = require "mlflow.text"
local vm = require "native.vm"

local logging_options = {}

local none <const> = keywords.none

local SHARED <const> = {
  every = none, keep_last_models = none, style = "keras", step_base = 0,
  log_models = none, log_model_signatures = true, log_input_examples = false, log_datasets = true,
  log_every_epoch = true, log_every_n_steps = none, log_every_n_epoch = 1, log_every_n_step = none,
  checkpoint = false, checkpoint_monitor = "val_loss", checkpoint_mode = "min", checkpoint_save_best_only = true,
  checkpoint_save_weights_only = false, checkpoint_save_freq = "epoch",
  registered_model_name = none, extra_tags = none, silent = false,
  log_checkpoints = true, log_model_summary = true, name = "mlflow",
}

local KINDS <const> = {
  style = {"keras", "lightning"}, step_base = "count", keep_last_models = "positive_count",
  log_every_n_steps = "positive_count", log_every_n_epoch = "positive_count", log_every_n_step = "positive_count",
  checkpoint_monitor = "text", checkpoint_mode = {"min", "max"}, registered_model_name = "text",
}
for _, name in ipairs {"log_models", "log_model_signatures", "log_input_examples", "log_datasets", "log_every_epoch",
  "checkpoint", "checkpoint_save_best_only", "checkpoint_save_weights_only", "silent", "log_checkpoints",
  "log_model_summary"} do
  KINDS[name] = "flag"
end

local function usage(where, message, hint) vm.raise("usage", where .. ": " .. message, hint) end

-- MLflow's words of the two that exclude each other.
local function check_frequency(where, o)
  local epoch, steps = text.str(o.log_every_epoch), o.log_every_n_steps
  if o.log_every_epoch and steps ~= nil then
    usage(where, ("`log_every_n_steps` must be None if `log_every_epoch=True`, received `log_every_epoch=%s` and "
      .. "`log_every_n_steps=%s`."):format(epoch, text.str(steps)), "log_every_epoch = false logs steps alone")
  end
  if not o.log_every_epoch and steps == nil and o.log_every_n_step == nil and o.every == nil then
    usage(where, "`log_every_n_steps` must be specified if `log_every_epoch=False`, received`log_every_n_steps=False` and "
      .. "`log_every_n_steps=None`.")
  end
end

-- Numbers of `every` are epochs; what is no count of epochs is looked at when a batch ends.
local function split(spec)
  for _, one in ipairs(interval.each(spec)) do
    if one.unit == "event" then one.unit = "ep" end
  end
  return interval.split(spec)
end

local function check_tables(where, o)
  for _, name in ipairs {"extra_tags", "saved_model_kwargs", "keras_model_kwargs"} do
    if o[name] ~= nil and type(o[name]) ~= "table" then
      usage(where, ("%s must be a table of name -> value, got %s"):format(name, vm.describe(o[name])))
    end
  end
  for key in pairs(o.extra_tags or {}) do
    require("native.track").check_key("tag", type(key) == "string" and key or text.str(key))
  end
end

local function check_models(where, o)
  local logged, registered = o.log_models or o.log_models == nil and o.every ~= nil, o.registered_model_name
  if registered and (registered == "" or registered:find("[/:]")) then
    usage(where, ("registered_model_name: Invalid model name '%s'. Names cannot contain '/' or ':'."):format(registered))
  end
  if registered and not logged then usage(where, "registered_model_name needs log_models = true") end
  if o.keep_last_models and not logged then usage(where, "keep_last_models needs log_models = true") end
  if o.keep_last_models and not o.every then usage(where, "keep_last_models needs every", 'every = "5ep"') end
end

---Reads and checks what is given to one of the two.
---@param where string "mlflow.callback"
---@param given table|nil
---@param more? table<string, any> further defaults
---@param kinds? table<string, any> of the further ones
---@return table options
function logging_options.read(where, given, more, kinds)
  local defaults, all_kinds = {}, {}
  for _, pair in ipairs {{SHARED, defaults}, {more or {}, defaults}, {KINDS, all_kinds}, {kinds or {}, all_kinds}} do
    for name, value in pairs(pair[1]) do pair[2][name] = value end
  end
  local o = options.of_callback(where, given, defaults, all_kinds)
  check_frequency(where, o)
  check_tables(where, o)
  check_models(where, o)
  if o.every then o._at_epochs, o._at_batches = split(interval.parse(o.every, where .. ": every")) end
  if o.checkpoint_save_freq ~= "epoch" then
    options.check(where, o, {checkpoint_save_freq = "positive_count"})
  end
  o._steps = o.log_every_n_steps or o.log_every_n_step
  return o
end

return logging_options
