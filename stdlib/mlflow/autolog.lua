-- mlflow.autolog: every training of the script is logged, by the callback that mlflow.callback makes.
--
-- train.fit, train.state and train.callback_list ask join() (train/autologged.lua); loops without a state are seen by
-- plain_loop.lua.
local keywords = require "host.keywords"
local log = require "native.log"
local logging_options = require "mlflow.logging_options"
local text = require "mlflow.text"

local autolog = {}

local DEFAULTS <const> = {
  log_models = true, checkpoint = true, disable = false, exclusive = false, disable_for_unsupported_versions = false,
  saved_model_kwargs = keywords.none, keras_model_kwargs = keywords.none,
}
local KINDS <const> = {disable = "flag", exclusive = "flag", disable_for_unsupported_versions = "flag"}

local active            -- what mlflow.autolog was given last, nil when it is off
local made = setmetatable({}, {__mode = "k"})  -- runs that autolog began

-- The tags of a run that autolog begins.
local function tags_of(given)
  local tags = {["mlflow.autologging"] = "trainhost"}
  for key, value in pairs(given.extra_tags or {}) do tags[type(key) == "string" and key or text.str(key)] = value end
  return tags
end

-- Starts a run: that of the checkpoint from which the training goes on, else a new one.
local function start(given, state)
  local start_run = require("mlflow").start_run
  local known, run_id = pcall(function() return state and require("train.resume").run_id(state) end)
  if known and run_id then
    local ok, started = pcall(start_run, {run_id = run_id})
    if ok or type(started) == "table" and started.kind == "interrupted" then return ok, started end
    if not given.silent then
      log.warn(("mlflow.autolog: run %s of the checkpoint cannot be gone on with, a new one begins: %s"):format(run_id,
        type(started) == "table" and started.message or tostring(started)))
    end
  end
  return pcall(start_run, {tags = tags_of(given)})
end

---The active run, else one that it begins. A store that refuses it is no error of the training.
---@param given table options
---@param state? table of the training
---@return table? run
---@return boolean? is_made
function autolog.run(given, state)
  local run = require("mlflow").active_run()
  if run then return run, false end
  local ok, started = start(given, state)
  if ok then
    made[started] = true
    return started, true
  end
  if type(started) == "table" and started.kind == "interrupted" then error(started, 0) end
  if given.silent then return nil end
  log.warn(("mlflow.autolog: no run could be started, nothing is logged: %s"):format(
    type(started) == "table" and started.message or tostring(started)))
end

---Is there a run of the script's own that exclusive = true leaves alone?
---@param given table options
---@return boolean
function autolog.keeps_out(given)
  local run = given.exclusive and require("mlflow").active_run()
  return run and not made[run] or false
end

-- One training: its run is there before any other callback hears of it, and ends after all have.
local Training = {name = "mlflow.autolog", group = "metrics", errors = "disable", state_fields = {}}
Training.__index = Training

function Training:on_train_begin(state)
  self._run, self._is_made = nil, false
  if state.dry_run and not require("host").dry_run() then return end
  require("mlflow.plain_loop").release()  -- a run of a loop before this training
  self._run, self._is_made = autolog.run(self._given, state)
  if self._run then self:_try(self._begin_board, self, state) end
end

---@private
function Training:_try(f, ...)
  return require("mlflow.failures").try(self._run, {quiet = self._given.silent}, f, ...)
end

---@private
function Training:run_of() return self._run end

-- The scalars of each epoch for TensorBoard, in the folder of the script's own callback where it has one.
---@private
function Training:_begin_board(state)
  for _, entry in ipairs(self._entries) do
    if entry.base_name == "TensorBoard" then
      self._board_folder = entry.callback.log_dir
      return
    end
  end
  self._stage = os.tmpname()
  self._board_folder = self._stage .. ".d"
  self._board = require("train.callbacks.tensorboard") {log_dir = self._board_folder, write_graph = false}
  self._board:on_train_begin(state)
end

function Training:on_epoch_end(state)
  if self._board and not state.dry_run then
    state:after("epoch_end", function() self:_try(self._board.on_epoch_end, self._board, state) end)
  end
end

local function upload(self)
  local file = require "native.file"
  if self._board then self._board:on_train_end() end
  if file.is_folder(self._board_folder) then self._run:log_artifacts(self._board_folder, "tensorboard_logs") end
  if not self._stage then return end
  if file.exists(self._board_folder) then file.remove(self._board_folder) end
  os.remove(self._stage)
end

local function status_of(state)
  local err = state.error
  if state.interrupted or type(err) == "table" and err.kind == "interrupted" then return "KILLED" end
  return err ~= nil and "FAILED" or "FINISHED"
end

---The training is over: a run that was begun for it ends with it.
---@param run table
---@param state table
function Training:finish(run, state)
  if self._run ~= run or run.info.status ~= "RUNNING" then return end
  if self._board_folder then self:_try(upload, self) end
  self._board, self._board_folder, self._stage, self._run = nil, nil, nil, nil
  if self._is_made then run:end_run(status_of(state)) end
end

local function copy(given)
  local own = {}
  for key, value in pairs(given) do own[key] = value end
  return own
end

---Lets autolog hear of a training, unless it is off or mlflow.callback is in the list already.
---@param list table of callbacks
function autolog.join(list)
  if not active or autolog.keeps_out(active) then return end
  for _, entry in ipairs(list.entries) do
    if getmetatable(entry.callback) == Training or entry.base_name == "mlflow" then return end
  end
  local training = setmetatable({_given = active, _entries = list.entries}, Training)
  list:add(training)
  list:add(require "mlflow.training_log"(copy(active), training))
end

---Lets autolog hear of a train.evaluate: Lightning's test is one, Keras's evaluate is not.
---@param list table of callbacks
function autolog.join_evaluation(list)
  if not active or active.style ~= "lightning" or autolog.keeps_out(active) or not require("mlflow").active_run() then return end
  for _, entry in ipairs(list.entries) do
    if entry.base_name == "mlflow" then return end
  end
  list:add(require "mlflow.training_log"(copy(active), setmetatable({_given = active}, Training)))
end

---Switches autolog on or off: see mlflow.autolog.
---@param given table|nil
function autolog.set(given)
  local o = logging_options.read("mlflow.autolog", given, DEFAULTS, KINDS)
  active = not o.disable and o or nil
  require("mlflow.plain_loop").watch(active)
end

return autolog
