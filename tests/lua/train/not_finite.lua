-- A loss that is not finite is spoken of once, without a callback, and where it is read anyway.
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn = torch.nn

local X = torch.ones(12, 1)

-- Trains 3 batches an epoch; the loss of step `at` is `value`.
local function warnings(at, value, callbacks, more)
  local model = nn.Linear(1, 1)
  return test.warnings(function()
    local given = {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.0}), train = {X, X}, batch_size = 4,
      epochs = 3, quiet = true, callbacks = callbacks,
      step = function(state, batch)
        local loss = nn.functional.mse_loss(state.model(batch[1]), batch[2])
        if state.phase == "train" and state.step == at then loss = loss * 0 + value end
        return loss
      end}
    for key, item in pairs(more or {}) do given[key] = item end
    train.fit(given)
  end)
end

test.case("one warning with epoch and batch, and what finds the cause", function()
  local said = warnings(4, 0 / 0)
  test.equal(said, {"the loss is nan at epoch 2, batch 2; train.NanGuard() finds where it comes from and can leave such steps out"})
  test.truthy(warnings(0, math.huge)[1]:find("the loss is inf at epoch 1, batch 1;", 1, true))
  test.truthy(warnings(0, -math.huge)[1]:find("the loss is -inf at epoch 1, batch 1;", 1, true))
  test.equal(warnings(99, 0 / 0), {})
end)

test.case("not beside a callback that speaks of it", function()
  test.equal(warnings(4, 0 / 0, {train.TerminateOnNaN()}), {})
end)

test.case("of a validation and of train.evaluate", function()
  local nan = torch.full({2, 1}, 0 / 0)
  local said = warnings(99, 0, nil, {valid = {{nan, nan}}})
  test.equal(#said, 1)
  test.truthy(said[1]:find("the val_loss is nan at epoch 1, batch 1", 1, true), said[1])
  said = test.warnings(function() train.evaluate {model = nn.Identity(), data = {{nan, nan}}, loss = "mse"} end)
  test.equal(said, {"the loss is nan at batch 1"})
end)

test.case("sums of another device are looked at when the logs are read", function()
  local aggregate = require "train.aggregate".new({}, "", {})
  local logs = require("train.logs").new()
  local state = {epoch = 1, batch = 6, train = {}, optimizer = {}, callback_list = train.callback_list {}}
  aggregate:begin(logs, state)
  local said = test.warnings(function()
    aggregate:update(1.0, nil, 1)
    aggregate.loss.total = torch.tensor(0 / 0, {dtype = torch.float64})  -- as it is on a device
    require("train.logs").stale(logs, "loss")
    aggregate:update(torch.tensor(1.0), nil, 1)
  end)
  test.equal(said, {})
  said = test.warnings(function() return logs.loss end)
  test.truthy(said[1]:find("the loss is nan by epoch 2, batch 7", 1, true), said[1])
end)

test.case("a log that is no number is printed as nan, whatever its sign", function()
  local logs = require "train.logs"
  local shown = logs.new()
  logs.set_lazy(shown, "lazy", function() return 0 / 0 end)
  logs.set_lazy(shown, "tensor", function() return torch.tensor(0 / 0) end)
  logs.set_lazy(shown, "no", function() return false end)
  test.equal(shown.no, false)
  shown.plain, shown.minus, shown.flag = 0 / 0, -(0 / 0), false
  for _, name in ipairs {"lazy", "tensor", "plain", "minus"} do test.equal(tostring(shown[name]), "nan", name) end
  test.equal(shown.flag, false)
  test.warnings(function()
    local history = train.fit {train = {{1}}, epochs = 1, quiet = true, step = function() return 0 / 0 end}
    test.equal(("%g"):format(history.loss[1]), "nan")
  end)
end)

test.case("the progress shows nan without a sign", function()
  local lines = {}
  test.warnings(function()
    train.fit {train = {{1}}, epochs = 2, quiet = true, step = function() return -(0 / 0), {part = 0 / 0} end,
      callbacks = {train.Progress {bar = false, write = function(text) lines[#lines + 1] = text end}}}
  end)
  test.truthy(lines[1]:find("loss nan  part nan", 1, true), lines[1])
  test.falsy(table.concat(lines):find("-nan", 1, true))
end)
