-- `trainhost new FOLDER`: a small project that trains as it stands, without a network or a data set.
local file = require "native.file"
local host = require "host"

local kFailed <const>, kUsage <const> = 1, 2

local TRAIN <const> = [==[
-- Learns to tell two spirals apart: a model, a training loop with policies, an MLflow run. `trainhost train.lua`
local torch, train, mlflow, host = require "torch", require "train", require "mlflow", require "host"
local nn, F, data = torch.nn, torch.nn.functional, torch.utils.data

local lr = host.param("lr", 1e-2, {min = 0})  -- trainhost train.lua --set lr=0.003
local epochs = host.param("epochs", 30, {min = 1})
local seed = host.param("seed", 0)

torch.manual_seed(seed)

-- Two arms of `count` points each, with a little noise: x is [2 * count, 2], y the arm.
local function spirals(count)
  local t = torch.linspace(0.5, 3.5, count)
  local arm = torch.stack({t * torch.cos(2 * t), t * torch.sin(2 * t)}, 1)
  local x = torch.cat({arm, -arm}) + 0.1 * torch.randn(2 * count, 2)
  local y = torch.cat({torch.zeros(count, {dtype = torch.int64}), torch.ones(count, {dtype = torch.int64})})
  return data.TensorDataset(x, y)
end

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

local FILES <const> = {{"train.lua", TRAIN}, {".luarc.json", EDITOR}, {".gitignore", IGNORED}}

-- Writes what is not there yet; the stubs are made anew each time.
local function make(folder)
  file.mkdir(folder)
  for _, each in ipairs(FILES) do
    local path = folder .. "/" .. each[1]
    if file.exists(path) then
      host.log.warn(path .. " exists and is left as it is")
    else
      file.write_atomic(path, each[2])
      print(path)
    end
  end
  local stubs = folder .. "/.trainhost/stubs"
  require("host.stubs.write")(stubs)
  print(stubs)
end

--- Does what the command line asks for.
---@param args string[]
---@return integer code 0, 1 if a file cannot be written, 2 for a wrong command line
return function(args)
  if #args ~= 1 or args[1]:sub(1, 1) == "-" then
    io.stderr:write("trainhost new expects one folder: trainhost new spirals\n")
    return kUsage
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
