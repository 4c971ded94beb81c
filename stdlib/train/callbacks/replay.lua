-- train.replay: does again what `trainhost attach` did to a training, at the same points.
local Control = require "train.control"
local host = require "host"

local Replay = {__name = "Replay", group = "checkpoint", state_fields = {"position"}}
Replay.__index = Replay

local function read(path)
  local actions, number = {}, 0
  for line in (host.file.read(path) .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    if line ~= "" then
      local ok, action = pcall(host.json.decode, line)
      if not ok or type(action) ~= "table" or type(action.code) ~= "string" or not math.type(action.batches_done) then
        require("native.vm").raise("io", ("train.replay: line %d of '%s' is no action"):format(number, path))
      end
      actions[#actions + 1] = action
    end
  end
  return actions
end

local function act(self, state, event)
  while true do
    local action = self._actions[self.position]
    if not action or action.event ~= event or action.batches_done ~= state.batches_done then return end
    self.position = self.position + 1
    self._control = self._control or Control.new(state, true)
    local ok, text = self._control:run(action.code)
    host.log.info(("train.replay: step %d: %s%s"):format(state.steps_done, action.code, ok and "" or " -> " .. text))
  end
end

function Replay:on_train_begin() self.position, self._control = 1, nil end
function Replay:on_batch_end(state) act(self, state, "batch_end") end
function Replay:on_epoch_end(state) act(self, state, "epoch_end") end

function Replay:on_train_end()
  local left = #self._actions - self.position + 1
  if left > 0 then host.log.warn(("train.replay: %d of %d actions were not reached"):format(left, #self._actions)) end
end

---Does again what `trainhost attach` did to a training, at the same batches: with the same script, data and seed the weights
---are the same, bit for bit. Checkpoints that save() wrote are not written again.
---@param path string the journal, ".trainhost/runs/<run>/journal"
---@return table callback
return function(path)
  if type(path) ~= "string" then
    require("native.vm").raise("usage", "train.replay: expected the path of a journal, got " .. require("native.vm").describe(path))
  end
  return setmetatable({_actions = read(path), position = 1}, Replay)
end
