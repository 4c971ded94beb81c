-- What finalizers of a script reach while its state closes.
local test = require "test"
local host = require "host"

-- Runs a script in a process of its own; its exit code and what it printed.
local function run(code)
  local path = test.tmpdir() .. "/script.lua"
  host.file.write_atomic(path, code)
  local process = io.popen(("cd '%s' && /proc/%d/exe '%s' 2>&1"):format(path:match "^(.*)/", host.pid(), path))
  local text = process:read("a")
  local _, _, status = process:close()
  return status, text
end

for name, code in pairs {
  ["a function under a mode"] = [[
    local torch = require "torch"
    local f = torch.no_grad()(function() return 1 end)
    setmetatable({}, {__gc = function() print(pcall(f)) end})]],
  ["an event file"] = [[
    setmetatable({}, {__gc = function() print(pcall(function()
      return require("torch").utils.tensorboard.SummaryWriter("events") end)) end})
    local torch = require "torch"
    local _ = torch.utils.tensorboard]],
  ["a run"] = [[
    setmetatable({}, {__gc = function() print(pcall(function() return require("mlflow").start_run() end)) end})
    require "mlflow"]],
} do
  test.case("a finalizer that reaches " .. name .. " ends no process", function()
    local status, text = run(code)
    test.truthy(status == 0, text)
  end)
end
