-- Events: their order, aliases, groups, errors that name callback and hook.
local test = require "test"
local train = require "train"
local hooks = require "train.hooks"
local host = require "host"
local torch = require "torch"

local function data(n)
  local list = {}
  for i = 1, n do list[i] = {i} end
  return list
end

local function fit(arguments)
  arguments.train = arguments.train or data(2)
  arguments.epochs = arguments.epochs or 1
  arguments.quiet = true
  arguments.step = arguments.step or function() return 1.0 end
  return train.fit(arguments)
end

test.case("events come in their order", function()
  local trace = {}
  local spy = {}
  for _, event in ipairs(hooks.events) do
    spy["on_" .. event] = function(_, state) trace[#trace + 1] = ("%s %d.%d"):format(event, state.epoch, state.batch) end
  end
  fit {epochs = 2, valid = data(1), callbacks = {spy}}
  local function epoch(e)
    return {
      "epoch_begin E.0", "batch_begin E.0", "batch_end E.0", "batch_begin E.1", "batch_end E.1",
      "valid_begin E.0", "valid_batch_begin E.0", "valid_batch_end E.0", "valid_end E.0", "epoch_end E.1",
    }, e
  end
  local want = {"train_begin 0.0"}
  for e = 0, 1 do
    for _, line in ipairs((epoch(e))) do want[#want + 1] = (line:gsub("E", tostring(e))) end
  end
  want[#want + 1] = "train_end 1.1"
  test.equal(trace, want)
end)

test.case("Keras's names are heard, on_test_* in validation", function()
  local trace = {}
  local function note(name) return function() trace[#trace + 1] = name end end
  fit {valid = data(1), callbacks = {{
    on_train_batch_begin = note "train_batch_begin", on_train_batch_end = note "train_batch_end",
    on_test_begin = note "test_begin", on_test_batch_begin = note "test_batch_begin",
    on_test_batch_end = note "test_batch_end", on_test_end = note "test_end",
  }}}
  test.equal(table.concat(trace, " "), "train_batch_begin train_batch_end train_batch_begin train_batch_end " ..
    "test_begin test_batch_begin test_batch_end test_end")
end)

test.case("a name and its alias together are an error", function()
  local function f() end
  test.raises("'on_batch_end' and 'on_train_batch_end' are the same hook", fit,
    {callbacks = {{name = "Both", on_batch_end = f, on_train_batch_end = f}}})
  test.raises("are the same hook", fit, {callbacks = {{on_valid_end = f, on_test_end = f}}})
end)

test.case("a misspelt hook is an error with the nearest name", function()
  test.raises("callback Mine: unknown hook 'on_epoch_ends'; did you mean 'on_epoch_end'", fit,
    {callbacks = {{name = "Mine", on_epoch_ends = function() end}}})
  test.raises("callback Mine: hook 'on_epoch_end' must be a function, got number", fit,
    {callbacks = {{name = "Mine", on_epoch_end = 3}}})
  test.raises("callback Empty has no hook", fit, {callbacks = {{name = "Empty"}}})
  test.raises("callbacks[1] must be a table with hooks, got function", fit, {callbacks = {function() end}})
  test.raises("callbacks must be a list of callbacks", fit, {callbacks = {on_epoch_end = function() end}})
end)

test.case("within a hook: user callbacks, policies, logging, checkpoint", function()
  local trace = {}
  local function spy(name, group)
    return {name = name, group = group, on_epoch_end = function() trace[#trace + 1] = name end}
  end
  fit {callbacks = {spy("save", "checkpoint"), spy("log", "logging"), spy("a"), spy("stop", "policy"), spy("b"),
    spy("measure", "metrics")}}
  test.equal(table.concat(trace, " "), "measure a b stop log save")
  test.raises("unknown group 'last'", fit, {callbacks = {spy("x", "last")}})
end)

test.case("a later callback sees the log that an earlier one wrote", function()
  local seen
  local history = fit {callbacks = {
    {on_epoch_end = function(_, state) state.logs.mine = 42 end},
    {on_epoch_end = function(_, state) seen = state.logs.mine end},
  }}
  test.equal(seen, 42)
  test.equal(history.mine, {42})
end)

test.case("a class with inherited hooks is a callback", function()
  local calls = 0
  local Base = {}
  Base.__index = Base
  function Base:on_epoch_end() calls = calls + 1 end
  local Derived = setmetatable({__name = "Derived"}, Base)
  Derived.__index = Derived
  fit {epochs = 3, callbacks = {setmetatable({}, Derived)}}
  test.equal(calls, 3)
end)

test.case("a throwing callback names callback and hook, and the exception hook hears of it", function()
  local heard
  local err = test.raises("callback Bad, on_batch_end: boom", fit, {callbacks = {
    {name = "Bad", on_batch_end = function() error("boom") end},
    {name = "Ear", on_exception = function(_, state) heard = tostring(state.error) end},
  }})
  test.truthy(tostring(err):find("hooks.lua:%d+"), "points at the line that threw")
  test.truthy(heard:find("callback Bad, on_batch_end: boom", 1, true))
end)

test.case("errors = disable switches a callback off and goes on", function()
  local bad, other = 0, 0
  fit {epochs = 3, callbacks = {
    {name = "Bad", errors = "disable", on_epoch_end = function() bad = bad + 1 error("expected by the test") end},
    {on_epoch_end = function() other = other + 1 end},
  }}
  test.equal({bad, other}, {1, 3})
end)

test.case("loggers are switched off by default, others raise", function()
  local calls = 0
  fit {epochs = 3, callbacks = {{name = "Log", group = "logging", on_epoch_end = function()
    calls = calls + 1
    error("expected by the test")
  end}}}
  test.equal(calls, 1)
  test.raises('errors must be "raise", "disable", "retry" or', fit,
    {callbacks = {{errors = "ignore", on_epoch_end = function() end}}})
end)

test.case("names of repeats get a number, and state is kept by name", function()
  local function counter() return {name = "Count", n = 0, _private = 1, on_epoch_end = function(self) self.n = self.n + 1 end} end
  local first, second = counter(), counter()
  local list = train.callback_list {first, second}
  second.n = 5
  test.equal(list:state_dict(), {Count = {name = "Count", n = 0}, ["Count#2"] = {name = "Count", n = 5}})
  local again = counter()
  train.callback_list({again}):load_state_dict {Count = {n = 7}, Other = {n = 1}}
  test.equal(again.n, 7)
end)

test.case("a field that no checkpoint can keep is an error before training", function()
  test.raises("callback Mine: the field 'handle.file' cannot be kept in a checkpoint", fit,
    {callbacks = {{name = "Mine", handle = {file = io.stdout}, on_epoch_end = function() end}}})
  fit {callbacks = {{name = "Mine", _handle = io.stdout, on_epoch_end = function() end}}}
end)

test.case("tensors in a callback's fields are state as numbers are", function()
  local function best() return {name = "Best", on_epoch_end = function() end} end
  local first, again, tensor = best(), best(), torch.tensor {1.0, 2.0}
  first.best, first.nested = tensor, {list = {tensor}}
  local list = train.callback_list {first}
  local folder = test.tmpdir() .. "/state"
  host.checkpoint.save(folder, {tensors = {callbacks = list:state_dict()}})
  train.callback_list({again}):load_state_dict(host.checkpoint.load(folder).tensors.callbacks)
  test.equal(again.best, tensor)
  test.equal(again.nested, {list = {tensor}})
  for _, other in ipairs {torch.float32, torch.Generator()} do
    first.best = other
    test.raises("the field 'best' cannot be kept in a checkpoint", train.callback_list, {first})
  end
end)

test.case("LambdaCallback calls its functions with the state", function()
  local seen
  fit {callbacks = {train.LambdaCallback {on_epoch_end = function(state) seen = state.epoch end}}}
  test.equal(seen, 0)
  test.raises("unknown hook 'on_epoch_ends'; did you mean 'on_epoch_end'", train.LambdaCallback, {on_epoch_ends = print})
end)

test.case("the emitter serves without fit", function()
  local seen = {}
  local list = train.callback_list {train.on("epoch_end", {every = 2}, function(state) seen[#seen + 1] = state.epoch end)}
  for epoch = 0, 4 do list:emit("epoch_end", {epoch = epoch}) end
  test.equal(seen, {1, 3})
end)

test.case("false in the list is passed over, a hole is an error", function()
  local seen = 0
  local count = {on_epoch_end = function() seen = seen + 1 end}
  fit {callbacks = {false, count}}
  test.equal(seen, 1)
  test.raises("one is nil", fit, {callbacks = {nil, count}})
end)

test.case("of several mistakes the first in sorted order is named", function()
  for _ = 1, 20 do
    local wrong = {on_b = print, on_a = print}
    for _ = 1, 5 do wrong["on_x" .. math.random(1000)] = print end
    test.raises("unknown hook 'on_a'", train.LambdaCallback, wrong)
    local filter = {a = 1}
    for _ = 1, 5 do filter["x" .. math.random(1000)] = 1 end
    test.raises("unknown filter 'a'", train.on, "epoch_end", filter, print)
    test.raises("metric 'a' must have update", fit, {metrics = {b = 1, a = 1, c = 1, d = 1}})
    test.raises("the field 'a' cannot be kept", fit,
      {callbacks = {{on_epoch_end = print, b = io.stdout, a = io.stdout, c = io.stdout}}})
  end
end)

test.case("a list of callbacks checks a plain table before its first event", function()
  local list = train.callback_list{train.EarlyStopping{monitor = "loss", patience = 1}}
  local state = {}
  for epoch, loss in ipairs{1.0, 2.0, 3.0} do
    state.epoch, state.logs = epoch - 1, {loss = loss}
    list:emit("epoch_end", state)
  end
  test.truthy(state.stopping)
  test.raises("the direction of monitor 'score' is unknown", function()
    train.callback_list{train.EarlyStopping{monitor = "score"}}:emit("train_begin", {})
  end)
  test.raises("emit: expected a state after the event, got nil", function() list:emit("epoch_end") end)
end)
