-- A forecaster of a series: an LSTM reads the last values, a linear layer says one to come.
local torch = require "torch"
local nn = torch.nn

local Forecaster = nn.class("Forecaster")

function Forecaster:__init(features, hidden_size, layers)
  self.lstm = nn.LSTM(features, hidden_size, {num_layers = layers, batch_first = true})
  self.head = nn.Linear(hidden_size, 1)
end

--- x: [batch, length, features]; returns the value to come, [batch].
function Forecaster:forward(x)
  local out = self.lstm(x)
  return self.head(out:select(1, -1)):squeeze(-1)
end

--- Errors that stand out: each in deviations of those of `calm` (tensors [n]), and the runs beyond `limit` of them as
--- {first, last, peak}, places counted from 1. Median and median deviation: what stands out in `calm` does not count.
function Forecaster.anomalies(errors, calm, limit)
  local middle = calm:median()
  local scores = (errors - middle) / ((calm - middle):abs():median() * 1.4826)  -- of a normal distribution, its deviation
  local runs, list = {}, scores:tolist()
  for i, score in ipairs(list) do
    local run = runs[#runs]
    if math.abs(score) > limit then
      if run and run.last == i - 1 and (run.peak > 0) == (score > 0) then
        run.last = i
        if math.abs(score) > math.abs(run.peak) then run.peak = score end
      else
        runs[#runs + 1] = {first = i, last = i, peak = score}
      end
    end
  end
  return runs, scores
end

return Forecaster
