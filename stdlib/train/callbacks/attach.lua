-- train.Attach: lets `trainhost attach` into a running training, between two steps.
--
-- Nothing but a look at the clock is done at a step, and at most twenty times a second one at the socket; a client is
-- never waited for.
local Control = require "train.control"
local host = require "host"
local live = require "train.live"
local options = require "train.options"
local serve = require "native.serve"

local Attach = {__name = "Attach", group = "checkpoint", errors = "disable", state_fields = {}, _next = 0}
Attach.__index = Attach

local clock <const> = host.clock
local INTERVAL <const> = 0.05
local LONGEST <const> = 10  -- seconds that a line may take where the client does not say
local LONGEST_TAG <const> = 4000
local LONGEST_LOOK <const> = 0.5  -- seconds that looking for names may take
local MOST_NAMES <const> = 500
local BUSY <const> = '{"busy": true, "error": "somebody else is attached to this training"}'

local active_run <const> = require "train.active_run"

-- What the list of `trainhost attach` says of it.
local function describe(self)
  local run = active_run()
  return host.json.encode {
    id = self._id, pid = host.pid(), script = host.script, folder = host.file.cwd(), started = host.time(),
    run_id = run and run.info.run_id, run_name = run and run.info.run_name,
  }
end

local names_in_use = {}

local function open(self)
  local folder, number = serve.folder(), 1
  local id = tostring(host.pid())
  while names_in_use[id] do
    number = number + 1
    id = ("%d-%d"):format(host.pid(), number)
  end
  self._id, self._place = id, folder .. "/" .. id
  host.file.remove(self._place .. ".sock")  -- of a process that was killed and had this number
  host.file.remove(self._place .. ".json")
  self._door = serve.door(self._place .. ".sock", BUSY)
  names_in_use[id] = true
  host.file.append(self._place .. ".new", describe(self))
  host.file.rename(self._place .. ".new", self._place .. ".json")
end

local function finish(self)
  live.finish(self)
  self._outers, self._control = nil, nil
  if not self._door then return end
  self._door:close()
  names_in_use[self._id] = nil
  host.file.remove(self._place .. ".json")
  self._door = nil
end

local function open_door(self)
  self._to_open = false
  local ok, err = pcall(open, self)
  if not ok then
    if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
    host.log.info("trainhost attach cannot look into this training: " .. tostring(err))
  end
end

-- A pass alone has a door once it has lasted for a moment; one inside a training is looked into through that.
local function begin(self, state, of_pass)
  finish(self)
  if state.dry_run then return end
  self._outers, self._of_pass = live.begin(self, state), of_pass
  self._journal, self._inners, self._next = nil, 0, of_pass and clock() + INTERVAL or 0
  self._to_open = not (of_pass and self._outers)
  if not of_pass then open_door(self) end
end

-- The file of what was done to the training, made when something is: each training has one of its own.
local function journal_of(self)
  if self._journal == nil then
    local run = active_run()
    local name = run and run.info.run_id or ("%s-%s"):format(os.date("%Y%m%d-%H%M%S"), self._id)
    local base = (".trainhost/runs/%s/journal"):format(name)
    local path, number = self.journal or base, 1
    while not self.journal and host.file.exists(path) do
      number = number + 1
      path = ("%s-%d"):format(base, number)
    end
    local folder = path:match("^(.*)/[^/]*$")
    if folder and folder ~= "" then host.file.mkdir(folder) end
    self._journal = path
  end
  return self._journal
end

local tags = {}  -- run id -> actions so far, of all its trainings

local function tag(state, code)
  local run = active_run()
  if not run then return end
  local id = run.info.run_id
  tags[id] = (tags[id] or 0) + 1
  local text = ("step %d: %s"):format(state.steps_done, code)
  if #text > LONGEST_TAG then text = text:sub(1, LONGEST_TAG - 4) .. " ..." end
  run:set_tag(("trainhost.attach.%04d"):format(tags[id]), text)
end

local function note(self, action) host.file.append(journal_of(self), host.json.encode(action) .. "\n") end

-- An action is written down before it is done.
local function record(self, event, code)
  local state = self.state
  note(self, {event = event, batches_done = state.batches_done, batch = state.batch, step = state.steps_done,
    epoch = state.epoch, inner = event == "inner" and self._inners or nil, time = host.time(), code = code})
  tag(state, code)
end

local WHY <const> = {asked = "given up", gone = "given up: nobody is attached any more"}

local function control_of(self)
  self._control = self._control or Control.new(self.state, false)
  return self._control
end

-- Names for the client's Tab: nothing is done to the training, so it is not written down.
local function complete(self, line)
  local names, replaced = {}, 0
  self._door:run(LONGEST_LOOK, function() names, replaced = control_of(self):complete(line) end)
  return {complete = line, names = table.move(names, 1, math.min(#names, MOST_NAMES), 1, {}), replaced = replaced}
end

local function run(self, event, code, seconds)
  local noted, problem = pcall(record, self, event, code)
  local door, why = self._door, nil
  local how, text, more = control_of(self):run(code, function(f) return door:run(seconds, f) end)
  if how == "cancelled" then
    why = WHY[more] or ("given up after %g s; trainhost attach --timeout SECONDS gives a line more (0: no limit)"):format(seconds)
    pcall(note, self, {cancelled = true, why = more})
  elseif how == "exited" then
    why = "os.exit leaves the console, the training goes on; stop(reason) ends it"
  end
  if why then text = text == "" and why or text .. "\n" .. why end
  if not noted then text = text .. "\n(not written down, so it cannot be replayed: " .. tostring(problem) .. ")" end
  return how, text
end

local function answer(self, event, line)
  local state = self.state
  local ok, asked = pcall(host.json.decode, line)
  if not ok or type(asked) ~= "table" then return {error = "not understood"} end
  if asked.hello then return {text = tostring(state), epoch = state.epoch, step = state.steps_done} end
  if type(asked.complete) == "string" then return complete(self, asked.complete) end
  if type(asked.code) ~= "string" then return {error = "not understood"} end
  local seconds = type(asked.timeout) == "number" and asked.timeout >= 0 and asked.timeout or LONGEST
  local how, text = run(self, event, asked.code, seconds)
  text = utf8.len(text) and text or text:gsub("[\x80-\xff]", "?")
  local failed = how == "failed" or how == "cancelled"
  return {text = not failed and text or nil, error = failed and text or nil, left = how == "exited" or nil,
    step = state.steps_done, stopping = state.stopping}
end

local function serve_all(self, event)
  self._busy = true
  local _ <close> = setmetatable({}, {__close = function() self._busy = false end})
  for _ = 1, 100 do
    local line = self._door and self._door:take()
    if not line then return end
    local reply = host.json.encode(answer(self, event, line))
    if self._door then self._door:answer(reply) end
  end
end

-- What runs inside a line of the client is no safe point of its training.
local function look(self, event)
  self._next = clock() + INTERVAL
  if self._busy or not (self._door or self._to_open) then return end
  if self._to_open then open_door(self) end
  if self._door then serve_all(self, event) end
end

-- A hook that is a safe point.
local function safe_point(event)
  return function(self, state)
    if not self.state then begin(self, state) end  -- a loop by hand that told of no beginning
    local outers = self._outers
    if outers then
      for i = 1, #outers do outers[i]:inner() end
    end
    if clock() >= self._next or event == "epoch_end" then look(self, event) end
  end
end

--- A safe point of a training that runs inside this one.
---@private
function Attach:inner()
  if self._busy then return end
  self._inners = self._inners + 1
  if clock() >= self._next then look(self, "inner") end
end

function Attach:on_train_begin(state) begin(self, state) end
for _, event in ipairs {"batch_end", "valid_batch_end", "epoch_end", "evaluate_batch_end", "predict_batch_end"} do
  Attach["on_" .. event] = safe_point(event)
end
function Attach:on_train_end() finish(self) end
function Attach:on_exception() finish(self) end

-- A pass of its own, or one of a training.
function Attach:on_evaluate_begin(state)
  if not self.state then begin(self, state, true) end
end

function Attach:on_evaluate_end()
  if self._of_pass then finish(self) end
end

Attach.on_predict_begin, Attach.on_predict_end = Attach.on_evaluate_begin, Attach.on_evaluate_end

---Lets `trainhost attach` into this training: a console whose lines are run between two steps, with `state`, lr(value),
---save(path), stop(reason) and help(name), also during validation. In the program trainhost train.fit, train.evaluate,
---train.predict and train.state have one by themselves (attach = false: none); a loop with a train.callback_list of its own
---adds it. The socket is its owner's alone, in $XDG_RUNTIME_DIR/trainhost or a folder of /tmp. Every line that is run is
---written into a journal, from which train.replay does it again, and a tag of the active MLflow run. A line that fails,
---calls os.exit, is given up by Ctrl-C or takes longer than 10 seconds ends alone, the training goes on.
---@param arguments? table journal = ".trainhost/runs/<run>/journal", name, errors = "disable", budget
---@return table callback
return function(arguments)
  local keywords = require "host.keywords"
  return setmetatable(options.of_callback("train.Attach", arguments, {journal = keywords.none}, {journal = "text"}), Attach)
end
