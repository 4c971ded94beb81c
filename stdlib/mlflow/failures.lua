-- What could not be logged: the tag trainhost.last_error of its run, and a line in the run's errors.jsonl.
local json = require "native.json"
local log = require "native.log"
local ordered = require "host.ordered"
local track = require "native.track"
local vm = require "native.vm"

local failures = {}

local FILE <const>, TAG <const> = "errors.jsonl", "trainhost.last_error"
local FILES <const> = "errors[%d-]*%.jsonl"  -- all that such a file may be called
local CUT <const> = "is cut to %d+ characters$"  -- a long value that is kept to its limit: no failure
local MOST <const> = 500  -- lines of a run

local runs = setmetatable({}, {__mode = "k"})  -- run -> what is known of its failures

-- Where a run's lines go, after those that it has already: a run that goes on at a server has further files, errors-TIME.jsonl,
-- for nobody waits here for what the server has. nil: its artifacts are where nothing can be written.
local function file_of(run, notes)
  local uri = run.info.artifact_uri
  local folder = uri ~= "" and track.local_folder(uri)
  if not folder then
    if uri ~= "" and not (uri:find("^mlflow%-artifacts:") or uri:find("^https?:")) then return nil end
    return run._goes_on and ("errors-%d.jsonl"):format(notes.since) or FILE
  end
  if run._goes_on and not notes.is_read then
    local ok, text = pcall(require("native.file").read, folder .. "/" .. FILE)
    for line in (ok and text or ""):gmatch("[^\n]+") do table.insert(notes.before, line) end
    notes.is_read = true
  end
  return FILE
end

---Takes note of a run, for the failures that its sender tells of.
---@param run table
function failures.know(run)
  runs[run] = {entries = {}, before = {}, by_place = {}, told = {}, since = os.time()}
end

---Says where a run's training is: what `epoch` and `step` of a failure are.
---@param run table
---@param state table? of the training
function failures.follow(run, state)
  if runs[run] then runs[run].state = state end
end

local function write(run, notes)
  local file = not notes.is_refused and file_of(run, notes)
  if not file then return end
  local lines = table.move(notes.before, 1, #notes.before, 1, {})
  for _, entry in ipairs(notes.entries) do lines[#lines + 1] = json.encode(entry) end
  run:log_text(table.concat(lines, "\n") .. "\n", file)
end

-- A line of its own for each text and place; the same again there counts as one more try.
local function note(run, notes, text, at)
  local state = notes.state
  local epoch, step = at.epoch or state and state.epoch, at.step or state and state.steps_done
  local place = ("%s %s %s"):format(epoch, step, text)
  local entry = notes.by_place[place]
  if entry then
    entry.retries = entry.retries + 1
    if entry.retries & (entry.retries - 1) ~= 0 then return end  -- written ever less often
  else
    if #notes.entries >= MOST then return end
    entry = ordered.new({"epoch", "step", "text", "retries", "time"},
      {epoch or json.null, step or json.null, text, at.retries or 0, math.floor(require("host").time() * 1000)})
    notes.entries[#notes.entries + 1], notes.by_place[place] = entry, entry
  end
  run:set_tag(TAG, text)
  write(run, notes)
end

---Notes a failure in its run. It never raises: a run that has ended keeps what it has.
---@param run table
---@param text string
---@param at? table {epoch, step, retries, quiet = true for no line on the console}
function failures.record(run, text, at)
  at = at or {}
  local notes = runs[run] or {told = {}}
  if not at.quiet and not notes.told[text] then
    notes.told[text] = true
    log.warn("mlflow: " .. text:gsub("^mlflow[.:]%s*", ""))
  end
  if runs[run] then
    local ok, err = pcall(note, run, notes, text, at)
    if not ok and type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
  end
end

---An event of the sender: its run, or every one that is open where it names none, has had a failure. The console has been
---told by the sender.
---@param event table {message, run_id}
function failures.heard(event)
  local text = event.message
  if text:find(TAG, 1, true) or text:find(CUT) then return end
  for run, notes in pairs(runs) do
    local info = run.info
    if info.status == "RUNNING" and (event.run_id == nil or event.run_id == info.run_id) then
      if text:find(FILES) then
        notes.is_refused = true  -- this very file: it is not tried again
      else
        failures.record(run, text, {quiet = true})
      end
    end
  end
end

---Calls `f(...)`; what it raises is a failure of the run, but for an interruption.
---@param run table
---@param at? table as for record
---@param f function
---@return boolean ok
function failures.try(run, at, f, ...)
  local ok, err = pcall(f, ...)
  if ok then return true end
  if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
  failures.record(run, type(err) == "table" and err.message or tostring(err), at)
  return false
end

---Reads what run:log_error is given.
---@param text any
---@param at any
function failures.check(text, at)
  if type(text) ~= "string" or text == "" then
    vm.raise("usage", ("mlflow.log_error: argument 'text' must be a string that is not empty, got %s"):format(vm.describe(text)))
  end
  local keywords = require "host.keywords"
  local given = keywords.check("mlflow.log_error", at, {epoch = keywords.none, step = keywords.none, retries = keywords.none})
  for _, name in ipairs {"epoch", "step", "retries"} do
    if given[name] ~= nil then
      local whole = math.type(given[name]) and math.tointeger(given[name])
      if not whole then
        vm.raise("usage", ("mlflow.log_error: %s must be a whole number, got %s"):format(name, vm.describe(given[name])))
      end
      given[name] = whole
    end
  end
  return given
end

return failures
