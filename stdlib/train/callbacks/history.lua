-- train.History: the logs of every epoch. Every train.fit has one and returns it.
local logs = require "train.logs"
local ordered = require "host.ordered"

local History = {__name = "History", group = "logging", errors = "raise", state_fields = {"epoch", "history"}}

-- history.val_loss is history.history.val_loss
function History.__index(self, key)
  local own = History[key]
  if own ~= nil then return own end
  local all = rawget(self, "history")
  return all and all[key]
end

function History:on_train_begin()
  self.epoch, self.history = {}, {}
end

function History:on_epoch_end(state)
  local count = #self.epoch + 1
  self.epoch[count] = state.epoch
  for key, value in pairs(state.logs) do
    local series = self.history[key]
    if not series then
      series = {}
      self.history[key] = series
    end
    series[#series + 1] = value
  end
  if state.compat == "keras" then return end  -- there an epoch without a name makes its list shorter
  for key, series in pairs(self.history) do
    -- A late name: earlier epochs did not have it. One that this epoch lacks: NaN at its place.
    while #series < count do table.insert(series, state.logs[key] == nil and #series + 1 or 1, 0 / 0) end
  end
end

function History:on_train_end(state)
  self.stop_reason = state.stop_reason
  self.seconds = state:elapsed()
end

---The names that were logged, sorted.
---@return string[]
function History:names() return ordered.keys(self.history) end

function History.__tostring(self)
  local last = logs.new()
  for _, name in ipairs(self:names()) do last[name] = self.history[name][#self.epoch] end
  return ("History: %d epochs, %s"):format(#self.epoch, tostring(last))
end

---Keeps the logs of each epoch: `history.epoch` (from 0), `history.loss[i]`, NaN where an epoch did not log a name.
---@return table callback
return function() return setmetatable({epoch = {}, history = {}}, History) end
