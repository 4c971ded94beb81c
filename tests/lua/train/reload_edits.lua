-- train.reload and host.reload while files are edited in every way: the training goes on as if nothing had happened.
local host = require "host"
local mlflow = require "mlflow"
local test = require "test"
local torch = require "torch"
local train = require "train"

local POLICY <const> = [[
local schedule = require "reload_edits_schedule"
local seen = math.random()
return {
  {name = "decay", count = 0, on_batch_end = function(self, state)
    self.count = self.count + 1
    local group = state.optimizer.param_groups[1]
    group.lr = schedule(self.count)
  end},
  {name = "watch", best = math.huge, seen = seen, on_epoch_end = function(self, state)
    self.best = math.min(self.best, state.logs.loss)
    state.logs.best = self.best
  end},
}
]]
local SCHEDULE <const> = "local base = 0.05\nreturn function(count) return base / (1 + count / 1000) end\n"

local function write(path, text)
  local f <close> = io.open(path, "w")
  f:write(text)
end

-- How a text gets into a file. What is returned ends it.
local WAYS <const> = {
  host.file.write_atomic, write,
  function(path, text)
    local f = io.open(path, "w")
    f:write(text:sub(1, #text // 2))
    f:flush()
    return function()
      f:write(text:sub(#text // 2 + 1))
      f:close()
    end
  end,
}

local HARM <const> = "state.optimizer.param_groups[1].lr = 9 self.count = 5 math.random() require('torch').rand(1) error 'hook'"
local EDITS <const> = {  -- of the policies, then of the module
  function(text) return text .. "\nif" end,
  function() return "local x\nmath.random() require('torch').rand(3) x.y = 1" end,
  function(text) return (text:gsub("seen", "known")) end,
  function(text) return (text:gsub("local group", "local g"):gsub("group%.lr", "g.lr")) end,
  function(text) return text .. "math.random()" end,
  function(text, number) return ("-- %d\n%s"):format(number, text) end,
  function(text) return (text:gsub("self.count = self.count %+ 1", HARM)) end,
  function(text) return (text:gsub("self.count = self.count %+ 1", function(line)  -- some calls later
    return ("%s if state.step %% 7 == 3 then %s end"):format(line, HARM)
  end)) end,
  function(text) return (text:gsub("on_batch_end", "on_batch_ends")) end,
  function() return "" end,
  function() return "return 5" end,
  false,
}
local OF_MODULE <const> = {
  function(text) return (text:gsub("base", "rate")) end, function(text) return text .. "if" end,
  function() return "error 'module'" end, function(text) return (text:gsub("base /", "nothing /")) end, false,
}

-- Trains for a while, with an edit every few steps where `seed` is given; the losses and what random numbers come after.
local function run(seed)
  local folder = test.tmpdir()
  local path, module = folder .. "/policies.lua", folder .. "/reload_edits_schedule.lua"
  local search = package.path
  package.path = folder .. "/?.lua;" .. search
  package.loaded.reload_edits_schedule = nil
  local _ <close> = setmetatable({}, {__close = function() package.path = search end})
  write(path, POLICY)
  write(module, SCHEDULE)
  local word = seed
  local function draw(n)
    word = (word * 1103515245 + 12345) % 2147483648
    return 1 + (word >> 8) % n
  end
  local finish
  local function edit(number)
    if finish then
      finish()
      finish = nil
      return
    end
    local of_module = draw(3) == 1
    local list, place = of_module and OF_MODULE or EDITS, of_module and module or path
    local made = list[draw(#list)]
    if not made then os.remove(place) else finish = WAYS[draw(#WAYS)](place, made(of_module and SCHEDULE or POLICY, number)) end
  end
  torch.manual_seed(1)
  math.randomseed(1)
  local x = torch.randn(16, 3)
  local model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.3), torch.nn.Linear(4, 1))
  local losses = {}
  train.fit {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1}), loss = "mse", epochs = 100, quiet = true,
    train = {x, x:sum(1, {keepdim = true}) * 0.5}, batch_size = 4, shuffle = true, seed = 3, callbacks = {
      train.on("batch_end", function(state)
        losses[#losses + 1] = state.loss:item() + math.random()
        if seed and draw(3) == 1 then edit(#losses) end
      end),
      train.reload(path, {interval = 0}),
    }}
  if finish then finish() end
  losses[#losses + 1] = math.random()
  losses[#losses + 1] = torch.rand(1):item()
  return losses
end

test.case("edits of every kind, every few steps, change no loss and no random number", function()
  local plain = run()
  test.equal(#plain, 402)
  for seed = 1, 3 do
    local losses
    local texts = test.warnings(function() losses = run(seed) end)
    test.equal(losses, plain)
    test.truthy(#texts > 10, #texts)
    for _, text in ipairs(texts) do test.truthy(not text:find("\n"), text) end
  end
end)

-- A state whose epochs end when asked, with the policies of a file that write their number into the logs.
local function open(text)
  local path = test.tmpdir() .. "/p.lua"
  write(path, text)
  local state = train.state {callbacks = {train.reload(path, {interval = 0})}, attach = false}
  state:emit("train_begin")
  return path, function()
    state:emit("epoch_begin")
    state:emit("epoch_end")
    return state.user.number
  end, state
end

local function numbered(number)
  return ("return {name = 'p', on_epoch_end = function(_, state) state.user.number = %d end}"):format(number)
end

local function empty(path) write(path, "") end

for why, harm in pairs {gone = os.remove, empty = empty} do
  test.case(("a file that is %s is warned of once, and taken when it is back"):format(why), function()
    local path, epoch, state = open(numbered(1))
    local texts = test.warnings(function()
      test.equal(epoch(), 1)
      harm(path)
      test.equal(epoch(), 1)
      for _ = 1, 5 do
        host.sleep(0.03)
        test.equal(epoch(), 1)
      end
    end)
    test.equal(texts, {("train.reload: p.lua: the file is %s; the code of before goes on"):format(why)})
    write(path, numbered(2))
    epoch()
    test.equal(epoch(), 2)
    texts = test.warnings(function()
      harm(path)
      epoch()
      state:emit("train_end")  -- before a moment has passed
    end)
    test.equal(#texts, 1)
  end)
end

test.case("a file that an editor takes away for a moment is not warned of", function()
  local path, epoch = open(numbered(1))
  local texts = test.warnings(function()
    os.rename(path, path .. "~")
    epoch()
    write(path, numbered(2))
    epoch()
    test.equal(epoch(), 2)
  end)
  test.equal(texts, {})
end)

test.case("a file that is replaced by one as old and as long is seen", function()
  local path, epoch = open(numbered(1))
  os.execute(("touch -d '2020-01-01 00:00:00' '%s'"):format(path))
  epoch()
  host.sleep(0.06)
  epoch()
  local other = path .. ".new"
  write(other, numbered(2))
  os.execute(("touch -d '2020-01-01 00:00:00' '%s'"):format(other))
  os.rename(other, path)
  epoch()
  test.equal(epoch(), 2)
end)

test.case("every one of many changes within a second is seen", function()
  local path, epoch = open(numbered(1))
  for number = 2, 30 do
    write(path, numbered(number))
    epoch()
    test.equal(epoch(), number)
  end
end)

test.case("a file that is being written is waited for", function()
  local path, epoch = open(numbered(1))
  local texts = test.warnings(function()
    local f = io.open(path, "w")
    f:write("return {name = 'p', on_epoch_end = function(_, state) state.user.number = 2 end}, ")
    f:flush()
    epoch()
    test.equal(epoch(), 1)
    f:write("nil")
    f:close()
    epoch()
    test.equal(epoch(), 2)
  end)
  test.equal(texts, {})
end)

test.case("a module that the file requires is followed, its versions are artifacts too", function()
  local folder = test.tmpdir()
  local search = package.path
  package.path = folder .. "/?.lua;" .. search
  local _ <close> = setmetatable({}, {__close = function() package.path = search end})
  mlflow.set_tracking_uri("sqlite:///" .. folder .. "/mlflow.db")
  write(folder .. "/reload_edits_inner.lua", "return {number = 1}")
  write(folder .. "/reload_edits_outer.lua", "return require('reload_edits_inner').number")
  write(folder .. "/p.lua", [[
    local number = require "reload_edits_outer"
    return {name = "p", on_epoch_end = function(_, state) state.user.number = number end}]])
  local uri
  do
    local active <close> = mlflow.start_run()
    uri = active:get_artifact_uri("reload/p"):gsub("^file://", "")
    local state = train.state {callbacks = {train.reload(folder .. "/p.lua", {interval = 0})}, attach = false}
    local function epoch()
      state:emit("epoch_begin")
      state:emit("epoch_end")
      return state.user.number
    end
    state:emit("train_begin")
    test.equal(epoch(), 1)
    write(folder .. "/reload_edits_inner.lua", "return {number = 2}")
    epoch()
    test.equal(epoch(), 2)
    local texts = test.warnings(function()
      write(folder .. "/reload_edits_inner.lua", "return {number = 3")
      epoch()
      test.equal(epoch(), 2)
    end)
    test.equal(#texts, 1)
    write(folder .. "/reload_edits_inner.lua", "return {number = 4}")
    epoch()
    test.equal(epoch(), 4)
    test.equal(require "reload_edits_outer", 4)
  end
  mlflow.flush()
  mlflow.set_tracking_uri("")
  test.equal(host.file.list(uri), {"step_000000", "step_000000.lua", "step_000000_2", "step_000000_2.lua", "step_000000_3",
    "step_000000_3.lua"})
  test.equal(host.file.read(uri .. "/step_000000_2/reload_edits_inner.lua"), "return {number = 2}")
end)

test.case("two files of one name in two folders have artifacts of their own", function()
  local folder = test.tmpdir()
  mlflow.set_tracking_uri("sqlite:///" .. folder .. "/mlflow.db")
  local uri
  do
    local active <close> = mlflow.start_run()
    uri = active:get_artifact_uri("reload"):gsub("^file://", "")
    for _, name in ipairs {"a", "b"} do
      host.file.mkdir(folder .. "/" .. name)
      write(("%s/%s/p.lua"):format(folder, name), ("return {name = '%s', on_epoch_end = print}"):format(name))
    end
    local state = train.state {callbacks = {train.reload {files = {folder .. "/a/p.lua", folder .. "/b/p.lua"}}}, attach = false}
    state:emit("train_begin")
  end
  mlflow.flush()
  mlflow.set_tracking_uri("")
  test.equal(host.file.list(uri), {"p", "p_2"})
end)

test.case("host.reload keeps random numbers, follows modules, and tells of a file that is gone", function()
  local folder = test.tmpdir()
  local search = package.path
  package.path = folder .. "/?.lua;" .. search
  local _ <close> = setmetatable({}, {__close = function() package.path = search end})
  write(folder .. "/reload_edits_unit.lua", "return 1")
  write(folder .. "/m.lua", "local unit = require 'reload_edits_unit' return {times = function(x) return x * unit end}")
  local proxy = host.reload(folder .. "/m.lua")
  test.equal(proxy.times(2), 2)
  math.randomseed(5)
  local expected = math.random()
  math.randomseed(5)
  write(folder .. "/reload_edits_unit.lua", "math.random() return 10")
  test.equal(proxy.times(2), 20)
  test.equal(math.random(), expected)
  local texts = test.warnings(function()
    os.remove(folder .. "/m.lua")
    for _ = 1, 6 do
      test.equal(proxy.times(2), 20)
      host.sleep(0.03)
    end
  end)
  test.equal(texts, {"host.reload: m.lua: the file is gone; the code of before goes on"})
end)
