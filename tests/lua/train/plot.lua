-- train.plot.
local test = require "test"
local train = require "train"
local host = require "host"

local function draw(history, options)
  local path = test.tmpdir() .. "/loss.svg"
  test.equal(train.plot(history, path, options), path)
  return host.file.read(path)
end

local function count(text, pattern) return select(2, text:gsub(pattern, "")) end

test.case("draws a curve, dots and a legend entry for each series", function()
  local svg = draw({loss = {3, 2, 1}, val_loss = {3, 2.5, 2}, other = {1, 1, 1}})
  test.equal(count(svg, 'stroke%-width="2"/>'), 4, "two curves, two legend lines")
  test.equal(count(svg, "<circle"), 6)
  test.truthy(svg:find(">val_loss</text>", 1, true) and svg:find(">loss</text>", 1, true))
  test.falsy(svg:find(">other</text>", 1, true))
  test.truthy(svg:find("^<svg xmlns") and svg:find("</svg>\n$"))
end)

test.case("higher values lie higher, and NaN leaves a gap", function()
  local svg = draw({loss = {4, 0 / 0, 1, 2}})
  local path = svg:match('<path d="(M[^"]-)" fill="none" stroke="#1f77b4"')
  local y1, y3, y4 = path:match("^M%S+ (%S+) M%S+ (%S+) L%S+ (%S+)$")
  test.truthy(tonumber(y1) < tonumber(y4) and tonumber(y4) < tonumber(y3), path)
end)

test.case("titles are escaped", function()
  test.truthy(draw({loss = {1, 2}}, {title = "a < b & c"}):find("a &lt; b &amp; c", 1, true))
end)

test.case("one epoch, a constant and a logarithmic axis are fine", function()
  for _, svg in ipairs {draw({loss = {1}}), draw({loss = {1, 1, 1}}), draw({loss = {1, 0.1, 0.01, 0}}, {log = true})} do
    test.falsy(svg:find("nan", 1, true))
    test.falsy(svg:find("inf", 1, true))
  end
end)

test.case("draws what train.fit returns, and names what is not there", function()
  local history = train.fit {train = {{1}}, epochs = 3, quiet = true, step = function(state) return 1 / (state.epoch + 1) end}
  test.truthy(draw(history):find(">loss</text>", 1, true))
  test.raises("the history has no 'los'; did you mean 'loss'", draw, history, {series = {"los"}})
  test.raises("there is no series to draw", draw, {})
end)
