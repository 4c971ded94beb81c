-- The test library's checks: what passes, what fails, and what a failure says.
local test = require "test"

-- The text of the failure of fn, which is expected to fail.
local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "the check passed")
  return tostring(err)
end

test.case("equal tells integers from floats and finds the first difference in tables", function()
  test.equal(1, 1)
  test.equal({a = {1, 2, {b = "x"}}}, {a = {1, 2, {b = "x"}}})
  test.equal(0 / 0, 0 / 0)
  test.raises("expected 1%.0.*got 1$", test.equal, 1, 1.0)
  test.raises("expected \"y\" at .a[3].b", test.equal, {a = {1, 2, {b = "x"}}}, {a = {1, 2, {b = "y"}}})
  test.raises("expected nil at .b", test.equal, {b = 1}, {})
  test.raises("expected 2 at [1]", test.equal, {}, {2})
end)

test.case("equal survives tables that hold themselves", function()
  local a, b = {1}, {1}
  a.self, b.self = a, b
  test.equal(a, b)
end)

test.case("near is absolute below 1 and relative above", function()
  test.near(1e-7, 0)
  test.near(1000.0005, 1000)
  test.near({1, 2.0}, {1.0, 2}, 0)
  test.raises("within 0.001", test.near, 0.002, 0, 1e-3)
  test.raises("expected nan", test.near, 1, 0 / 0)
end)

test.case("raises gives the error back and wants one", function()
  local err = test.raises("kind", error, {kind = "usage", message = "kind"} and setmetatable({kind = "usage"}, {
    __tostring = function() return "an error of a kind" end,
  }))
  test.equal(err.kind, "usage")
  test.raises("expected 2 (got 3)", error, "expected 2 (got 3)")  -- as it stands, though no Lua pattern
  test.raises("no error but 7, nil", test.raises, "x", function() return 7, nil end)
  test.raises('got ".*other', test.raises, "this", error, "other")
end)

test.case("truthy and falsy say what they got", function()
  test.equal(test.truthy(0), 0)
  test.falsy(false)
  test.truthy(failure(test.truthy, nil):find("got nil", 1, true))
  test.truthy(failure(test.falsy, 0, "the note"):find("the note", 1, true))
end)

test.case("a failed check points at the line of the test file", function()
  local ok, err = pcall(test.equal, 1, 2)
  local line = debug.getinfo(1, "l").currentline - 1
  test.falsy(ok)
  test.truthy(err.where:find("checks.lua:" .. line, 1, true), err.where)
end)

local kept
test.case("tmpdir gives a fresh folder", function()
  kept = test.tmpdir()
  test.falsy(test.tmpdir() == kept)
  local f = assert(io.open(kept .. "/x", "w"))
  f:write("x"):close()
end)

test.case("tmpdir is gone after its case", function()
  test.falsy(io.open(kept .. "/x"))
  test.falsy(os.rename(kept, kept))
end)

test.case("warnings gives the texts logged and puts the log back, also after an error", function()
  local log = require("host").log
  local warn = log.warn
  test.equal(test.warnings(function()
    log.warn("one")
    log.warn("two")
  end), {"one", "two"})
  test.equal(test.warnings(function() end), {})
  test.raises("broken", test.warnings, function() error("broken") end)
  test.equal(log.warn, warn)
end)
