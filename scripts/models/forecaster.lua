-- A forecaster of a series: an LSTM reads the last values, a linear layer says the next.
local torch = require "torch"
local nn = torch.nn

local Forecaster = nn.class("Forecaster")

function Forecaster:__init(features, hidden_size, layers)
  self.lstm = nn.LSTM(features, hidden_size, {num_layers = layers, batch_first = true})
  self.head = nn.Linear(hidden_size, 1)
end

--- x: [batch, length, features]; returns the next value, [batch].
function Forecaster:forward(x)
  local out = self.lstm(x)
  return self.head(out:select(1, -1)):squeeze(-1)
end

--- Errors that stand out: a running score, the sum of `errors` (a list) over `span` values by the deviation of such
--- sums in the first `calm` of them; the places where it is beyond `limit` on either side.
function Forecaster.anomalies(errors, calm, span, limit)
  local x = torch.tensor(errors)
  local sums = torch.cat({x:new_zeros(span - 1), x}):unfold(0, span, 1):sum(1)
  local scores = sums / sums:narrow(0, 0, calm):std()
  return scores:abs():gt(limit):nonzero():squeeze(1):tolist(), scores:tolist()
end

return Forecaster
