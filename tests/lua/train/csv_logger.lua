-- train.CSVLogger.
local test = require "test"
local train = require "train"
local host = require "host"

-- Logs one table of values per epoch.
local function log(arguments, epochs)
  train.fit {
    train = {{1}}, epochs = #epochs, quiet = true,
    step = function(state) return state.epoch / 4, epochs[state.epoch + 1] end,
    callbacks = {train.CSVLogger(arguments)},
  }
end

test.case("writes epochs from 0 and sorted names", function()
  local path = test.tmpdir() .. "/deep/log.csv"
  log(path, {{b = 1, a = 0.1}, {b = 2, a = 1e-5}})
  test.equal(host.file.read(path), "epoch,a,b,loss\n0,0.1,1.0,0.0\n1,1e-05,2.0,0.25\n")
end)

test.case("a late name widens the file and missing values are NA", function()
  local path = test.tmpdir() .. "/log.csv"
  log({filename = path, separator = ";"}, {{b = 1}, {a = 5, b = 2}, {}})
  test.equal(host.file.read(path), "epoch;a;b;loss\n0;NA;1.0;0.0\n1;5.0;2.0;0.25\n2;NA;NA;0.5\n")
end)

test.case("append goes on with the columns that are there", function()
  local path = test.tmpdir() .. "/log.csv"
  log(path, {{b = 1}})
  log({filename = path, append = true}, {{b = 3, c = 4}})
  test.equal(host.file.read(path), "epoch,b,c,loss\n0,1.0,NA,0.0\n0,3.0,4.0,0.0\n")
  log(path, {{}})
  test.equal(host.file.read(path), "epoch,loss\n0,0.0\n", "without append the file begins anew")
end)

test.case("a name that ends in .jsonl gives JSON lines", function()
  local path = test.tmpdir() .. "/log.jsonl"
  log(path, {{b = 0 / 0}, {}})
  test.equal(host.file.read(path), '{"epoch": 0, "b": "nan", "loss": 0.0}\n{"epoch": 1, "loss": 0.25}\n')
end)

test.case("floats are written as Python writes them, whatever the locale", function()
  local path, format = test.tmpdir() .. "/log.csv", string.format
  local _ <close> = setmetatable({}, {__close = function() rawset(string, "format", format) end})
  -- what a host with LC_NUMERIC=de_DE makes of it
  rawset(string, "format", function(...) return (format(...):gsub("(%d)%.(%d)", "%1,%2")) end)
  log(path, {{a = 0.5, b = 1e15, c = 1e16, d = 0.1 + 0.2}})
  rawset(string, "format", format)
  test.equal(host.file.read(path), "epoch,a,b,c,d,loss\n0,0.5,1000000000000000.0,1e+16,0.30000000000000004,0.0\n")
end)

test.case("separators, quotes and line breaks are quoted as Python's csv does", function()
  local path = test.tmpdir() .. "/log.csv"
  local csv = require "train.csv"
  test.equal(csv.line({'a,b', 'c"d', "e\nf", "g\rh", " i ", "", "j;k"}, ","), '"a,b","c""d","e\nf","g\rh", i ,,j;k')
  test.equal(csv.line({""}, ","), '""')
  log({filename = path}, {{["a,b"] = 1}, {["a,b"] = 2, ['say "x"'] = 3}})
  test.equal(host.file.read(path), 'epoch,"a,b",loss,"say ""x"""\n0,1.0,0.0,NA\n1,2.0,0.25,3.0\n', "widened over quoted names")
  log({filename = path, append = true}, {{["a,b"] = 5}})
  test.equal(host.file.read(path):match("([^\n]*)\n$"), "0,5.0,0.0,NA")
end)

test.case("rows are read back as they were written", function()
  local csv = require "train.csv"
  local rows = {{"epoch", "a,b", ""}, {"0", 'x "y"', "1\n2"}, {"", "", "\r\n"}, {"1"}, {'"', ",", '"",'}}
  for _, separator in ipairs {",", ";", "\t", "^", "-", "|"} do
    for _, line_end in ipairs {"\n", "\r\n"} do
      local lines = {}
      for i, row in ipairs(rows) do lines[i] = csv.line(row, separator) .. line_end end
      local read, found = csv.rows(table.concat(lines), separator)
      test.equal(read, rows)
      test.equal(found, line_end)
      test.equal(csv.rows(table.concat(lines):sub(1, -#line_end - 1), separator), rows, "without the last line end")
    end
  end
  test.equal(csv.rows("", ","), {})
  test.equal(csv.rows("a,", ","), {{"a", ""}})
end)

test.case("truth values, texts and lists have their cells", function()
  local path = test.tmpdir() .. "/log.csv"
  local list = train.callback_list {train.CSVLogger(path)}
  local state = train.state {callbacks = list}
  state:emit("train_begin")
  state.logs = {flag = true, text = "a, b", list = {1, 2.5}, count = 7}
  state:emit("epoch_end")
  test.equal(host.file.read(path), 'epoch,count,flag,list,text\n0,7,True,"[1, 2.5]","a, b"\n')
end)

test.case("append goes on with a file of Python's line ends, and after a line that was cut off", function()
  local path = test.tmpdir() .. "/log.csv"
  host.file.write_atomic(path, "epoch,a,loss\r\n0,1.0,2.0\r\n")
  log({filename = path, append = true}, {{a = 3}})
  test.equal(host.file.read(path), "epoch,a,loss\r\n0,1.0,2.0\r\n0,3.0,0.0\r\n")
  host.file.write_atomic(path, "epoch,a,loss\n0,1.0,2.0")
  log({filename = path, append = true}, {{a = 3}})
  test.equal(host.file.read(path), "epoch,a,loss\n0,1.0,2.0\n0,3.0,0.0\n")
  host.file.write_atomic(path, "")
  log({filename = path, append = true}, {{a = 3}})
  test.equal(host.file.read(path), "epoch,a,loss\n0,3.0,0.0\n")
end)

test.case("a file that cannot be written, or not be gone on with, is an error before the first step", function()
  local folder = test.tmpdir()
  local function refuse(pattern, arguments)
    test.raises(pattern, train.fit, {train = {{1}}, epochs = 1, quiet = true, step = function() error("too late") end,
      callbacks = {train.CSVLogger(arguments), train.on("train_begin", function() error("too late") end)}})
  end
  host.file.write_atomic(folder .. "/file", "")
  refuse("callback CSVLogger, check: cannot write '.*/file/log.csv'", folder .. "/file/log.csv")
  refuse("callback CSVLogger, check: cannot write: " .. folder .. ": Is a directory", folder)
  host.file.write_atomic(folder .. "/log.csv", "epoch;loss\n0;1.0\n")
  refuse("cannot append to '.*log.csv': its first column is 'epoch;loss', expected 'epoch'",
    {filename = folder .. "/log.csv", append = true})
  test.equal(host.file.read(folder .. "/log.csv"), "epoch;loss\n0;1.0\n", "the check leaves what is there")
  test.raises("too late", train.fit, {train = {{1}}, epochs = 1, quiet = true, step = function() return 1.0 end,
    callbacks = {train.CSVLogger(folder .. "/new.csv"), train.on("train_begin", function() error("too late") end)}})
  test.falsy(host.file.exists(folder .. "/new.csv"), "and makes no new one")
end)

-- A training that is killed after `kill` epochs and goes on from the state after `saved`.
local function resume(path, kill, saved, epochs, arguments)
  local dict
  local function run(from, to, load)
    local list = train.callback_list {train.CSVLogger {filename = path, append = arguments and arguments.append}}
    local state = train.state {callbacks = list, epoch = from}
    state:emit("train_begin")
    if load then list:load_state_dict(load) end
    for epoch = from, to - 1 do
      state:emit("epoch_begin")
      state.logs.loss = epoch / 4
      state:emit("epoch_end")
      if epoch == saved - 1 then dict = list:state_dict() end
    end
  end
  run(0, kill)
  run(saved, epochs, dict)
  return host.file.read(path)
end

test.case("a training that goes on keeps its lines, and none is there twice", function()
  local folder = test.tmpdir()
  local want = "epoch,loss\n0,0.0\n1,0.25\n2,0.5\n3,0.75\n4,1.0\n"
  test.equal(resume(folder .. "/a.csv", 2, 2, 5), want)
  test.equal(resume(folder .. "/b.csv", 4, 2, 5), want)
  test.equal(resume(folder .. "/a.csv", 4, 2, 5, {append = true}), want .. want:gsub("^[^\n]*\n", ""))
  test.equal(resume(folder .. "/a.jsonl", 4, 2, 3), '{"epoch": 0, "loss": 0.0}\n{"epoch": 1, "loss": 0.25}\n' ..
    '{"epoch": 2, "loss": 0.5}\n')
end)

test.case("two callbacks or two trainings of one file are an error before the first step", function()
  local folder = test.tmpdir()
  local path = folder .. "/log.csv"
  local function fit(callbacks)
    return train.fit {train = {{1}}, epochs = 2, quiet = true, step = function() return 1 end, callbacks = callbacks}
  end
  test.raises("callback CSVLogger.-two callbacks write", fit, {train.CSVLogger(path), train.CSVLogger(folder .. "/./log.csv")})
  test.falsy(host.file.exists(path))
  local inner
  local ok, err = pcall(fit, {train.CSVLogger(path), {name = "n", on_epoch_end = function(_, state)
    if state.epoch == 0 then inner = select(2, pcall(fit, {train.CSVLogger(path)})) end
  end}})
  test.truthy(ok, err)
  test.truthy(tostring(inner):find("another training writes", 1, true), inner)
  test.equal(host.file.read(path), "epoch,loss\n0,1.0\n1,1.0\n")
  pcall(fit, {train.CSVLogger(path), {name = "n", on_epoch_end = function() error("x") end}})
  test.equal(#fit({train.CSVLogger(path)}).loss, 2, "after an error the file is free again")
end)

test.case("lines that another program adds are kept, with one warning", function()
  local path = test.tmpdir() .. "/log.csv"
  local warnings = test.warnings(function()
    train.fit {train = {{1}}, epochs = 4, quiet = true, step = function() return 1 end, callbacks = {train.CSVLogger(path),
      train.on("epoch_begin", function(state) if state.epoch > 1 then host.file.append(path, "9,9\n") end end)}}
  end)
  test.equal(host.file.read(path), "epoch,loss\n0,1.0\n1,1.0\n9,9\n2,1.0\n9,9\n3,1.0\n")
  test.equal(#warnings, 1)
  test.truthy(warnings[1]:find("does another program write it?", 1, true))
end)
