-- train.replay: does again what `trainhost attach` did to a training, at the same points.
local Control = require "train.control"
local host = require "host"
local live = require "train.live"
local vm = require "native.vm"

local Replay = {__name = "Replay", group = "checkpoint", state_fields = {"position", "inners"}}
Replay.__index = Replay

local function read(path)
  local actions, number = {}, 0
  for line in (host.file.read(path) .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    if line ~= "" then
      local ok, action = pcall(host.json.decode, line)
      if ok and type(action) == "table" and action.cancelled and #actions > 0 then
        actions[#actions].cancelled = true
      elseif not ok or type(action) ~= "table" or type(action.code) ~= "string" or not math.type(action.batches_done) then
        vm.raise("io", ("train.replay: line %d of '%s' is no action"):format(number, path))
      else
        actions[#actions + 1] = action
      end
    end
  end
  return actions
end

local function is_here(action, event, state, inners)
  if action.event ~= event or action.batches_done ~= state.batches_done then return false end
  if event == "inner" then return action.inner == inners end
  return event == "epoch_end" or action.batch == nil or action.batch == state.batch
end

local function act(self, event)
  local state = self.state
  while true do
    local action = self._actions[self.position]
    if not action or not is_here(action, event, state, self.inners) then return end
    self.position = self.position + 1
    local where = ("train.replay: step %d: %s"):format(state.steps_done, action.code)
    if action.cancelled then
      host.log.warn(where .. " was given up before its end, and is left out: what it had done by then is not known")
    else
      self._control = self._control or Control.new(state, true)
      self._busy = true
      local how, text = self._control:run(action.code)
      self._busy = false
      host.log.info(where .. (how == "failed" and " -> " .. text or ""))
    end
  end
end

local function begin(self, state)
  self.position, self.inners, self._control = 1, 0, nil
  self._outers = live.begin(self, state)
end

local function point(self, state, event)
  if not self.state then begin(self, state) end
  for _, outer in ipairs(self._outers or {}) do outer:inner() end
  act(self, event)
end

--- A safe point of a training that runs inside this one.
---@private
function Replay:inner()
  if self._busy then return end
  self.inners = self.inners + 1
  act(self, "inner")
end

function Replay:on_train_begin(state) begin(self, state) end
function Replay:on_batch_end(state) point(self, state, "batch_end") end
function Replay:on_valid_batch_end(state) point(self, state, "valid_batch_end") end
function Replay:on_evaluate_batch_end(state) point(self, state, "evaluate_batch_end") end
function Replay:on_predict_batch_end(state) point(self, state, "predict_batch_end") end
function Replay:on_epoch_end(state) point(self, state, "epoch_end") end
function Replay:on_exception() live.finish(self) end

function Replay:on_train_end()
  live.finish(self)
  local left = #self._actions - self.position + 1
  if left > 0 then host.log.warn(("train.replay: %d of %d actions were not reached"):format(left, #self._actions)) end
end

---Does again what `trainhost attach` did to a training, at the same batches: with the same script, data and seed the weights
---are the same, bit for bit. Checkpoints that save() wrote are not written again; a line that was given up (Ctrl-C, too
---long) is left out with a warning.
---@param path string the journal, ".trainhost/runs/<run>/journal"
---@return table callback
return function(path)
  if type(path) ~= "string" then
    vm.raise("usage", "train.replay: expected the path of a journal, got " .. vm.describe(path))
  end
  return setmetatable({_actions = read(path), position = 1, inners = 0}, Replay)
end
