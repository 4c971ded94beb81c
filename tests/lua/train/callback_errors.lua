-- reliability.md, row 20: what becomes of a callback that throws or takes too long, in every hook.
local test = require "test"
local torch = require "torch"
local train = require "train"
local hooks = require "train.hooks"
local host = require "host"
local nn, F = torch.nn, torch.nn.functional

-- A callback whose hook of `event` throws at its first `fails` calls.
local function thrower(event, errors, fails, thrown)
  local bad = {name = "Bad", errors = errors, calls = 0}
  bad["on_" .. event] = function(self)
    self.calls = self.calls + 1
    if self.calls <= fails then error(thrown or "boom", 0) end
  end
  return bad
end

-- errors -> {times that the hook throws, what ends the emit (nil: nothing), calls within the first emit, and in all after
-- a second, warnings}
local POLICIES <const> = {
  {"raise", 1, "boom$", 1, 2, 0},
  {"disable", 1, nil, 1, 1, 1},
  {"retry", 3, nil, 4, 5, 1},
  {"retry", 9, "boom %(called 4 times%)$", 4, 8, 1},
  {{"retry", times = 1}, 1, nil, 2, 3, 1},
  {{"retry", times = 2, otherwise = "disable"}, 9, nil, 3, 3, 2},
  {{"retry", times = 2, otherwise = "raise"}, 9, "boom %(called 3 times%)$", 3, 6, 1},
}

test.case("a throw in each hook under each policy", function()
  local rows = 0
  for _, event in ipairs(hooks.events) do
    for _, row in ipairs(POLICIES) do
      local errors, fails, message, first, second, warned = table.unpack(row, 1, 6)
      local bad, other = thrower(event, errors, fails), {name = "Other", calls = 0}
      other["on_" .. event] = function(self) self.calls = self.calls + 1 end
      local list, state = train.callback_list {bad, other}, {}
      local told = test.warnings(function()
        if message then
          test.raises(("callback Bad, on_%s: "):format(event) .. "boom", list.emit, list, event, state)
        else
          list:emit(event, state)
        end
        test.equal(bad.calls, first)
        test.equal(other.calls, message and 0 or 1, "the next callback hears, unless the error goes on")
        local ok, err = pcall(list.emit, list, event, state)
        if message and fails > 1 then test.truthy(tostring(err):find(message), tostring(err)) end
        if not message then test.truthy(ok, tostring(err)) end
        test.equal(bad.calls, second)
      end)
      test.equal(#told, warned, event)
      for _, text in ipairs(told) do
        test.truthy(text:find(("callback Bad, on_%s: boom"):format(event), 1, true), text)
      end
      rows = rows + 1
    end
  end
  test.equal(rows, #hooks.events * #POLICIES)
end)

-- The loss of each epoch of a training with this callback, and the weights after it.
local function training(callback, folder)
  torch.manual_seed(3)
  local net, x, y = nn.Linear(3, 1), torch.randn(8, 3), torch.randn(8, 1)
  local callbacks = {callback, train.ModelCheckpoint {filepath = folder .. "/{epoch}", save_freq = "1ep"}}
  local history = train.fit {
    model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), loss = F.mse_loss, epochs = 2, quiet = true,
    train = {{x, y}, {x, y}}, valid = {{x, y}}, callbacks = callbacks,
  }
  return history, net.weight:detach()
end

local HEARD_BY_FIT <const> = {"train_begin", "epoch_begin", "batch_begin", "before_backward", "after_backward", "before_step",
  "after_step", "batch_end", "valid_begin", "valid_batch_begin", "valid_batch_end", "valid_end", "epoch_end", "train_end",
  "checkpoint_save"}

test.case("a training goes on to the same weights where a callback is switched off or called again, in each hook", function()
  local folder = test.tmpdir()
  local reference, weight = training({name = "Good", on_epoch_end = function() end}, folder .. "/reference")
  for _, event in ipairs(HEARD_BY_FIT) do
    for _, errors in ipairs {"disable", "retry"} do
      local bad = thrower(event, errors, 1)
      test.warnings(function()
        local history, after = training(bad, folder .. "/" .. event .. errors)
        test.equal(history.loss, reference.loss, event)
        test.equal(after, weight, event)
      end)
      test.truthy(errors == "disable" and bad.calls == 1 or bad.calls > 1, event)
    end
    local err = test.raises("callback Bad, on_" .. event .. ": boom", training, thrower(event, "raise", 1), folder .. "/raise")
    test.falsy(tostring(err):find("ModelCheckpoint", 1, true), "the callback that threw is named alone")
  end
end)

test.case("an error in the exception hook does not hide the error that ended the training", function()
  for _, errors in ipairs {"raise", "disable", {"retry", times = 1}} do
    local bad = thrower("exception", errors, 9)
    test.warnings(function()
      test.raises("the cause", train.fit, {train = {{1}}, epochs = 1, quiet = true, step = function() error("the cause") end,
        callbacks = {bad}})
    end)
    test.equal(bad.calls, type(errors) == "table" and 2 or 1)
  end
end)

test.case("evaluate and predict keep to the policies", function()
  local net, x, y = nn.Linear(1, 1), torch.ones(2, 1), torch.ones(2, 1)
  for _, event in ipairs {"evaluate_begin", "evaluate_batch_begin", "evaluate_batch_end", "evaluate_end"} do
    local run = {model = net, data = {{x, y}}, loss = F.mse_loss, callbacks = {thrower(event, "disable", 9)}}
    test.warnings(function() test.truthy(train.evaluate(run).loss) end)
    run.callbacks = {thrower(event, nil, 9)}
    test.raises("callback Bad, on_" .. event .. ": boom", train.evaluate, run)
  end
end)

test.case("where Keras's self.model is looked for, the error says where the model is", function()
  local model = torch.nn.Linear(1, 1)
  local given = {model = model, optimizer = "sgd", loss = "mse", train = {{torch.ones(2, 1), torch.ones(2, 1)}}, epochs = 1, quiet = true}
  given.callbacks = {{on_epoch_end = function(self) return self.model.weight end}}
  local ok, err = pcall(train.fit, given)
  test.falsy(ok)
  test.truthy(tostring(err):find("(field 'model') (the model is state.model)", 1, true), tostring(err))
  given.callbacks[1].errors = "disable"
  local said = test.warnings(function() train.fit(given) end)
  test.truthy(said[1]:find("the model is state.model", 1, true), said[1])
end)

test.case("whatever is thrown, the callback and its hook are named", function()
  for _, thrown in ipairs {"text", 42, false} do
    local told = test.warnings(function()
      local bad = {name = "Bad", errors = "disable", on_epoch_end = function() error(thrown or nil) end}
      train.callback_list({bad}):emit("epoch_end", {})
    end)
    test.equal(#told, 1)
    test.truthy(told[1]:find("callback Bad, on_epoch_end: ", 1, true), told[1])
  end
  local own = {code = 7}
  local list = train.callback_list {{name = "Bad", on_epoch_end = function() error(own) end}}
  local ok, err = pcall(list.emit, list, "epoch_end", {})
  test.falsy(ok)
  test.truthy(rawequal(err, own), "a table of the script's own reaches its pcall as it was")
end)

test.case("an event within a hook is judged by the callback that threw, not by the one that told it", function()
  local outer = 0
  local list = train.callback_list {
    {name = "Outer", errors = {"retry", times = 5, otherwise = "disable"}, on_epoch_end = function(_, state)
      outer = outer + 1
      state:emit("checkpoint_save")
    end},
    {name = "Inner", on_checkpoint_save = function() error("boom") end},
  }
  local state = train.state {callbacks = list}
  local err = test.raises("callback Inner, on_checkpoint_save: boom", state.emit, state, "epoch_end")
  test.falsy(tostring(err):find("Outer", 1, true))
  test.equal(outer, 1)
end)

test.case("state owners raise and loggers are switched off by themselves; both may be told otherwise", function()
  local folder = test.tmpdir()
  local function policy_of(callback) return train.callback_list({callback}).entries[1].errors.verdict end
  local makers = {
    raise = {train.EarlyStopping {}, train.ModelCheckpoint {filepath = folder .. "/x"}, train.ReduceLROnPlateau {},
      train.LearningRateScheduler(print), train.TerminateOnNaN {}, train.History(), train.LambdaCallback {on_epoch_end = print},
      train.on("epoch_end", print), {on_epoch_end = print}},
    disable = {train.CSVLogger(folder .. "/log.csv"), train.Progress {}, {group = "logging", on_epoch_end = print}},
  }
  for verdict, callbacks in pairs(makers) do
    for _, callback in ipairs(callbacks) do test.equal(policy_of(callback), verdict, callback.name) end
  end
  test.equal(policy_of(train.EarlyStopping {errors = "disable"}), "disable")
  test.equal(policy_of(train.CSVLogger {filename = folder .. "/log.csv", errors = "raise"}), "raise")
  test.equal(policy_of(train.on("epoch_end", {errors = "disable"}, print)), "disable")
  test.equal(train.callback_list({train.LambdaCallback {errors = {"retry", times = 7}, on_epoch_end = print}})
    .entries[1].errors, {times = 7, verdict = "raise"})
  test.equal(train.callback_list({train.CSVLogger {filename = folder .. "/log.csv", errors = "retry"}}).entries[1].errors,
    {times = 3, verdict = "disable"}, "in the end as the group does")
end)

test.case("an interruption passes every policy", function()
  for _, errors in ipairs {"disable", "retry"} do
    local calls = 0
    local list = train.callback_list {{errors = errors, on_epoch_end = function()
      calls = calls + 1
      error({kind = "interrupted", message = "interrupted"})
    end}}
    test.falsy(pcall(list.emit, list, "epoch_end", {}))
    test.equal(calls, 1)
  end
end)

-- A list of one callback whose hook takes `seconds` of a clock that only it moves.
local function slow(seconds, fields)
  local now = 0
  fields.name, fields.calls = "Slow", 0
  fields.on_epoch_end = function(self)
    self.calls = self.calls + 1
    now = now + seconds
  end
  local state = {clock = function() return now end}
  return train.callback_list {fields}, state, fields, function(more) now = now + more end
end

test.case("a call beyond its budget warns once with the callback's name and the times, and goes on", function()
  local list, state, callback = slow(0.2, {budget = "50ms"})
  local told = test.warnings(function()
    for _ = 1, 5 do list:emit("epoch_end", state) end
  end)
  test.equal(told, {"callback Slow, on_epoch_end: took 200ms, its budget is 50ms a call; this is said once"})
  test.equal(callback.calls, 5)
end)

test.case("where an error would switch the callback off, so does an overrun", function()
  for _, fields in ipairs {{errors = "disable"}, {group = "logging"}, {errors = {"retry", otherwise = "disable"}}} do
    fields.budget = "2s"
    local list, state, callback = slow(3, fields)
    local told = test.warnings(function()
      for _ = 1, 5 do list:emit("epoch_end", state) end
    end)
    test.equal(told, {"callback Slow, on_epoch_end: took 3s, its budget is 2s a call; callback Slow is switched off, " ..
      "the training goes on"})
    test.equal(callback.calls, 1)
  end
end)

test.case("within the budget nothing is said", function()
  local list, state, callback = slow(0.04, {budget = "50ms", errors = "disable"})
  test.equal(test.warnings(function()
    for _ = 1, 5 do list:emit("epoch_end", state) end
  end), {})
  test.equal(callback.calls, 5)
end)

test.case("a share is one of the training's time, all hooks of the callback together", function()
  local list, state, callback, pass = slow(0.4, {budget = "5%"})
  local told = test.warnings(function()
    list:emit("train_begin", state)
    for _ = 1, 3 do
      pass(9.6)  -- 4 of 100
      list:emit("epoch_end", state)
    end
  end)
  test.equal(told, {})
  told = test.warnings(function()
    for _ = 1, 3 do list:emit("epoch_end", state) end
  end)
  test.equal(told, {"callback Slow: its hooks took 1.6s of 30.4s (5.26%), its budget is 5% of the training; this is said once"})
  test.equal(callback.calls, 6)
end)

test.case("what a callback does before the first epoch has ended is no share of a training yet", function()
  local now = 0
  local list = train.callback_list {{budget = "5%", name = "Eager",
    on_train_begin = function() now = now + 0.5 end, on_batch_end = function() now = now + 0.01 end}}
  local state = {clock = function() return now end}
  test.equal(test.warnings(function()
    list:emit("train_begin", state)
    for _ = 1, 3 do list:emit("batch_end", state) end
  end), {})
end)

test.case("a budget holds within train.fit, by the real clock too", function()
  local calls = 0
  local told = test.warnings(function()
    train.fit {train = {{1}}, epochs = 4, quiet = true, step = function() return 1.0 end, callbacks = {
      train.on("epoch_end", {budget = "1ms", name = "Sleepy", errors = "disable"}, function()
        calls = calls + 1
        host.sleep(0.01)
      end)}}
  end)
  test.equal({#told, calls}, {1, 1})
  test.truthy(told[1]:find("^callback Sleepy, on_epoch_end: took .*ms, its budget is 1ms a call; callback Sleepy is switched off"))
end)

test.case("a budget or a policy that is none is refused with what may stand there", function()
  local function list(fields)
    fields.name, fields.on_epoch_end = "Mine", print
    return train.callback_list {fields}
  end
  for _, budget in ipairs {50, "fast", "5ep", "0%", "101%", "50", {}, true} do
    test.raises('callback Mine: budget must be the time of one call as "50ms" or a share of the training as "5%", got', list,
      {budget = budget})
    test.raises("train.on: budget must be", train.on, "epoch_end", {budget = budget}, print)
  end
  for _, errors in ipairs {"ignore", 3, true, {}, {"raise"}, {"retry", times = 0}, {"retry", times = 1.5}, {"retry", 3},
    {"retry", otherwise = "retry"}, {"retry", after = 2}} do
    test.raises('callback Mine: errors must be "raise", "disable", "retry" or {"retry", times = 3, otherwise = "disable"}, got',
      list, {errors = errors})
  end
  for _, budget in ipairs {"50ms", "2s", "1min", "5%", "0.5 %", "100%"} do list {budget = budget} end
end)

test.case("a callback without a name is called by the place of its hook", function()
  local list = train.callback_list {{on_epoch_end = function() error("boom", 0) end}, {on_epoch_end = function() end}}
  local err = test.raises("boom", function() list:emit("epoch_end", {}) end)
  test.truthy(tostring(err):find("callback of .-callback_errors.lua:%d+, on_epoch_end: boom"), tostring(err))
  test.equal({list.entries[1].name, list.entries[2].name}, {"callback", "callback#2"})
  test.raises("callback of .-callback_errors.lua:%d+: unknown hook 'on_epoch_emd'", train.callback_list,
    {{on_epoch_emd = function() end}})
  test.raises("callback of number 1: name must be text, got number 3", train.callback_list, {{name = 3, on_epoch_end = print}})
end)
