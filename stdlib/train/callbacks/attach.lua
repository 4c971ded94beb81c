-- train.Attach: lets `trainhost attach` into a running training, between two steps.
--
-- Nothing but a look at the clock is done at a step, and at most twenty times a second one at the socket; a client is
-- never waited for.
local Control = require "train.control"
local host = require "host"
local options = require "train.options"
local serve = require "native.serve"

local Attach = {__name = "Attach", group = "checkpoint", errors = "disable", state_fields = {}}
Attach.__index = Attach

local clock <const> = host.clock
local INTERVAL <const> = 0.05
local BUSY <const> = '{"error": "somebody else is attached to this training"}'

local active_run <const> = require "train.active_run"

-- What the list of `trainhost attach` says of it.
local function describe(self)
  local run = active_run()
  return host.json.encode {
    id = self._id, pid = host.pid(), script = host.script, folder = host.file.cwd(), started = host.time(),
    run_id = run and run.info.run_id, run_name = run and run.info.run_name,
  }
end

local opened = 0

local function open(self)
  local folder = serve.folder()
  opened = opened + 1
  self._id = opened == 1 and tostring(host.pid()) or ("%d-%d"):format(host.pid(), opened)
  self._place = folder .. "/" .. self._id
  host.file.remove(self._place .. ".sock")  -- of a process that was killed and had this number
  host.file.remove(self._place .. ".json")
  self._door = serve.door(self._place .. ".sock", BUSY)
  host.file.write_atomic(self._place .. ".json", describe(self))
end

local function close(self)
  if not self._door then return end
  self._door:close()
  host.file.remove(self._place .. ".json")
  self._door, self._control = nil, nil
end

-- The file of what was done to the training, made when something is.
local function journal_of(self)
  if self._journal == nil then
    local run = active_run()
    local name = run and run.info.run_id or ("%s-%s"):format(os.date("%Y%m%d-%H%M%S"), self._id)
    self._journal = self.journal or (".trainhost/runs/%s/journal"):format(name)
    local folder = self._journal:match("^(.*)/[^/]*$")
    if folder and folder ~= "" then host.file.mkdir(folder) end
  end
  return self._journal
end

-- An action is written down before it is done.
local function record(self, state, event, code)
  self._actions = (self._actions or 0) + 1
  host.file.append(journal_of(self), host.json.encode {event = event, batches_done = state.batches_done,
    step = state.steps_done, epoch = state.epoch, time = host.time(), code = code} .. "\n")
  local run = active_run()
  if run then run:set_tag(("trainhost.attach.%04d"):format(self._actions), ("step %d: %s"):format(state.steps_done, code)) end
end

local function answer(self, state, event, line)
  local ok, asked = pcall(host.json.decode, line)
  if not ok or type(asked) ~= "table" then return {error = "not understood"} end
  if asked.hello then return {text = tostring(state), epoch = state.epoch, step = state.steps_done} end
  if type(asked.code) ~= "string" then return {error = "not understood"} end
  local noted, problem = pcall(record, self, state, event, asked.code)
  self._control = self._control or Control.new(state, false)
  local good, text = self._control:run(asked.code)
  if not noted then text = text .. "\n(not written down, so it cannot be replayed: " .. tostring(problem) .. ")" end
  return {text = good and text or nil, error = not good and text or nil, step = state.steps_done, stopping = state.stopping}
end

local function serve_all(self, state, event)
  for _ = 1, 100 do
    local line = self._door:take()
    if not line then return end
    self._door:answer(host.json.encode(answer(self, state, event, line)))
  end
end

function Attach:on_train_begin()
  close(self)
  self._journal, self._actions, self._next = nil, nil, 0
  local ok, err = pcall(open, self)
  if not ok then
    if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
    host.log.info("trainhost attach cannot look into this training: " .. tostring(err))
  end
end

function Attach:on_batch_end(state)
  local now = clock()
  if now < self._next or not self._door then return end
  self._next = now + INTERVAL
  serve_all(self, state, "batch_end")
end

function Attach:on_epoch_end(state)
  if self._door then serve_all(self, state, "epoch_end") end
end

function Attach:on_train_end() close(self) end

function Attach:on_exception() close(self) end

---Lets `trainhost attach` into this training: a console whose lines are run between two steps, with `state`, lr(value),
---save(path) and stop(reason). train.fit has one by itself in the program trainhost, loops by hand add it. The socket is
---its owner's alone, in $XDG_RUNTIME_DIR/trainhost or a folder of /tmp. Every line that is run is written into a journal,
---from which train.replay does it again, and a tag of the active MLflow run.
---@param arguments? table journal = ".trainhost/runs/<run>/journal", name, errors = "disable", budget
---@return table callback
return function(arguments)
  local keywords = require "host.keywords"
  return setmetatable(options.of_callback("train.Attach", arguments, {journal = keywords.none}, {journal = "text"}), Attach)
end
