-- train.Progress: plain lines when piped, a bar on a terminal.
local test = require "test"
local train = require "train"

-- What is written while 2 epochs of 3 batches run, each batch taking `seconds`.
local function run(arguments, seconds, epochs)
  local text, now = {}, 0
  arguments.write = function(piece) text[#text + 1] = piece end
  arguments.clock = function() return now end
  train.fit {
    train = {{1}, {2}, {3}}, epochs = epochs or 2, quiet = true, valid = {{1}},
    step = function(state) return state.phase == "valid" and 0.5 or 0.25 end,
    callbacks = {
      train.on("batch_end", function() now = now + seconds end),
      train.Progress(arguments),
    },
  }
  return table.concat(text), text
end

test.case("piped: one plain line an epoch", function()
  test.equal(run({bar = false, summary = false}, 0.01), "epoch 1/2: loss 0.25  val_loss 0.5  (0.0s, 10ms/batch, 0.0s left)\n" ..
    "epoch 2/2: loss 0.25  val_loss 0.5  (0.0s, 10ms/batch)\n")
  test.truthy(run({bar = false, title = "trial 3/20"}, 0.01):find("^trial 3/20 epoch 1/2: loss"))
end)

test.case("the table at the end has the last and the best values, by each log's own direction", function()
  local text, values = {}, {{3.0, 0.5}, {1.0, 0.75}, {2.0, 0.25}}
  local accuracy = train.metrics.Accuracy()
  train.fit {
    train = {{1}, {2}}, epochs = 3, quiet = true, metrics = {accuracy = accuracy},
    step = function(state)
      accuracy.result = function() return values[state.epoch + 1][2] end
      state.output, state.target = require("torch").zeros(1), require("torch").zeros(1)
      return values[state.epoch + 1][1], {speed = state.epoch}
    end,
    callbacks = {train.Progress{bar = false, clock = function() return 0 end, write = function(piece) text[#text + 1] = piece end}},
  }
  test.equal(text[#text], "trained 3 epochs, 6 steps in 0.0s, 0ms/batch\n" ..
    "          last  best  epoch\nloss         2     1      2\naccuracy  0.25  0.75      2\nspeed        2\n")
end)

test.case("lines of others go above the bar", function()
  local text, now = {}, 0
  train.fit {
    train = {{1}, {2}}, epochs = 1, quiet = true, step = function() return 1.0 end,
    callbacks = {
      train.on("batch_end", function() now = now + 1 end),
      train.Progress{bar = true, clock = function() return now end, write = function(piece) text[#text + 1] = piece end},
      train.on("batch_end", {group = "checkpoint", once = 1}, function(state) state:say("hello") end),
    },
  }
  test.equal(text[2]:sub(1, 11), "\r\27[2Khello\n")
  test.equal(text[2]:sub(12), text[1]:sub(6))
end)

test.case("the bar shows how far, how fast and how long", function()
  local text = run({bar = true}, 2)
  test.truthy(text:find("epoch 1/2 [======>.............] 1/3 eta 4.0s 2.0s/batch loss 0.25", 1, true), text)
  test.truthy(text:find("\r\27[2Kepoch 1/2: loss 0.25  val_loss 0.5  (6.0s, 2.0s/batch, 6.0s left)\n", 1, true), text)
end)

test.case("the bar is redrawn at most 20 times a second", function()
  local _, pieces = run({bar = true}, 0.01, 10)  -- 30 batches in 0.3 s of 10 epochs
  local drawn = 0
  for _, piece in ipairs(pieces) do drawn = drawn + (piece:find("eta") and 1 or 0) end
  test.equal(drawn, 0, "an epoch of 0.03 s draws no bar")
  _, pieces = run({bar = true}, 0.03, 1)
  for _, piece in ipairs(pieces) do drawn = drawn + (piece:find("eta") and 1 or 0) end
  test.equal(drawn, 1)
end)

test.case("the reason of a stop is told", function()
  local text = {}
  train.fit {train = {{1}}, epochs = 9, quiet = true, step = function() return 1.0 end, callbacks = {
    train.on("epoch_end", {once = 2}, function(state) state:stop("enough") end),
    train.Progress {bar = false, clock = function() return 0 end, write = function(piece) text[#text + 1] = piece end},
  }}
  test.equal(text[#text - 1], "stopped after epoch 2: enough\n")
end)

test.case("a training within another is nested: its lines are indented, its bar says within what it runs", function()
  local text, now = {}, 0
  local function progress(bar, title)
    return train.Progress {bar = bar, title = title, write = function(t) text[#text + 1] = t end, clock = function()
      now = now + 1
      return now
    end}
  end
  local function fit(epochs, callbacks)
    return train.fit {train = {{1}}, epochs = epochs, quiet = true, step = function() return 1 end, callbacks = callbacks}
  end
  local function nested(bar)
    text = {}
    fit(2, {progress(bar), {name = "inner", on_epoch_begin = function(_, state)
      if state.epoch == 1 then fit(1, {progress(bar, "trial 1/3")}) end
    end}})
    return table.concat(text)
  end
  local lines = nested(false)
  test.truthy(lines:find("epoch 1/2: loss 1  (", 1, true) == 1, lines)
  test.truthy(lines:find("\n  trial 1/3 epoch 1/1: loss 1", 1, true), lines)
  test.truthy(lines:find("\nepoch 2/2: loss 1", 1, true), lines)
  local bars = nested(true)
  test.truthy(bars:find("epoch 2/2 > trial 1/3 epoch 1/1 [====================] 1/1", 1, true), bars)
  pcall(fit, 1, {progress(false), {name = "fails", on_epoch_end = function() error("x") end}})
  text = {}
  fit(1, {progress(false)})
  test.truthy(text[1]:find("^epoch 1/1"), "an error ends the nesting")
end)

test.case("train.fit adds none where one is in the list", function()
  local text, listed = {}, nil
  train.fit {train = {{1}}, epochs = 1, step = function() return 1.0 end, callbacks = {
    train.Progress{bar = false, title = "mine", write = function(piece) text[#text + 1] = piece end},
    train.on("epoch_end", function(state)
      listed = 0
      for _, entry in ipairs(state.callback_list.entries) do listed = listed + (entry.base_name == "Progress" and 1 or 0) end
    end)}}
  test.equal(listed, 1)
  test.truthy(text[1]:find("^mine epoch 1/1"))
end)
