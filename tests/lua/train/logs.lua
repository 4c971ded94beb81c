-- state.logs: ordered, lazy, writable.
local test = require "test"
local torch = require "torch"
local logs = require "train.logs"

test.case("entries come in insertion order", function()
  local l = logs.new()
  l.loss = 1
  l.accuracy = 2
  l.alpha = 3
  l.loss = 4
  local seen = {}
  for key, value in pairs(l) do seen[#seen + 1] = key .. "=" .. value end
  test.equal(seen, {"loss=4", "accuracy=2", "alpha=3"})
  test.equal(tostring(l), "loss=4 accuracy=2 alpha=3")
  test.equal(logs.names(l), {"loss", "accuracy", "alpha"})
  test.equal(logs.copy(l), {loss = 4, accuracy = 2, alpha = 3})
end)

test.case("a lazy entry is computed once, at the first read", function()
  local l, calls = logs.new(), 0
  logs.set_lazy(l, "loss", function() calls = calls + 1 return calls * 10 end)
  test.equal(calls, 0)
  test.equal({l.loss, l.loss}, {10, 10})
  logs.stale(l, "loss")
  test.equal(calls, 1, "stale does not compute")
  test.equal(l.loss, 20)
end)

test.case("what a user writes stands", function()
  local l = logs.new()
  logs.set_lazy(l, "loss", function() return 1 end)
  l.loss = 7
  logs.stale(l, "loss")
  test.equal(l.loss, 7)
  l.loss = nil
  test.equal(l.loss, nil)
end)

test.case("freeze reads all, and what is behind may then change", function()
  local l, value = logs.new(), 1
  logs.set_lazy(l, "a", function() return value end)
  logs.freeze(l)
  value = 2
  logs.stale(l, "a")
  test.equal(l.a, 1)
end)

test.case("a tensor is read as a number", function()
  local l = logs.new()
  l.norm = torch.tensor(2.5)
  test.equal(l.norm, 2.5)
end)

test.case("a log that is a tensor of several numbers is named", function()
  local values = logs.new()
  values.norms = torch.ones(2)
  local err = test.raises("the log 'norms' must be one number, got Tensor%[2%] float32", function() return values.norms end)
  test.equal(err.kind, "usage")
  logs.set_lazy(values, "later", function() return torch.ones(3) end)
  test.raises("the log 'later' must be one number", function() return values.later end)
end)
