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
  test.equal(run({bar = false}, 0.01), "epoch 1/2: loss 0.25  val_loss 0.5  (0.0s, 10ms/batch)\n" ..
    "epoch 2/2: loss 0.25  val_loss 0.5  (0.0s, 10ms/batch)\n")
end)

test.case("the bar shows how far, how fast and how long", function()
  local text = run({bar = true}, 2)
  test.truthy(text:find("epoch 1/2 [======>.............] 1/3 eta 4.0s 2.0s/batch loss 0.25", 1, true), text)
  test.truthy(text:find("\r\27[2Kepoch 1/2: loss 0.25  val_loss 0.5  (6.0s, 2.0s/batch)\n", 1, true), text)
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
  test.equal(text[#text], "stopped after epoch 2: enough\n")
end)
