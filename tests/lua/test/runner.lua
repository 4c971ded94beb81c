-- The test library's runner, run on small files of its own in a second Lua program.
local test = require "test"

-- Runs `trainhost test` on files {name = text}; returns what it printed and its exit code.
local function run(files, options)
  local folder = test.tmpdir()
  for name, text in pairs(files) do
    local f = assert(io.open(folder .. "/" .. name, "w"))
    f:write('local test = require "test"\n', text):close()
  end
  local program = os.getenv("TRAINHOST") or "build/release/trainhost"
  if not io.open(program) then test.skip("no program at " .. program) end
  local pipe = assert(io.popen(("'%s' test %s '%s' 2>&1"):format(program, options or "", folder)))
  local text = pipe:read("a")
  local _, _, code = pipe:close()
  return text, code
end

local function holds(text, piece) test.truthy(text:find(piece, 1, true), "'" .. piece .. "' is not in:\n" .. text) end

test.case("counts what passed, failed and was skipped, and exits with 1", function()
  local text, code = run{
    ["a.lua"] = [[
test.case("adds", function() test.equal(1 + 1, 2) end)
test.case("breaks", function() test.equal(1 + 1, 3) end)
test.case("waits", function() test.skip("no moon") end)
test.case("throws", function() error("boom") end)]],
    ["b.lua"] = 'test.case("is fine", function() end)',
  }
  holds(text, "2 passed, 2 failed, 1 skipped\n")
  holds(text, "a.lua:3: breaks\n     expected 3\n     got 2")
  holds(text, "a.lua: waits: no moon")
  holds(text, "a.lua:5: boom")
  holds(text, "stack traceback")
  test.equal(code, 1)
end)

test.case("exits with 0 when nothing failed", function()
  local text, code = run{["a.lua"] = 'test.case("is fine", function() end)'}
  holds(text, "1 passed, 0 failed, 0 skipped\n")
  test.equal(code, 0)
end)

test.case("a syntax error, an error outside of a case and an empty file are failures", function()
  local text, code = run{
    ["a.lua"] = "local = 1",
    ["b.lua"] = 'test.case("is fine", function() end) error("late")',
    ["c.lua"] = "local x = 1",
  }
  holds(text, "1 passed, 3 failed, 0 skipped\n")
  holds(text, "a.lua:2: <name> expected")
  test.equal(code, 1)
end)

test.case("filters cases by a part of their name", function()
  local text = run({
    ["a.lua"] = 'test.case("one", function() end) test.case("two", function() error("x") end)',
  }, "--filter one")
  holds(text, "1 passed, 0 failed, 0 skipped\n")
end)

test.case("a global of one file is not seen by the next", function()
  local text = run{
    ["a.lua"] = 'leak = 1 test.case("sets", function() test.equal(leak, 1) end)',
    ["b.lua"] = 'test.case("sees none", function() test.equal(leak, nil) end)',
  }
  holds(text, "2 passed, 0 failed, 0 skipped\n")
end)

test.case("skip outside of a case skips the whole file", function()
  local text = run{["a.lua"] = 'test.skip("no GPU") test.case("never", error)'}
  holds(text, "0 passed, 0 failed, 1 skipped\n")
end)

test.case("a budget runs a sample in the order that the seed gives, and says what was left out", function()
  local files = {}
  for letter in ("abcdefgh"):gmatch(".") do files[letter .. ".lua"] = 'test.case("is fine", function() end)' end
  local function order(options)
    local text, code = run(files, options)
    test.equal(code, 0)
    local names = {}
    for name in text:gmatch("(%a)%.lua: 1 passed") do names[#names + 1] = name end
    return table.concat(names), text
  end
  test.equal(order(), "abcdefgh")
  local first, text = order("--budget 100 --seed 5")
  holds(text, "8 of 8 files, seed 5; 0 cases of them left out\n8 passed, 0 failed, 0 skipped\n")
  test.equal(order("--budget 100 --seed 5"), first)
  test.truthy(order("--budget 100 --seed 6") ~= first or order("--budget 100 --seed 7") ~= first)
  holds(select(2, order("--budget 0")), "0 of 8 files, seed 1; 0 cases of them left out\n0 passed, 0 failed, 0 skipped\n")
  local late = run({["a.lua"] = 'test.case("a", function() local t = os.time() while os.time() < t + 2 do end end)\n'
    .. 'test.case("b", error) test.case("c", error)'}, "--budget 1")
  holds(late, "1 of 1 files, seed 1; 2 cases of them left out\n1 passed, 0 failed, 0 skipped\n")
  local refused, code = run(files, "--budget soon")
  holds(refused, "trainhost test: --budget: expected a number, got soon")
  test.equal(code, 1)
end)
