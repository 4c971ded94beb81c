-- Metrics in train.fit: several numbers a metric, a log each; passes that give a metric nothing.
local test = require "test"
local torch = require "torch"
local train = require "train"

local BOXES <const> = {boxes = torch.tensor {{0.0, 0.0, 40.0, 40.0}}, labels = torch.tensor {1}}
local FOUND <const> = {boxes = BOXES.boxes, labels = BOXES.labels, scores = torch.tensor {0.5}}

-- Detects in validation alone; half of the images well.
local function detect(state, batch)
  if state.phase ~= "train" then
    state.output = {FOUND, batch[1]:item() > 0 and FOUND or {boxes = torch.ones(0, 4), labels = torch.ones(0), scores = torch.ones(0)}}
    state.target = {BOXES, BOXES}
  end
  return state.model and state.model(torch.ones(1, 1)):sum() or torch.tensor(1.0)
end

local function arguments(more)
  local model = torch.nn.Linear(1, 1)
  local given = {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1}), step = detect, epochs = 1, quiet = true,
    train = {{torch.tensor(1)}}, valid = {{torch.tensor(1)}, {torch.tensor(0)}}, metrics = {map = train.metrics.MeanAveragePrecision()}}
  for name, value in pairs(more or {}) do given[name] = value end
  return given
end

test.case("each number of a metric has a log, in validation where it was measured", function()
  local history = train.fit(arguments())
  test.near(history.val_map[1], 76 / 101, 1e-9)  -- 3 of 4 objects are found: 76 of the 101 points
  test.near(history.val_map_50[1], 76 / 101, 1e-9)
  test.near(history.val_map_medium[1], 76 / 101, 1e-9)
  test.equal({history.val_map_small[1], history.val_map_mar_1[1]}, {-1.0, 0.75})
  test.equal(table.concat(history:names(), " "), "loss val_loss val_map val_map_50 val_map_75 val_map_large val_map_mar_1 "
    .. "val_map_mar_10 val_map_mar_100 val_map_mar_large val_map_mar_medium val_map_mar_small val_map_medium val_map_small")
end)

test.case("a monitor knows the direction of each number", function()
  local stopping = train.EarlyStopping {monitor = "val_map_50", patience = 1, verbose = false}
  local history = train.fit(arguments {epochs = 9, callbacks = {stopping}})
  test.equal(#history.val_map_50, 2)
  -- A step of fit's own names all logs before the first step.
  local given = arguments {loss = torch.nn.functional.mse_loss, callbacks = {train.EarlyStopping {monitor = "val_map_5"}}}
  given.step = nil
  test.raises("unknown monitor 'val_map_5'.*val_map_50", train.fit, given)
end)

test.case("validation that measures nothing is an error", function()
  test.raises("the metric 'map' has nothing to measure (step must set state.output and state.target)", train.fit,
    arguments {step = function(state) return state.model(torch.ones(1, 1)):sum() end})
end)

test.case("train.evaluate gives every number", function()
  local scores = train.evaluate {data = {{torch.tensor(1)}}, step = detect, metrics = {found = train.metrics.MeanAveragePrecision()}}
  test.near(scores.found_50, 1, 1e-12)
  test.near(scores.found_mar_100, 1, 1e-12)
end)

test.case("BLEU of a translator's texts", function()
  local history = train.fit(arguments {metrics = {bleu = train.metrics.BLEU()}, step = function(state, batch)
    state.output, state.target = {"a b c d e"}, {batch[1]:item() > 0 and "a b c d e" or "a b c d x"}
    return state.model(torch.ones(1, 1)):sum()
  end})
  test.near(history.bleu[1], 100, 1e-9)
  test.near(history.val_bleu[1], 100 * (9 / 10 * 7 / 8 * 5 / 6 * 3 / 4) ^ 0.25, 1e-9)
end)
