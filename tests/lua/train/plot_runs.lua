-- train.plot: several runs and metrics, files as sources, the size and the kind of the picture.
local test = require "test"
local train = require "train"
local host = require "host"

local function draw(history, options)
  return host.file.read(train.plot(history, test.tmpdir() .. "/loss.svg", options))
end

local function count(text, pattern) return select(2, text:gsub(pattern, "")) end

-- The y of each point of the first curve of a colour.
local function heights(svg, color)
  local list = {}
  for y in svg:match('<path d="(M[^"]*)" fill="none" stroke="' .. color):gmatch("[ML]%S+ (%S+)") do list[#list + 1] = tonumber(y) end
  return list
end

local function has(svg, text) return svg:find(">" .. text .. "</text>", 1, true) ~= nil end

test.case("training and validation of a metric share a panel, each metric has its own", function()
  local svg = draw({loss = {3, 2}, val_loss = {3, 2}, accuracy = {0.1, 0.9}, val_accuracy = {0.1, 0.8}}, {series = "all"})
  test.equal(count(svg, ">epoch</text>"), 2)
  test.equal(count(svg, ">accuracy</text>"), 3, "heading, y label, legend")
  test.equal(count(svg, ' fill="none" stroke="#1f77b4"'), 2)
  local width, height = svg:match('width="(%d+)" height="(%d+)"')
  test.truthy(tonumber(width) > 720 and tonumber(height) < 440)
  local tall = draw({a = {1}, b = {2}, c = {3}}, {columns = 1})
  test.equal(count(tall, ">epoch</text>"), 3)
end)

test.case("names of phases are told from the metric's", function()
  local base = require("train.plot.panels").base
  for name, expected in pairs {loss = "loss", val_loss = "loss", train_loss = "loss", epoch_val_loss = "epoch_loss",
    ["val/accuracy"] = "accuracy", ["loss/train"] = "loss", valve = "valve", interval_loss = "interval_loss", val_ = "val_"} do
    test.equal(base(name), expected, name)
  end
end)

test.case("all curves are in one panel on wish, in colours of their own", function()
  local svg = draw({loss = {3, 2}, mae = {1, 2}}, {series = {"loss", "mae"}, panels = false})
  test.equal(count(svg, ">epoch</text>"), 1)
  test.truthy(svg:find('stroke="#d62728"', 1, true))
end)

test.case("runs have a colour each, and dashes for validation", function()
  local history = train.fit {train = {{1}}, epochs = 2, quiet = true, step = function(state) return 2 - state.epoch end}
  local svg = draw {adam = history, sgd = {loss = {3, 1}, val_loss = {2, 2}}}
  test.truthy(has(svg, "adam loss") and has(svg, "sgd loss") and has(svg, "sgd val_loss"))
  test.falsy(has(svg, "adam val_loss"))
  test.equal(count(svg, '<path [^>]*stroke="#d62728" stroke%-dasharray'), 1)
  test.equal(count(svg, '<path [^>]*stroke="#1f77b4"'), 1)
  local first, second = heights(svg, "#1f77b4"), heights(svg, "#d62728")
  test.near(first[2], second[2], 0.011, "both end at 1, on one axis")
  test.truthy(first[1] > second[1])
  test.truthy(has(draw {{loss = {1}}, {loss = {2}}}, "2 loss"), "a list of runs")
end)

test.case("a logarithmic axis has equal steps for equal factors, and ticks at powers of ten", function()
  local svg = draw({loss = {100, 10, 1, 0, 0.1}}, {log = true})
  local y = heights(svg, "#1f77b4")
  test.equal(#y, 4, "0 is left out")
  test.near(y[2] - y[1], y[3] - y[2], 0.02)
  test.near(y[4] - y[3], y[3] - y[2], 0.02)
  for _, tick in ipairs {"100", "10", "1", "0.1"} do test.truthy(has(svg, tick), tick) end
end)

test.case("files of CSVLogger are sources, with their epochs from 1", function()
  for _, name in ipairs {"/log.csv", "/log.jsonl", "/semicolon.csv"} do
    local path = test.tmpdir() .. name
    local values = {4, 0 / 0, 1}
    train.fit {train = {{1}}, epochs = 3, quiet = true, step = function(state) return values[state.epoch + 1] end,
      callbacks = {train.CSVLogger {filename = path, separator = name:find("semi") and ";" or ","}}}
    local run = require("train.plot.sources").of_file(path)
    test.equal(run.axis, "epoch")
    test.equal(#run.series.loss.xs, 3)
    for i, x in ipairs(run.series.loss.xs) do test.near(x, i, 0) end
    test.equal({run.series.loss.ys[1], run.series.loss.ys[3]}, {4.0, 1.0})
    test.truthy(run.series.loss.ys[2] ~= run.series.loss.ys[2])
    test.equal(heights(draw(path), "#1f77b4"), heights(draw {loss = values}, "#1f77b4"))
    test.truthy(has(draw {a = path, b = {loss = {1}}}, "a loss"))
  end
end)

test.case("points by step are drawn at their steps", function()
  local svg = draw {loss = {{step = 0, value = 1}, {step = 10, value = 2}, {step = 40, value = 3}}}
  test.truthy(has(svg, "step") and has(svg, "40"))
  local path = svg:match('<path d="(M[^"]*)" fill="none" stroke="#1f77b4')
  local a, b, c = path:match("M(%S+) %S+ L(%S+) %S+ L(%S+)")
  test.near((b - a) * 3, c - b, 0.05)
end)

test.case("epochs of a training that went on are its own", function()
  local history = train.History()
  history.epoch, history.history = {5, 6}, {loss = {2, 1}}
  local svg = draw(history)
  test.truthy(has(svg, "6") and has(svg, "7") and not has(svg, "1"))
end)

test.case("very many points keep their extremes", function()
  local values = {}
  for i = 1, 50000 do values[i] = i == 31234 and 9 or 1 + i % 2 end
  local svg = draw {loss = values}
  test.truthy(#svg < 200000)
  local y = heights(svg, "#1f77b4")
  table.sort(y)
  test.truthy(y[1] < y[2] - 100, "the one peak is there")
end)

test.case("what is wrong is said before a file is written", function()
  local path = test.tmpdir() .. "/x.pdf"
  test.raises("must end in .svg or .png, got '" .. path, train.plot, {loss = {1}}, path)
  local bare = test.tmpdir() .. "/picture"
  test.truthy(host.file.read(train.plot({loss = {1}}, bare)):find("^<svg"), "without an ending")
  test.raises("the history must be a table or the name of a CSV file, got number", train.plot, 3, "x.svg")
  test.raises("there is no file 'none.csv'", train.plot, "none.csv", "x.svg")
  test.raises("unknown keyword string \"hight\"", draw, {loss = {1}}, {hight = 3})
  test.raises("width", draw, {loss = {1}}, {width = -3})
  test.raises("no run has 'los'; did you mean 'loss'?", draw, {a = {loss = {1}}, b = {loss = {2}}}, {series = "los"})
  test.raises("series must be a list of names, got", draw, {loss = {1}}, {series = {{1, 2}}})
  test.falsy(host.file.exists("x.svg"))
end)
