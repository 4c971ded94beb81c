-- A training that begins in a run that was there before: what the run holds already is not logged twice.
local mlflow = require "mlflow"
local test = require "test"
local torch = require "torch"
local train = require "train"

local function case(name, fn)
  test.case(name, function()
    local folder = test.tmpdir()
    while mlflow.active_run() do mlflow.end_run() end
    mlflow.set_tracking_uri("sqlite:///" .. folder .. "/mlflow.db")
    fn()
    while mlflow.active_run() do mlflow.end_run() end
    test.truthy(mlflow.flush(20))
  end)
end

-- The same training each time it is asked for, but for its rate.
local function fit(epochs, lr, options)
  torch.manual_seed(1)
  local x, net = torch.randn(8, 2), torch.nn.Linear(2, 1)
  local data = {x, x:sum(1, true)}
  return train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = lr or 0.1}), loss = "mse", train = data,
    valid = data, batch_size = 4, epochs = epochs, quiet = true, attach = false, callbacks = {mlflow.callback(options or {})}}
end

-- "step value" of each row of a key, in order.
local function rows(run_id, key)
  test.truthy(mlflow.flush(20))
  local found = {}
  for i, point in ipairs(mlflow.get_metric_history(run_id, key)) do found[i] = {point.step, point.value} end
  table.sort(found, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end)
  return found
end

local function points(history, key)
  local found = {}
  for i, value in ipairs(history[key]) do found[i] = {i - 1, value} end
  return found
end

-- As after a kill: nothing of this process knows the run.
local function begin_again(run)
  run:end_run()
  test.truthy(mlflow.flush(20))
  return mlflow.start_run {run_id = run.info.run_id}
end

case("a training that is started again in its run before it had a checkpoint logs each step once", function()
  local run = mlflow.start_run()
  fit(2)
  run = begin_again(run)
  local history
  local warnings = test.warnings(function() history = fit(4) end)
  test.equal(#warnings, 0)
  for _, key in ipairs {"loss", "val_loss"} do test.equal(rows(run.info.run_id, key), points(history, key)) end
  test.equal(rows(run.info.run_id, "validation_loss"), points(history, "val_loss"))
end)

case("steps are logged once too, and no others than in a new run", function()
  local run = mlflow.start_run()
  fit(2, 0.1, {log_every_epoch = false, log_every_n_steps = 1})
  local first = rows(run.info.run_id, "loss")
  run = begin_again(run)
  fit(2, 0.1, {log_every_epoch = false, log_every_n_steps = 1})
  test.equal(rows(run.info.run_id, "loss"), first)
  test.equal(#first, 4)
end)

case("another value of the same step is logged too, with one warning", function()
  local run = mlflow.start_run()
  local before = fit(2)
  run = begin_again(run)
  local after
  local texts = test.warnings(function() after = fit(2, 0.01) end)
  local expected = {{0, before.loss[1]}, {0, after.loss[1]}, {1, before.loss[2]}, {1, after.loss[2]}}
  table.sort(expected, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end)
  test.equal(rows(run.info.run_id, "loss"), expected)
  test.equal(#texts, 1)
  test.truthy(texts[1]:find("another value", 1, true), texts[1])
end)

case("the store is not asked about a new run; two trainings of one process are both logged in either", function()
  local asked, ask = 0, mlflow.get_metric_history
  local run = mlflow.start_run()
  rawset(mlflow, "get_metric_history", function(...)
    asked = asked + 1
    return ask(...)
  end)
  local ok, err = pcall(function()
    fit(2)
    fit(2)
  end)
  rawset(mlflow, "get_metric_history", ask)
  test.truthy(ok, err)
  test.equal(asked, 0)
  test.equal(#rows(run.info.run_id, "loss"), 4)
  run:end_run()
  run = begin_again(mlflow.start_run())
  fit(2)
  fit(2)
  test.equal(#rows(run.info.run_id, "loss"), 4)
end)
