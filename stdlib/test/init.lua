-- The test library: `trainhost test FILES|DIRS` runs files made of `test.case("what it does", function() ... end)`.
local show = require "test.show"

local test = {}

local passed, failed, skipped = 0, 0, 0
local left_out = 0  -- cases that --budget had no time for
local filter, verbose
local ends  -- os.time() after which no case begins; nil: never
local file  -- the test file that runs: "tests/lua/nn/linear.lua"
local case_name  -- the case that runs, nil between cases
local folders = {}  -- made by test.tmpdir, removed after the case

-- What ends a case early: a check that failed, or a skip. Anything else thrown is an error of the code under test.
local Signal = {}
Signal.__index = Signal
Signal.__tostring = function(signal) return signal.message end

-- "tests/lua/nn/linear.lua:12": the innermost line of the test file, else of any file outside the standard library.
local function where()
  local outside
  for level = 2, math.huge do
    local info = debug.getinfo(level, "Sl")
    if not info then break end
    local line = ("%s:%d"):format(info.short_src, info.currentline)
    if info.source == "@" .. (file or "") then return line end
    if not outside and info.what ~= "C" and info.source:sub(1, 8) ~= "=stdlib/" then outside = line end
  end
  return outside or file or "?"
end

local function fail(message)
  error(setmetatable({message = message, where = where()}, Signal), 0)
end

local function expected(want, got, note)
  local text = ("expected %s\n     got %s"):format(want, got)
  fail(note and ("%s\n     %s"):format(note, text) or text)
end

local function remove(folder)
  os.execute("rm -rf -- '" .. folder .. "'")
end

local function on_error(err)
  if getmetatable(err) == Signal then return err end
  local kind, trace = type(err), nil
  if kind == "table" or kind == "userdata" then
    local ok, held = pcall(function() return err.trace end)
    trace = ok and held or nil
  end
  return {message = tostring(err), where = where(), trace = trace or debug.traceback(nil, 2)}
end

-- Runs fn as part of the file; counts and reports how it ended.
local function run(fn)
  local ok, err = xpcall(fn, on_error)
  for i = #folders, 1, -1 do
    remove(folders[i])
    folders[i] = nil
  end
  if ok then return true end
  if err.skip then
    skipped = skipped + 1
    io.write(("\n  skipped: %s: %s: %s"):format(file, case_name or "(whole file)", err.message))
  else
    failed = failed + 1
    io.write(("\n  FAIL %s: %s\n     %s"):format(err.where, case_name or "(outside of a case)", err.message))
    if err.trace then io.write("\n     ", (err.trace:gsub("\n", "\n     "))) end
  end
  return false
end

--- Runs one test; `name` says the behaviour ("stops after patience epochs").
---@param name string
---@param fn fun()
function test.case(name, fn)
  if case_name then error(("test.case: a case cannot stand inside another one, here '%s'"):format(case_name), 2) end
  if filter and not (name:find(filter, 1, true) or file:find(filter, 1, true)) then return end
  if ends and os.time() >= ends then
    left_out = left_out + 1
    return
  end
  case_name = name
  if verbose then
    io.write("\n  ", name)
    io.flush()
  end
  if run(fn) then passed = passed + 1 end
  case_name = nil
end

--- Checks that two values are equal: tables entry by entry, tensors in dtype, shape and every bit, 1 is not 1.0.
function test.equal(got, want, note)
  local path, a, b = show.difference(got, want)
  if path then expected(show.value(b) .. path, show.value(a), note) end
end

--- Checks that two numbers, tensors or tables of them differ by at most `tolerance` (default 1e-6; relative above 1).
function test.near(got, want, tolerance, note)
  local path, a, b = show.difference(got, want, tolerance or 1e-6)
  if path then
    expected(("%s%s within %g"):format(show.value(b), path, tolerance or 1e-6), show.value(a), note)
  end
end

--- Checks that `fn(...)` raises an error whose text holds `pattern` (as a Lua pattern or as it stands).
---@return any err the error value, for a look at its kind or hint
function test.raises(pattern, fn, ...)
  local results = table.pack(pcall(fn, ...))
  local want = ("an error with %q"):format(pattern)
  if results[1] then
    for i = 2, results.n do results[i - 1] = show.value(results[i]) end
    expected(want, results.n > 1 and "no error but " .. table.concat(results, ", ", 1, results.n - 1) or "no error")
  end
  local err = results[2]
  local message = tostring(err)
  local ok, found = pcall(string.find, message, pattern)
  if not (ok and found) and not message:find(pattern, 1, true) then expected(want, show.value(message)) end
  return err
end

--- The warnings that are logged while `fn()` runs, instead of being shown.
---@param fn fun()
---@return string[] texts
function test.warnings(fn)
  local log, texts = require("host").log, {}
  local warn = log.warn
  log.warn = function(text) texts[#texts + 1] = text end
  local ok, err = pcall(fn)
  log.warn = warn
  if not ok then error(err, 0) end
  return texts
end

--- Checks that a value is neither nil nor false, and returns it.
function test.truthy(value, note)
  if not value then expected("a true value", show.value(value), note) end
  return value
end

--- Checks that a value is nil or false.
function test.falsy(value, note)
  if value then expected("nil or false", show.value(value), note) end
end

--- Ends the case as skipped, or the whole file when called outside of a case.
---@param reason string
function test.skip(reason)
  error(setmetatable({message = reason, skip = true}, Signal), 0)
end

--- A fresh empty folder, removed when the case is over.
---@return string path
function test.tmpdir()
  local name = os.tmpname()
  os.remove(name)
  if not os.execute("mkdir -m 700 -- '" .. name .. "'") then error("test.tmpdir: cannot make " .. name, 2) end
  folders[#folders + 1] = name
  return name
end

local function run_file(path)
  file = path
  local counts, began = {passed, failed, skipped}, os.clock()
  local left_out_before = left_out
  io.write(path)
  io.flush()
  run(function()
    -- Names that a file sets without `local` stay its own.
    local chunk, message = loadfile(path, "t", setmetatable({}, {__index = _G}))
    if not chunk then fail(message) end
    chunk()
  end)
  local parts = {}
  for i, word in ipairs{"passed", "failed", "skipped"} do
    local n = ({passed, failed, skipped})[i] - counts[i]
    if n > 0 or i == 1 then parts[#parts + 1] = n .. " " .. word end
  end
  local long = failed + skipped > counts[2] + counts[3] or verbose
  io.write(long and "\n  " or ": ", table.concat(parts, ", "), (" (%.2f s)\n"):format(os.clock() - began))
  if passed + failed + skipped == counts[1] + counts[2] + counts[3] and not filter and left_out == left_out_before then
    failed = failed + 1
    io.write("  FAIL ", path, ": the file holds no test.case\n")
  end
  file = nil
end

-- The .lua files below a folder, in the order of their names.
local function files_below(folder)
  local list = assert(io.popen("find '" .. folder .. "' -name '*.lua' -type f | LC_ALL=C sort"))
  local files = {}
  for path in list:lines() do files[#files + 1] = path end
  list:close()
  return files
end

-- Puts a list in an order that depends on nothing but the seed.
local function shuffle(list, seed)
  math.randomseed(seed)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
  math.randomseed()
end

local usage = [=[
usage: trainhost test [--filter TEXT] [--verbose] [--budget SECONDS [--seed N]] FILES|DIRS
Runs the tests in the files, and in every .lua file below the folders. --filter: only cases whose name, or
whose file's name, holds TEXT. --verbose: names each case before it runs. --budget: a sample, the files in an
order given by the seed (default 1), in which no case begins after so many seconds.]=]

--- What `trainhost test ...` does.
---@param args string[]
---@return integer code the program's exit code: 0 if nothing failed
function test.main(args)
  local paths, budget, seed = {}, nil, 1
  local i = 1
  while i <= #args do
    local arg = args[i]
    if arg == "--filter" then
      i = i + 1
      filter = args[i]
    elseif arg == "--verbose" then
      verbose = true
    elseif arg == "--budget" or arg == "--seed" then
      i = i + 1
      local number = arg == "--seed" and math.tointeger(tonumber(args[i])) or arg == "--budget" and tonumber(args[i])
      if not number then
        io.stderr:write(("trainhost test: %s: expected a number, got %s\n"):format(arg, args[i] or "nothing"))
        return 1
      end
      if arg == "--seed" then seed = number else budget = number end
    elseif arg:sub(1, 1) == "-" then
      io.stderr:write(usage, "\n")
      return arg == "--help" and 0 or 1
    else
      paths[#paths + 1] = arg
    end
    i = i + 1
  end
  if #paths == 0 then
    io.stderr:write(usage, "\n")
    return 1
  end
  passed, failed, skipped, left_out = 0, 0, 0, 0
  local files = {}
  for _, path in ipairs(paths) do
    local found = path:sub(-4) == ".lua" and {path} or files_below(path)
    if #found == 0 then
      failed = failed + 1
      io.write("  FAIL ", path, ": no .lua file there\n")
    end
    table.move(found, 1, #found, #files + 1, files)
  end
  local run_files = #files
  if budget then
    shuffle(files, seed)
    ends = os.time() + budget
  end
  for n, each in ipairs(files) do
    if ends and os.time() >= ends then
      run_files = n - 1
      break
    end
    run_file(each)
  end
  if budget then
    io.write(("%d of %d files, seed %d; %d cases of them left out\n"):format(run_files, #files, seed, left_out))
  end
  io.write(("%d passed, %d failed, %d skipped\n"):format(passed, failed, skipped))
  io.flush()
  return failed == 0 and 0 or 1
end

return test
