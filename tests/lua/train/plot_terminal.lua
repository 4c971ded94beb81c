-- Curves in the terminal, as `trainhost plot` draws them.
local test = require "test"
local panels = require "train.plot.panels"
local sources = require "train.plot.sources"
local terminal = require "train.plot.terminal"

local function draw(history, options)
  local runs = sources.of(history)
  local all = {width = 40, height = 12, unicode = false, color = false, log = false, x_label = "epoch"}
  for key, value in pairs(options or {}) do all[key] = value end
  local text = terminal(panels.of(runs, sources.names(runs), false), all)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  return lines, text
end

test.case("plain characters: one mark a line, axes, ticks and the last values", function()
  local lines = draw {loss = {4, 3, 2, 1}, val_loss = {4, 4, 4, 4}}
  test.equal(#lines, 12)
  test.equal(lines[1], "* loss 1  + val_loss 4")
  for i, line in ipairs(lines) do
    test.truthy(#line <= 40, line)
    test.truthy(not line:find("[\128-\255]"))
    if i > 1 and i < 11 then test.truthy(line:find("^[%d ]+ [|+]"), line) end
  end
  test.truthy(lines[2]:find("+++++++", 1, true) or lines[3]:find("+++++++", 1, true))
  test.truthy(lines[10]:find("%*$"), lines[10])
  test.truthy(lines[11]:find("^ +%+%+%-+%+%-+%+%-+%+$"), lines[11])
  test.truthy(lines[12]:find("^epoch +1 +2 +3 +4$"), lines[12])
end)

test.case("braille has eight dots a character; letters tell curves without colour", function()
  local lines = draw({loss = {2, 1}, val_loss = {2, 2}}, {unicode = true})
  test.equal(lines[1], "a loss 1  b val_loss 2")
  for _, line in ipairs(lines) do test.truthy(utf8.len(line) <= 40, line) end
  local text = table.concat(lines)
  test.truthy(text:find(" a", 20, true) and text:find(" b", 20, true))
  -- One falling line through the whole width touches each of its columns.
  local count = 0
  for _, line in ipairs(draw({loss = {2, 1}}, {unicode = true})) do
    for _, code in utf8.codes(line) do count = count + (code > 0x2800 and code < 0x2900 and 1 or 0) end
  end
  test.truthy(count >= 31 and count <= 48, count)
end)

test.case("colours are put around pieces of one line", function()
  local lines, text = draw({loss = {2, 1}, val_loss = {1, 2}}, {unicode = true, color = true})
  test.truthy(lines[1]:find("\27[34m", 1, true) and lines[1]:find("\27[31m", 1, true))
  for _, line in ipairs(lines) do
    local bare = line:gsub("\27%[%d*m", "")
    test.truthy(utf8.len(bare) <= 40, bare)
    test.equal(select(2, line:gsub("\27%[%d+m", "")), 2 * select(2, line:gsub("\27%[0m", "")))
  end
  test.falsy(draw({loss = {1}})[1]:find("\27", 1, true))
  test.truthy(#text > 0)
end)

test.case("gaps, lone points, constants and nothing but NaN are drawn", function()
  for _, values in ipairs {{1}, {1, 1, 1}, {0 / 0}, {1, 0 / 0, 3}, {-1, 1 / 0}, {0, 0}, {1e-300, 1e300}} do
    for _, log in ipairs {false, true} do
      for _, unicode in ipairs {false, true} do
        local lines = draw({loss = values}, {log = log, unicode = unicode})
        test.equal(#lines, 12)
      end
    end
  end
  local lines = draw {loss = {1, 1, 1, 0 / 0, 1, 1}}
  test.truthy(table.concat(lines, "\n"):find("%*%*+ +%*%*+"))
end)

test.case("panels are below each other, and many legends take more lines", function()
  local lines = draw({loss = {1, 2}, accuracy = {1, 2}}, {height = 30})
  test.equal(#lines, 30)
  test.equal({lines[1], lines[16]}, {"* loss 2", "* accuracy 2"})
  local runs = {}
  for i = 1, 9 do runs["a rather long name " .. i] = {loss = {i}} end
  for _, line in ipairs(draw(runs, {height = 40})) do test.truthy(#line <= 40, line) end
end)

test.case("names cannot write to the terminal what they like", function()
  local _, text = draw {["l\27[2Joss\n"] = {1, 2}, ["größe"] = {1, 2}}
  test.falsy(text:find("\27", 1, true))
  test.truthy(text:find("gr??e", 1, true))
  local _, wide = draw({["größe"] = {1, 2}}, {unicode = true})
  test.truthy(wide:find("größe", 1, true))
end)
