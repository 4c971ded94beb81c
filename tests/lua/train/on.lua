-- train.on: filters by count, time and fraction of the training.
local test = require "test"
local train = require "train"

-- The counts (epoch or batch of all) at which a filter fires, in a training of `epochs` epochs of `batches` batches.
local function fired(event, filter, epochs, batches, options)
  options = options or {}
  local at, now = {}, 0
  local data = {}
  for i = 1, batches or 1 do data[i] = {i} end
  train.fit {
    train = data, epochs = epochs, quiet = true, valid = options.valid,
    step = function(state) return 1.0 end,
    callbacks = {
      train.on("train_begin", function(state)
        if options.seconds then
          state.started, state.clock = 0, function() return now end
        end
      end),
      train.on("batch_end", function() now = now + (options.seconds or 0) end),
      train.on(event, filter, function(state)
        at[#at + 1] = event:find("batch") and state.epoch * (batches or 1) + state.batch or state.epoch
      end),
    },
  }
  return at
end

test.case("every = k fires when (count + 1) % k == 0", function()
  test.equal(fired("epoch_end", {every = 3}, 10), {2, 5, 8})
  test.equal(fired("epoch_begin", {every = 3}, 7), {2, 5})
  test.equal(fired("epoch_end", {every = 1}, 3), {0, 1, 2})
end)

test.case("batches count across epochs", function()
  test.equal(fired("batch_end", {every = 2}, 4, 3), {1, 3, 5, 7, 9, 11})
  test.equal(fired("batch_begin", {every = 5}, 4, 3), {4, 9})
  test.equal(fired("on_train_batch_end", {every = 4}, 3, 3), {3, 7})
end)

test.case("without a filter it fires every time", function()
  test.equal(fired("epoch_end", nil, 3), {0, 1, 2})
  test.equal(fired("epoch_end", {}, 3), {0, 1, 2})
end)

test.case("once = n fires at the n-th time alone", function()
  test.equal(fired("epoch_end", {once = 4}, 9), {3})
  test.equal(fired("batch_end", {once = 1}, 2, 3), {0})
end)

test.case("before and after bound", function()
  test.equal(fired("epoch_end", {before = 3}, 6), {0, 1})
  test.equal(fired("epoch_end", {after = 3}, 6), {3, 4, 5})
  test.equal(fired("epoch_end", {every = 2, after = 3}, 9), {3, 5, 7})
  test.equal(fired("epoch_end", {after = 2, before = 5}, 9), {2, 3})
end)

test.case("every and once fire when either does, and so do several filters", function()
  test.equal(fired("epoch_end", {every = 4, once = 1}, 9), {0, 3, 7})
  test.equal(fired("epoch_end", {{every = 4}, {every = 3}}, 12), {2, 3, 5, 7, 8, 11})
end)

test.case('"5ep" counts epochs, at batch events at the last batch', function()
  test.equal(fired("epoch_end", {every = "2ep"}, 5), {1, 3})
  test.equal(fired("batch_end", {every = "2ep"}, 5, 3), {5, 11})
end)

test.case('"4ba" counts batches, at epoch events at the first one after', function()
  test.equal(fired("batch_end", {every = "4ba"}, 3, 3), {3, 7})
  test.equal(fired("epoch_end", {every = "4ba"}, 6, 3), {1, 2, 3, 5})
  test.equal(fired("epoch_end", {every = "6ba"}, 6, 3), {1, 3, 5})
end)

test.case('"30min" counts the time of the training', function()
  test.equal(fired("epoch_end", {every = "30min"}, 6, 1, {seconds = 900}), {1, 3, 5})
  test.equal(fired("epoch_end", {once = "40s"}, 6, 1, {seconds = 15}), {2})
  test.equal(fired("epoch_end", {after = "1h"}, 6, 1, {seconds = 1200}), {3, 4, 5})
end)

test.case('"0.5dur" is half of the training', function()
  test.equal(fired("epoch_end", {every = "0.5dur"}, 8), {3, 7})
  test.equal(fired("epoch_end", {every = "0.1dur"}, 10), {0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
  test.equal(fired("batch_end", {once = "0.5dur"}, 2, 4), {3})
end)

test.case("the count of times survives in the state", function()
  local calls = 0
  local first = train.on("epoch_end", {once = "2ep", name = "halfway"}, function() calls = calls + 1 end)
  local state = {epoch = 1}
  first:on_epoch_end(state)
  test.equal(calls, 1)
  local saved = train.callback_list({first}):state_dict()
  local second = train.on("epoch_end", {once = "2ep", name = "halfway"}, function() calls = calls + 1 end)
  train.callback_list({second}):load_state_dict(saved)
  second:on_epoch_end({epoch = 2})
  test.equal(calls, 1)
end)

test.case("mistakes are errors at once", function()
  local function f() end
  test.raises("unknown event 'epoch_ends'; did you mean 'epoch_end'", train.on, "epoch_ends", f)
  test.raises("unknown filter 'evry'; did you mean 'every'", train.on, "epoch_end", {evry = 3}, f)
  test.raises("the last argument must be a function, got nil", train.on, "epoch_end", {every = 3})
  test.raises("the filter must be a table, got number", train.on, "epoch_end", 5, f)
  test.raises("train.on: every must be a whole number of 1 or more, got 0", train.on, "epoch_end", {every = 0}, f)
  test.raises("train.on: every must be a whole number of 1 or more, got 2.5", train.on, "epoch_end", {every = 2.5}, f)
  test.raises('every must be a number or a time, got "5 bananas"', train.on, "epoch_end", {every = "5 bananas"}, f)
  test.raises("every must be a whole number of 'ep', got 1.5ep", train.on, "epoch_end", {every = "1.5ep"}, f)
end)

test.case("a list of times fires when any of them does", function()
  test.equal(fired("epoch_end", {every = {"4ep", "3ep"}}, 12), {2, 3, 5, 7, 8, 11})
  test.equal(fired("epoch_end", {every = {4, "3ep"}}, 12), {2, 3, 5, 7, 8, 11})
  test.equal(fired("batch_end", {every = {"1ep", "2ba"}}, 2, 3), {1, 2, 3, 5})
  test.equal(fired("epoch_end", {every = {"5ep", "30min"}}, 10, 1, {seconds = 900}), {1, 3, 4, 5, 7, 9})
  test.equal(fired("epoch_end", {once = {2, "5ep"}}, 9), {1, 4})
  test.equal(fired("epoch_end", {after = {3, "5ep"}}, 7), {3, 4, 5, 6})
  test.equal(fired("epoch_end", {before = {3, "5ep"}}, 7), {0, 1, 2, 3})
  test.equal(fired("epoch_end", {every = {"2ep"}}, 5), {1, 3})
end)

test.case("a new fit counts anew", function()
  local at = {}
  local on = train.on("batch_end", {every = "4ba", once = 2}, function(state) at[#at + 1] = state.batches_done end)
  local halves = 0
  local half = train.on("epoch_end", {once = "0.5dur"}, function() halves = halves + 1 end)
  local begins = 0
  local begin = train.on("train_begin", {once = 1}, function() begins = begins + 1 end)
  for _ = 1, 2 do
    train.fit {train = {{1}, {1}, {1}}, epochs = 2, quiet = true, step = function() return 1.0 end, callbacks = {on, half, begin}}
  end
  test.equal(at, {2, 4, 2, 4})
  test.equal({halves, begins}, {2, 2})
end)

test.case("mistakes within lists are errors at once", function()
  local function f() end
  test.raises('train.on: every must be a number or a time, got "often"', train.on, "epoch_end", {every = {"1ep", "often"}}, f)
  test.raises("train.on: every must be a number or a time, got table", train.on, "epoch_end", {every = {{"1ep"}}}, f)
  test.raises("train.on: every must be a number or a time, got table", train.on, "epoch_end", {every = {}}, f)
  test.raises("train.on: every must be a list of times, got the key 'at'", train.on, "epoch_end", {every = {"1ep", at = 3}}, f)
  test.raises("train.on: unknown filter 'nmae'; did you mean 'name'", train.on, "epoch_end", {{every = 2}, nmae = "x"}, f)
  test.raises("train.on: unknown filter 'name'", train.on, "epoch_end", {{every = 2, name = "x"}}, f)
  test.raises("train.on: filter 2 of the list must be a table, got number", train.on, "epoch_end", {{every = 2}, 3}, f)
end)
