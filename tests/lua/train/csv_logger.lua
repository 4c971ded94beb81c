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
