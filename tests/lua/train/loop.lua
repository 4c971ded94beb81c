-- train.state: loops by hand use the callbacks of train.fit.
local test = require "test"
local train = require "train"
local torch = require "torch"

-- The events of a loop of `epochs` epochs of 3 batches, a step each.
local function loop(state, epochs, first)
  state:emit("train_begin")
  for epoch = first or 0, (first or 0) + epochs - 1 do
    state:emit("epoch_begin")
    for _ = 1, 3 do
      for _, event in ipairs {"batch_begin", "before_step", "after_step", "batch_end"} do state:emit(event) end
    end
    state.logs.loss = 1 / (epoch + 1)
    state:emit("epoch_end")
    if state.stopping then break end
  end
  state:emit("train_end")
end

test.case("counters follow the events", function()
  local seen = {}
  local state = train.state{callbacks = {
    train.on("batch_end", function(s) seen[#seen + 1] = ("%d %d %d"):format(s.epoch, s.batch, s.step) end),
  }}
  loop(state, 2)
  test.equal(table.concat(seen, ", "), "0 0 0, 0 1 1, 0 2 2, 1 0 3, 1 1 4, 1 2 5")
  test.equal({state.epochs_done, state.batches_done, state.steps_done}, {2, 6, 6})
end)

test.case("the logs of each epoch are its own; those put there before it begins stay", function()
  local state = train.state{}
  loop(state, 2)
  test.equal(state.logs.loss, 0.5)
  state:emit("epoch_begin")
  test.equal(state.logs.loss, nil)
  state:emit("epoch_end")
  state.logs = {loss = 3}
  state:emit("epoch_begin")
  test.equal(state.logs.loss, 3)
end)

test.case("a loop may begin at a later epoch", function()
  local epochs = {}
  local state = train.state{epoch = 5, callbacks = {
    train.on("epoch_end", {every = 2}, function(s) epochs[#epochs + 1] = s.epoch end)}}
  loop(state, 4, 5)
  test.equal(epochs, {5, 7})
  test.equal(state.epochs_done, 9)
end)

test.case("points in time, checkpoints and early stopping work in it", function()
  local folder, fired = test.tmpdir(), {}
  local model = torch.nn.Linear(2, 1)
  local state = train.state{model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1}), callbacks = {
    train.on("batch_end", {every = "4ba"}, function(s) fired[#fired + 1] = s.batches_done end),
    train.on("after_step", {every = "5st"}, function(s) fired[#fired + 1] = -s.steps_done end),
    train.ModelCheckpoint{filepath = folder .. "/{epoch}", monitor = "loss", save_best_only = true},
    train.EarlyStopping{monitor = "loss", stopping_threshold = 0.3},
  }}
  loop(state, 9)
  test.equal(fired, {4, -5, 8, -10, 12})
  test.equal(state.stop_reason:find("beyond the stopping threshold") ~= nil, true)
  test.equal(require("host").file.exists(folder .. "/4"), true)
end)

test.case("a plain table becomes a state", function()
  local list, count = train.callback_list {train.on("batch_end", {every = 2}, function(s) s.fired = s.batches_done end)}, 0
  local state = {epoch = 3}
  for _ = 1, 3 do
    list:emit("batch_end", state)
    count = count + 1
  end
  test.equal({state.fired, state.batches_done, state.epoch}, {2, 3, 3})
  state:stop("enough")
  test.equal(state.stop_reason, "enough")
end)

test.case("events that are none are errors with a near name", function()
  local list = train.callback_list {}
  test.raises("unknown event 'epoch_ended'; did you mean 'epoch_end'", list.emit, list, "epoch_ended", {})
end)

test.case("callbacks are taken out and replaced while the training runs", function()
  local heard = {}
  local function hears(name) return {name = name, on_epoch_end = function() heard[#heard + 1] = name end} end
  local a, b, c = hears "a", hears "b", hears "c"
  local list = train.callback_list {a, b}
  list:emit("epoch_end", {})
  list:replace(a, c)
  list:emit("epoch_end", {})
  list:remove(b)
  list:emit("epoch_end", {})
  test.equal(table.concat(heard), "abcbc")
  test.raises("not in the list", list.remove, list, b)
  test.raises("unknown hook", list.replace, list, c, {on_epoch_ends = print})
  list:emit("epoch_end", {})
  test.equal(table.concat(heard), "abcbcc")
end)

test.case("a hook may leave a step out", function()
  local model = torch.nn.Linear(2, 1)
  local before, steps = model.weight:clone(), 0
  local history = train.fit{model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1}), quiet = true,
    loss = torch.nn.functional.mse_loss, train = {{torch.ones(4, 2), torch.ones(4, 1)}}, epochs = 3,
    callbacks = {
      train.on("before_step", function(s) s.skip_step = s.epoch < 2 end),
      train.on("after_step", function() steps = steps + 1 end),
      train.on("epoch_end", {before = 3}, function() test.equal(model.weight:equal(before), true) end),
    }}
  test.equal({steps, model.weight:equal(before), #history.epoch}, {1, false, 3})
end)

test.case("an error in evaluate or predict is told to the callbacks", function()
  local heard = {}
  local listener = {on_exception = function(_, state) heard[#heard + 1] = state.error.message or tostring(state.error) end}
  local model = torch.nn.Linear(2, 1)
  for _, call in ipairs {train.evaluate, train.predict} do
    test.raises("on purpose", call, {model = model, data = {{torch.ones(1, 2), torch.ones(1, 1)}}, callbacks = {listener},
      loss = call == train.evaluate and torch.nn.MSELoss() or nil,
      step = function() error("on purpose") end})
  end
  test.equal(#heard, 2)
end)
