-- `trainhost new FOLDER`: a small project that trains as it stands, without a network or a data set.
local file = require "native.file"
local usage = require "host.usage"

local kFailed <const> = 1

local TRAIN <const> = [==[
-- Learns to tell two spirals apart: a model, a training loop with policies, an MLflow run. `trainhost train.lua`
local torch, train, mlflow, host = require "torch", require "train", require "mlflow", require "host"
local spirals = require "spirals"  -- spirals.lua beside this file
local nn, F, data = torch.nn, torch.nn.functional, torch.utils.data

local lr = host.param("lr", 1e-2, {min = 0})  -- trainhost train.lua --set lr=0.003
local epochs = host.param("epochs", 30, {min = 1})
local seed = host.param("seed", 0)

torch.manual_seed(seed)

local net = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2))

mlflow.set_experiment("spirals")
local run <close> = mlflow.start_run {run_name = "first"}  -- kept in ./mlflow.db: `mlflow ui` shows it

local history = train.fit {
  model = net, optimizer = torch.optim.AdamW(net:parameters(), {lr = lr}), loss = F.cross_entropy, epochs = epochs,
  train = data.DataLoader(spirals(400), {batch_size = 64, shuffle = true, seed = seed}),
  valid = data.DataLoader(spirals(100), {batch_size = 200}),
  metrics = {accuracy = train.metrics.Accuracy()},
  callbacks = {
    train.EarlyStopping {monitor = "val_loss", patience = 10, restore_best_weights = true},
    -- A policy of your own is a function of the one state table.
    train.on("epoch_end", {every = 10}, function(state) run:log_text(tostring(state.logs), "notes.txt") end),
    mlflow.callback(),
  },
}
print(("accuracy %.3f after %d epochs"):format(history.val_accuracy[#history.val_accuracy], #history.epoch))
]==]

local DATA <const> = [==[
-- The data: two spirals to tell apart.
local torch = require "torch"

-- Two arms of `count` points each, with a little noise: x is [2 * count, 2], y the arm.
return function(count)
  local t = torch.linspace(0.5, 3.5, count)
  local arm = torch.stack({t * torch.cos(2 * t), t * torch.sin(2 * t)}, 1)
  local x = torch.cat({arm, -arm}) + 0.1 * torch.randn(2 * count, 2)
  local y = torch.cat({torch.zeros(count, {dtype = torch.int64}), torch.ones(count, {dtype = torch.int64})})
  return torch.utils.data.TensorDataset(x, y)
end
]==]

local TEST <const> = [==[
-- `trainhost test .` runs what is in tests.
local spirals = require "spirals"
local test = require "test"
local torch = require "torch"

test.case("a spiral has as many points in each arm", function()
  local x, y = table.unpack(spirals(50).tensors)
  test.equal({x:size(0), x:size(1)}, {100, 2})
  test.equal(y:sum():item(), 50)
  test.truthy(torch.isfinite(x):all():item())
end)
]==]

local IGNORED <const> = [[
.trainhost/
mlflow.db*
mlruns/
mlartifacts/
out/
]]

-- What lua-language-server reads: completion and checks of torch, train, mlflow, host and test.
local EDITOR <const> = [[
{
  "$schema": "https://raw.githubusercontent.com/LuaLS/vscode-lua/master/setting/schema.json",
  "runtime.version": "Lua 5.4",
  "workspace.library": [".trainhost/stubs"],
  "workspace.checkThirdParty": false,
  "workspace.ignoreDir": [".trainhost"],
  "diagnostics.globals": ["help"]
}
]]

local FILES <const> = {{"train.lua", TRAIN}, {"spirals.lua", DATA}, {"tests/spirals.lua", TEST}, {".luarc.json", EDITOR},
  {".gitignore", IGNORED}}

-- Does the folder hold anything but a repository's own files?
local function is_taken(folder)
  if not file.exists(folder) then return false end
  if not file.is_folder(folder) then return true end
  for _, name in ipairs(file.list(folder)) do
    if name ~= ".git" then return true end
  end
  return false
end

local function make(folder)
  file.mkdir(folder .. "/tests")
  for _, each in ipairs(FILES) do
    local path = folder .. "/" .. each[1]
    file.write_atomic(path, each[2])
    print(path)
  end
  local stubs = folder .. "/.trainhost/stubs"
  require("host.stubs.write")(stubs)
  print(stubs)
end

--- Does what the command line asks for.
---@param args string[]
---@return integer code 0, 1 if the folder is not empty or a file cannot be written, 2 for a wrong command line
return function(args)
  if usage.asked("new", args) then return 0 end
  if args[1] and args[1]:sub(1, 1) == "-" then return usage.wrong("new", ("unknown option '%s'"):format(args[1])) end
  if #args ~= 1 or args[1] == "" then return usage.wrong("new", "expected one folder") end
  if is_taken(args[1]) then
    io.stderr:write(("trainhost new: '%s' exists and is not empty; nothing is written (trainhost stubs %s/.trainhost/stubs "
      .. "renews the editor's stubs)\n"):format(args[1], args[1]))
    return kFailed
  end
  local done, err = pcall(make, args[1])
  if not done then
    io.stderr:write("trainhost new: ", tostring(err), "\n")
    return kFailed
  end
  local folder = args[1]
  if folder:find("[^%w%._/%-]") then folder = "'" .. folder:gsub("'", "'\\''") .. "'" end  -- as a shell reads it
  print(("\nnow: cd %s && trainhost train.lua"):format(folder))
  return 0
end
