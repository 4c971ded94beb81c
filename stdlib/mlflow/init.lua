-- mlflow: MLflow's tracking under its own names; runs go to ./mlflow.db, where `mlflow ui` shows them.
local failures = require "mlflow.failures"
local keywords = require "host.keywords"
local log = require "native.log"
local places = require "mlflow.places"
local text = require "mlflow.text"
local track = require "native.track"
local vm = require "native.vm"
local Run = require "mlflow.run"

local mlflow = {
  set_tracking_uri = places.set_tracking_uri, get_tracking_uri = places.get_tracking_uri,
  set_experiment = places.set_experiment,
}

local stack = {}   -- active runs, innermost last
local last_run
local used_run_id  -- the MLFLOW_RUN_ID that start_run has resumed
local handlers = {}

local function fail(message, hint) vm.raise("tracking", message, hint) end

-- Events of the sender thread, on the script's own thread: to the runs that they are about, and to those who asked, also
-- to those who ask later.
local delivering, untold = false, {}
local delivered = setmetatable({}, {__close = function() delivering = false end})
local MOST_UNTOLD <const> = 1000
local function deliver()
  if delivering or not track.has_events() and (#untold == 0 or #handlers == 0) then return end
  delivering = true
  local _ <close> = delivered
  local taken = track.take_events()
  table.move(taken, 1, math.min(#taken, MOST_UNTOLD - #untold), #untold + 1, untold)
  for _, event in ipairs(taken) do failures.heard(event) end
  local events = untold
  if #handlers == 0 then events = {} else untold = {} end
  for _, event in ipairs(events) do
    setmetatable(event, {__tostring = function(e) return e.message end})
    for _, handler in ipairs(handlers) do
      local ok, err = pcall(handler, event)
      if not ok then log.warn("mlflow.on('error'): the handler failed: " .. tostring(err)) end
    end
  end
end

-- Ends the active runs from the innermost down to `run`, which may also be no longer active.
local function finish(run, status)
  if type(status) ~= "string" then
    vm.raise("usage", ("mlflow.end_run: argument 'status' must be a string, got %s"):format(vm.describe(status)))
  end
  status = status:upper()
  deliver()  -- what it has to note of its failures
  local plain_loop = package.loaded["mlflow.plain_loop"]
  local from
  for i, other in ipairs(stack) do
    if other == run then from = i end
  end
  if not from then return track.end_run(run._handle, status) end
  for i = #stack, from, -1 do
    if plain_loop then plain_loop.ended(stack[i]) end
    track.end_run(stack[i]._handle, status)
    last_run = stack[i]
    stack[i] = nil
  end
  deliver()
end

-- --- Runs

local function tags_of(options)
  local tags = {}
  if options.tags ~= nil and type(options.tags) ~= "table" then
    vm.raise("usage", ("mlflow.start_run: keyword 'tags' must be a table of name -> value, got %s")
      :format(vm.describe(options.tags)))
  end
  for key, value in pairs(options.tags or {}) do
    track.check_key("tag", type(key) == "string" and key or text.str(key))
    tags[type(key) == "string" and key or text.str(key)] = text.str(value)
  end
  if options.description ~= nil then
    if tags["mlflow.note.content"] then
      vm.raise("usage", "mlflow.start_run: the description is already set via the tag mlflow.note.content in tags")
    end
    tags["mlflow.note.content"] = text.str(options.description)
  end
  return tags
end

-- MLFLOW_RUN_CONTEXT: tags as JSON, which those of the script replace.
local function add_context(tags)
  local given = vm.getenv("MLFLOW_RUN_CONTEXT")
  if not given or given == "" then return tags end
  local ok, context = pcall(require("native.json").decode, given)
  if not ok or type(context) ~= "table" then
    vm.raise("usage", 'mlflow.start_run: the environment variable MLFLOW_RUN_CONTEXT must be JSON: {"name": "value"}')
  end
  for key, value in pairs(context) do
    track.check_key("tag", text.str(key))
    if tags[text.str(key)] == nil then tags[text.str(key)] = text.str(value) end
  end
  return tags
end

local start

local function resume(run_id, options)
  -- A dry run does not open the store that the run is in.
  if require("host").dry_run() then return start(options) end
  local handle = track.resume_run(run_id)
  local experiment_id = track.info(handle).experiment_id
  local active = places.active()
  if active and active.experiment_id ~= experiment_id then
    track.end_run(handle, "FAILED")
    fail(("mlflow: cannot start run with ID %s because the active experiment ID %s does not match its experiment ID %s")
      :format(run_id, active.experiment_id, experiment_id))
  end
  for key, value in text.ordered(tags_of(options)) do track.set_tag(handle, key, value) end
  if options.run_name then track.set_tag(handle, "mlflow.runName", options.run_name) end
  return handle
end

function start(options)
  local parent = stack[#stack]
  local parent_id = options.parent_run_id or (parent and parent.info.run_id)
  if parent and options.parent_run_id and options.parent_run_id ~= parent.info.run_id then
    fail(("mlflow: the current run %s does not match the specified parent_run_id %s")
      :format(parent.info.run_id, options.parent_run_id), "end the current run first with mlflow.end_run()")
  end
  if options.parent_run_id and not parent then
    local found = require("mlflow.search").get_run(options.parent_run_id)
    if found.info.lifecycle_stage == "deleted" then
      fail(("mlflow: Cannot start run under parent run with ID %s because it is in the deleted state.")
        :format(options.parent_run_id))
    end
  end
  local began = vm.clock()
  local experiment_id = places.experiment_of(options.experiment_id)
  return track.start_run{
    experiment_id = experiment_id,
    waited = vm.clock() - began,  -- for a server that does not answer: two seconds in all
    run_name = options.run_name,
    parent_id = parent_id,
    tags = add_context(tags_of(options)),
    script = vm.script(),
  }
end

local start_defaults = {run_id = keywords.none, experiment_id = keywords.none, run_name = keywords.none,
  nested = false, parent_run_id = keywords.none, tags = keywords.none, description = keywords.none,
  log_system_metrics = keywords.none}

--- Starts a run, which is active until it is ended; with `<close>` it ends with its scope: FINISHED, FAILED when an
--- error or an exit code other than 0 leaves the scope, KILLED when the script is stopped. The run has its id at once.
--- With log_system_metrics (default: as MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING or mlflow.enable_system_metrics_logging
--- say) a thread logs what CPU, memory, disk, network and NVIDIA GPUs are doing, every 10 seconds, under MLflow's names.
---@param options {run_id: string, experiment_id: string, run_name: string, nested: boolean, parent_run_id: string,
---  tags: table, description: string, log_system_metrics: boolean}|string|nil a string: the id of a run to go on with
---@return Run
---@example local run <close> = mlflow.start_run{run_name = "baseline"}
function mlflow.start_run(options)
  if type(options) == "string" then options = {run_id = options} end
  options = keywords.check("mlflow.start_run", options, start_defaults)
  deliver()
  local plain_loop = package.loaded["mlflow.plain_loop"]
  if plain_loop and not options.nested then plain_loop.release() end  -- a run that autolog began for a loop of before
  local watched = require("mlflow.system_metrics").plan(options.log_system_metrics)
  for _, name in ipairs{"run_id", "run_name", "parent_run_id"} do
    if options[name] ~= nil and type(options[name]) ~= "string" then
      vm.raise("usage", ("mlflow.start_run: keyword '%s' must be a string, got %s")
        :format(name, vm.describe(options[name])))
    end
  end
  if #stack > 0 and not options.nested then
    vm.raise("usage", ("Run with UUID %s is already active. To start a new run, first end the current run with "
      .. "mlflow.end_run(). To start a nested run, call start_run with nested=true"):format(stack[1].info.run_id))
  end
  places.open()
  local run_id, from_environment = options.run_id, vm.getenv("MLFLOW_RUN_ID")
  if not run_id and from_environment and from_environment ~= "" and used_run_id ~= from_environment then
    run_id, used_run_id = from_environment, from_environment
  end
  local handle = run_id and resume(run_id, options) or start(options)
  local run = Run.new(handle, function(id) return mlflow.get_run(id) end, run_id ~= nil)
  stack[#stack + 1] = run
  if watched then require("mlflow.system_metrics").watch(run._handle, watched, run_id ~= nil) end
  return run
end

--- Returns the innermost active run, or nil.
---@return Run|nil
function mlflow.active_run() return stack[#stack] end

--- Returns the active run, or else the one that ended last.
---@return Run|nil
function mlflow.last_active_run() return stack[#stack] or last_run end

--- Ends the innermost active run, if there is one.
---@param status string|nil FINISHED (default), FAILED or KILLED
function mlflow.end_run(status)
  local run = stack[#stack]
  if run then finish(run, status or "FINISHED") end
end

-- Every method of a run is also a function on the innermost active run; without one a run is started.
for _, name in ipairs{"log_metric", "log_metrics", "log_param", "log_params", "set_tag", "set_tags", "delete_tag",
  "log_artifact", "log_artifacts", "log_text", "log_dict", "log_figure", "log_image", "log_table", "log_input",
  "log_inputs", "log_error", "get_artifact_uri"} do
  local method = Run[name]
  mlflow[name] = function(...) return method(stack[#stack] or mlflow.start_run(), ...) end
end

-- --- What happens behind the script's back

--- Waits until all that was logged is stored and would survive a power cut.
---@param seconds number|nil at most, default 60
---@return true|nil done nil: not within that time, or a server refuses who asks; what is not stored is kept on disk
---@return string|nil message
function mlflow.flush(seconds) return Run.flush(nil, seconds) end

--- Has `f(event)` called for what could not be stored, or not as it was logged: event.kind, message, hint, run_id.
--- It is called on the script's thread, from the next call of mlflow. Training goes on either way.
---@param event string "error"
---@param f fun(event: {kind: string, message: string, hint: string, run_id: string|nil})
function mlflow.on(event, f)
  if event ~= "error" then
    vm.raise("usage", ("mlflow.on: unknown event %s, expected 'error'"):format(vm.describe(event)))
  end
  if type(f) ~= "function" then
    vm.raise("usage", ("mlflow.on: expected a function, got %s"):format(vm.describe(f)))
  end
  handlers[#handlers + 1] = f
end

--- Has every training of the script logged from now on, as by mlflow.callback: those of train.fit, of train.state and of
--- train.callback_list; of a loop by hand without any of these what its optimizers, its backward passes and its loaders
--- show (opt_*, batch_size, loss). Within an active run it logs there and leaves it open, else it starts one and ends it.
---@param options? table those of mlflow.callback but `run`, here with log_models = true and checkpoint = true; and
---disable = false, exclusive = false (true: runs that the script starts are left alone), silent = false,
---disable_for_unsupported_versions, saved_model_kwargs and keras_model_kwargs (of other formats: without effect)
---@example mlflow.autolog{disable = true}
function mlflow.autolog(options) require("mlflow.autolog").set(options) end

local final_status = {finished = "FINISHED", failed = "FAILED", killed = "KILLED"}

Run.connect{deliver = deliver, finish = finish}
vm.at_exit(function(status)
  if stack[1] then finish(stack[1], final_status[status] or "FAILED") end
  if places.is_open() then
    -- Two seconds are for what is stored when nobody waits any more; while bytes of a file move there is more time.
    repeat local left = track.end_limit() - 2
    until left <= 0 or track.flush(left) or vm.stop_wished()
    deliver()
    places.clean()
  end
end)

return require("host.namespace")("mlflow", {held = mlflow,
  modules = {
    MlflowCallback = "mlflow.callback", MlflowClient = "mlflow.client", artifacts = "mlflow.artifacts",
    callback = "mlflow.callback", data = "mlflow.data", entities = "mlflow.entities", models = "mlflow.models",
  },
  files = {
    ["mlflow.models"] = "create_logged_model delete_logged_model delete_logged_model_tag finalize_logged_model "
      .. "get_logged_model load_model log_model log_model_params register_model search_logged_models search_model_versions "
      .. "search_registered_models set_logged_model_tags set_model_version_tag",
    ["mlflow.search"] = "create_experiment delete_experiment delete_experiment_tag delete_run get_experiment "
      .. "get_experiment_by_name get_metric_history get_parent_run get_run search_experiments search_runs "
      .. "set_experiment_tag set_experiment_tags",
    ["mlflow.system_metrics"] = "disable_system_metrics_logging enable_system_metrics_logging "
      .. "set_system_metrics_node_id set_system_metrics_samples_before_logging set_system_metrics_sampling_interval",
    ["mlflow.tables"] = "load_table",
  },
})
