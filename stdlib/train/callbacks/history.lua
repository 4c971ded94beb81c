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
    if not series then  -- a late name: earlier epochs did not have it
      series = {}
      for i = 1, count - 1 do series[i] = 0 / 0 end
      self.history[key] = series
    end
    series[count] = value
  end
  for _, series in pairs(self.history) do
    if series[count] == nil then series[count] = 0 / 0 end
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
