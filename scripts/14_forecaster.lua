-- An LSTM forecasts a series, and what it did not see coming is an anomaly: by default the temperature of the sea off
-- Peru, where El Nino is what stands out.
--
--   trainhost scripts/14_forecaster.lua [--set ahead=6] [--set limit=3] [--set file=series.csv]
local host = require "host"
local torch = require "torch"
local train = require "train"
local Forecaster = require "models.forecaster"
local read = require "data.read"
local F, data = torch.nn.functional, torch.utils.data

local file = host.param("file", "", {doc = "lines time,value; without one, data/elnino.csv (months)"})
local window = host.param("window", 24, {min = 1, doc = "values it looks back"})
local ahead = host.param("ahead", 6, {min = 1, doc = "values it looks forward"})
local share = host.param("share", 0.5, {min = 0.1, max = 0.9, doc = "of the series it learns from, from its beginning"})
local hidden_size = host.param("hidden_size", 32, {min = 1})
local epochs = host.param("epochs", 150, {min = 1})
local patience = host.param("patience", 20, {min = 1})
local lr = host.param("lr", 3e-3, {min = 0})
local limit = host.param("limit", 3, {min = 0, doc = "deviations from which on an error is an anomaly"})
local shortest = host.param("shortest", 2, {min = 1, doc = "values in a row that make an anomaly"})
local season = host.param("season", 12, {min = 1, doc = "values after which the series is alike"})
local out = host.param("out", "", {doc = "a CSV file for forecasts and scores"})
local seed = host.param("seed", 1)

torch.manual_seed(seed)
local times, values = read.series(file)
local fit_count = math.floor(share * #values)
local learned = fit_count - window - ahead + 1  -- rows that lie in the first part as a whole
read.at_least(file, "elnino.csv", learned, 5, "rows to learn from (share * values - window - ahead + 1)")
local series = torch.tensor(values)
local mean, deviation = series:narrow(0, 0, fit_count):mean(), series:narrow(0, 0, fit_count):std()
local scaled = (series - mean) / deviation

-- Row i: `window` values from place i on, and the value `ahead` places after the last of them.
local x = scaled:narrow(0, 0, #values - ahead):unfold(0, window, 1):unsqueeze(2)
local y = scaled:narrow(0, window + ahead - 1, #x)
local valid_count = learned // 5
local function rows(from, count) return x:narrow(0, from, count):contiguous(), y:narrow(0, from, count) end
local fit_set = data.TensorDataset(rows(0, learned - valid_count))
local valid_set = data.TensorDataset(rows(learned - valid_count, valid_count))

local model = Forecaster(1, hidden_size, 1)
train.fit {
  model = model, optimizer = torch.optim.AdamW(model:parameters(), {lr = lr, weight_decay = 0.01}), epochs = epochs,
  loss = F.smooth_l1_loss, clip_grad_norm = 1, verbose = 0,
  train = data.DataLoader(fit_set, {batch_size = 32, shuffle = true, seed = seed}),
  valid = data.DataLoader(valid_set, {batch_size = 4096}),
  callbacks = {train.EarlyStopping {monitor = "val_loss", patience = patience, restore_best_weights = true, verbose = true}},
}

-- What comes after the first part was not seen in training. To beat: the last value known, and that of a season before.
local _ <close> = torch.no_grad()
model:eval()
local errors = (y - model((rows(0, #x)))) * deviation
local function rmse(e) return e:narrow(0, learned, #e - learned):pow(2):mean():sqrt():item() end
print(("%s to %s, %d ahead: error (RMSE) %.2f"):format(times[fit_count + 1], times[#times], ahead, rmse(errors)))
local function compare(place, name)
  if place < 0 or place >= window then return end
  print(("  by the value %s: %.2f"):format(name, rmse((y - x:select(1, place):squeeze(1)) * deviation)))
end
compare(window - 1, "known last")
compare(window + ahead - 1 - season, "of a season before")

local runs, scores = Forecaster.anomalies(errors, errors:narrow(0, 0, learned), limit)
local function time_of(row) return times[row + window + ahead - 1] end
local found = 0
for _, run in ipairs(runs) do
  if run.last - run.first + 1 >= shortest then
    found = found + 1
    print(("anomaly: %s to %s, %+.1f deviations"):format(time_of(run.first), time_of(run.last), run.peak))
  end
end
if out ~= "" then
  local lines, wrong, score = {"time,value,forecast,score"}, errors:tolist(), scores:tolist()
  for i, error_here in ipairs(wrong) do
    local value = values[i + window + ahead - 1]
    lines[i + 1] = ("%s,%g,%.3f,%.2f"):format(time_of(i), value, value - error_here, score[i])
  end
  host.file.write_atomic(out, table.concat(lines, "\n") .. "\n")
end
print(("%d anomalies beyond %g deviations"):format(found, limit))
