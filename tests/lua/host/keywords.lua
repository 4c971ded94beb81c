-- Keyword tables: defaults, required names, unknown names.
local test = require "test"
local keywords = require "host.keywords"

local defaults = {lr = 1e-3, momentum = 0, nesterov = false, monitor = keywords.none, params = keywords.required}

test.case("fills defaults into a new table and keeps what was given", function()
  local given = {params = 1, lr = 0.1}
  local result = keywords.check("SGD", given, defaults)
  test.equal(result, {lr = 0.1, momentum = 0, nesterov = false, params = 1})
  test.equal(given, {params = 1, lr = 0.1})
  test.equal(result.monitor, nil)
  test.equal(keywords.check("SGD", {params = 1, monitor = "loss"}, defaults).monitor, "loss")
end)

test.case("a false that is given is not replaced by a default", function()
  test.equal(keywords.check("f", {flag = false}, {flag = true}).flag, false)
end)

test.case("an unknown name is a usage error with the valid names and the nearest", function()
  local err = test.raises("SGD: unknown keyword string \"momentun\", expected one of lr, momentum, monitor, nesterov, params",
    keywords.check, "SGD", {params = 1, momentun = 0.9}, defaults)
  test.equal(err.kind, "usage")
  test.equal(err.hint, "did you mean 'momentum'?")
end)

test.case("a required name that is absent is a usage error", function()
  test.raises("SGD: keyword 'params' is required", keywords.check, "SGD", nil, defaults)
end)

test.case("what is no table is refused", function()
  test.raises("SGD: expected a table of keywords, got number 3", keywords.check, "SGD", 3, defaults)
end)

test.case("a last table is keywords if it is not empty and all its keys are strings", function()
  test.truthy(keywords.is{a = 1})
  test.falsy(keywords.is{})
  test.falsy(keywords.is{1, a = 2})
  test.falsy(keywords.is(setmetatable({a = 1}, {})))
  test.falsy(keywords.is("x"))
  local positional, named = keywords.split(1, nil, {dim = 2})
  test.equal(positional, {1, nil, n = 2})
  test.equal(named, {dim = 2})
  positional, named = keywords.split({1, 2})
  test.equal(positional, {{1, 2}, n = 1})
  test.equal(named, nil)
end)
