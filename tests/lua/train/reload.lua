-- train.reload: policies that are edited while the training runs.
local host = require "host"
local mlflow = require "mlflow"
local test = require "test"
local torch = require "torch"
local train = require "train"

local nn, F = torch.nn, torch.nn.functional

-- A policy with state: it lowers the learning rate by `factor` in every second epoch.
local POLICY <const> = [[
local factor = 0.7
return {name = "decay", count = 0, on_epoch_end = function(self, state)
  self.count = self.count + 1
  if self.count % 2 == 0 then
    local group = state.optimizer.param_groups[1]
    group.lr = group.lr * factor
  end
  state.logs.count = self.count
end}
]]

-- Trains eight epochs of four batches; edits[epoch] is written over the policy in that epoch.
local function run(policy, edits, more)
  local path = test.tmpdir() .. "/policies.lua"
  host.file.write_atomic(path, policy)
  torch.manual_seed(1)
  local x = torch.randn(16, 3)
  local model = nn.Linear(3, 1)
  local callbacks = {
    train.on("epoch_begin", function(state)
      if edits[state.epoch] then host.file.write_atomic(path, edits[state.epoch]) end
    end),
    train.reload(path, {interval = 0}),
  }
  for _, callback in ipairs(more or {}) do callbacks[#callbacks + 1] = callback end
  return train.fit {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1}), loss = F.mse_loss,
    train = {x, x:sum(1, {keepdim = true}) * 0.5}, batch_size = 4, shuffle = true, epochs = 8, seed = 3, quiet = true,
    callbacks = callbacks}
end

local function edited(from, to, text) return (text or POLICY):gsub(from, to) end

test.case("an edit that keeps the meaning leaves the loss curve as it was, bit for bit", function()
  local plain = run(POLICY, {})
  local renamed = run(POLICY, {[3] = edited("factor", "by")})
  test.equal(renamed.loss, plain.loss)
  test.equal(renamed.count, plain.count)
end)

test.case("an edit with a syntax error, one that fails while it loads and one that fails in a hook change nothing", function()
  local plain = run(POLICY, {})
  local texts
  local bad = {
    [1] = POLICY .. "\nif", [2] = "local x = nil\nmath.random() x.y = 1", [3] = edited("local factor", "local f"),
    [4] = edited("state.logs.count = self.count", "group.lr = 1"), [5] = "return 5", [6] = edited("on_epoch_end", "on_epoch_ends"),
  }
  local history
  texts = test.warnings(function() history = run(POLICY, bad) end)
  test.equal(history.loss, plain.loss)
  test.equal(history.count, plain.count)
  test.equal(#texts, 6)
  test.truthy(texts[1]:find("policies.lua:%d+: <eof> expected near 'if'"), texts[1])
  test.truthy(texts[2]:find("attempt to index a nil value %(local 'x'%)"), texts[2])
  test.truthy(texts[3]:find("'factor'"), texts[3])
  test.truthy(texts[5]:find("must return a callback or a list of callbacks, got number 5"), texts[5])
  test.truthy(texts[6]:find("unknown hook 'on_epoch_endss?'"), texts[6])
end)

test.case("what a failing hook had changed is put back", function()
  local plain = run(POLICY, {})
  local history
  test.warnings(function()
    history = run(POLICY, {[3] = edited("self.count = self.count %+ 1", [[
      self.count = self.count + 100
      state.optimizer.param_groups[1].lr = 5
      torch = require("torch").rand(3)
      state:stop("no")
      state.logs.loss, state.logs.more = 0, 1
      error "later"]])})
  end)
  test.equal(history.loss, plain.loss)
  test.equal(history.stop_reason, nil)
  test.equal(history.more, nil)
end)

test.case("an edit is in force from the end of the epoch on, with the state of before", function()
  local history = run(POLICY, {[4] = edited("self.count %+ 1", "self.count + 10")})
  test.equal(history.count, {1, 2, 3, 4, 14, 24, 34, 44})
end)

test.case("a field that the edit changes is in force, one that the training changed goes on", function()
  local text = [[return {name = "p", step = 1, sum = 0, on_epoch_end = function(self, state)
    self.sum = self.sum + self.step
    state.logs.sum = self.sum
  end}]]
  local history = run(text, {[2] = edited("step = 1", "step = 100", text)})
  test.equal(history.sum, {1, 2, 102, 202, 302, 402, 502, 602})
end)

test.case("a failing edit that comes after a good one leaves the good one", function()
  local history
  local texts = test.warnings(function()
    history = run(POLICY, {[2] = edited("self.count %+ 1", "self.count + 10"), [5] = edited("self.count %+ 1", "nothing + 1")})
  end)
  test.equal(history.count, {1, 2, 12, 22, 32, 42, 52, 62})
  test.equal(#texts, 1)
end)

test.case("callbacks come and go with the file, new ones hear train_begin", function()
  local A <const> = [[{name = "a", on_epoch_end = function(_, state) state.user.seen = (state.user.seen or "") .. "a" end}]]
  local B <const> = [[{name = "b", on_train_begin = function(self) self.letter = "b" end,
    on_epoch_end = function(self, state) state.user.seen = state.user.seen .. self.letter end}]]
  local seen
  run("return {" .. A .. "}", {[2] = "return {" .. A .. "," .. B .. "}", [4] = "return {" .. B .. "}", [6] = "return {}"},
    {train.on("train_end", function(state) seen = state.user.seen end)})
  test.equal(seen, "aaababbb")
end)

test.case("classes of train keep their state: patience goes on", function()
  local text = [[local train = require "train"
  return {train.EarlyStopping{monitor = "loss", mode = "max", patience = 4}}]]
  local plain = run(text, {})
  local history = run(text, {[2] = text .. "  -- a word"})
  test.equal(#history.loss, #plain.loss)
  test.truthy(#plain.loss < 8)
end)

test.case("the callbacks stand at the place of train.reload, in their groups", function()
  local path = test.tmpdir() .. "/p.lua"
  host.file.write_atomic(path, [[
    local function say(word) return function(_, state) state.user.words = (state.user.words or "") .. word end end
    return {{name = "x", on_epoch_end = say "x", group = "policy"}, {name = "y", on_epoch_end = say "y"}}
  ]])
  local function say(word) return train.on("epoch_end", function(state) state.user.words = (state.user.words or "") .. word end) end
  local state = train.state {callbacks = {say "1", train.reload(path), say "2"}}
  state:emit("epoch_end")
  test.equal(state.user.words, "1y2x")
  local list = train.callback_list {train.reload(path)}
  local plain = {user = {}}
  list:emit("train_begin", plain)
  list:emit("epoch_end", plain)
  test.equal(plain.user.words, "yx")
end)

test.case("monitors know the logs that the file writes", function()
  local text = [[return {name = "w", writes = {"mine"}, on_epoch_end = function(_, state) state.logs.mine = -state.epoch end}]]
  local history = run(text, {}, {train.EarlyStopping {monitor = "mine", mode = "max", patience = 2}})
  test.equal(#history.loss, 3)
end)

test.case("each version is an artifact of the run with the step that it took effect", function()
  local folder = test.tmpdir()
  mlflow.set_tracking_uri("sqlite:///" .. folder .. "/mlflow.db")
  local run_id, uri
  do
    local active <close> = mlflow.start_run()
    run_id, uri = active.info.run_id, active:get_artifact_uri("reload/policies")
    run(POLICY, {[3] = edited("factor", "by")})
  end
  mlflow.flush()
  test.truthy(run_id)
  local artifacts = uri:gsub("^file://", "")
  test.equal(host.file.list(artifacts), {"step_000000.lua", "step_000013.lua"})
  test.equal(host.file.read(artifacts .. "/step_000000.lua"), POLICY)
  mlflow.set_tracking_uri("")
end)

test.case("a file that is wrong from the start is an error", function()
  local path = test.tmpdir() .. "/p.lua"
  test.raises("cannot open", function() train.reload(path) end)
  host.file.write_atomic(path, "return 3")
  test.raises("must return a callback or a list of callbacks, got number 3", function() train.reload(path) end)
  host.file.write_atomic(path, "return {")
  test.raises("p.lua:1:", function() train.reload(path) end)
  test.raises("interval must be a number of 0 or more", function() train.reload(path, {interval = -1}) end)
  test.raises("expected the path of a Lua file, got nil", function() train.reload() end)
end)
