-- The benchmark's subject: what logging costs. tracking.lua -- WHAT URI COUNT: one of the functions below.
local host, mlflow = require "host", require "mlflow"

local what, uri, count = host.args[1], host.args[2], math.tointeger(tonumber(host.args[3]))
local clock, cpu_clock <const> = host.clock, host.cpu_clock
mlflow.set_tracking_uri(uri)

local function tell(name, seconds) print(("%s\t%.3f"):format(name, seconds * 1e6)) end

local subjects = {}

-- Each call alone, while a store is behind it.
function subjects.call()
  local run <close> = mlflow.start_run()
  local took = {}
  for i = 1, count do
    local began = clock()
    run:log_metric("loss", i, i)
    took[i] = clock() - began
  end
  for i = 1, count do tell("call", took[i]) end
end

-- Each call alone, between steps of a training, whose data and code are in the caches instead of ours.
function subjects.between()
  local step = subjects.training()
  local run <close> = mlflow.start_run()
  local took = {}
  for i = 1, count do
    step()
    local began = clock()
    run:log_metric("loss", i, i)
    took[i] = clock() - began
  end
  for i = 1, count do tell("between", took[i]) end
end

-- Each call, and the wait until it survives a power cut in the store.
function subjects.durable()
  local run <close> = mlflow.start_run()
  for i = 1, count do
    local began = clock()
    run:log_metric("loss", i, i)
    assert(run:flush())
    tell("durable", clock() - began)
  end
end

function subjects.deliver()
  local run <close> = mlflow.start_run()
  local began = clock()
  for i = 1, count do run:log_metric("loss", i, i) end
  tell("logged", clock() - began)
  assert(run:flush(600))
  tell("delivered", clock() - began)
end

function subjects.start()
  local began = clock()
  local run <close> = mlflow.start_run()
  tell("start", clock() - began)
  run:set_tag("bench", "start")
end

-- How long the process lives after its last line: what waits is stored first.
function subjects.exit()
  do
    local run <close> = mlflow.start_run()
    for i = 1, count do run:log_metric("loss", i, i) end
  end
  print(("ended\t%.6f"):format(host.time()))
end

function subjects.training()
  local torch = require "torch"
  torch.manual_seed(1)
  local nn = torch.nn
  local net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
  local optimizer = torch.optim.Adam(net:parameters(), {lr = 1e-3})
  local x, y = torch.randn(64, 784), torch.randint(0, 10, {64})
  return function()
    optimizer:zero_grad()
    local loss = nn.functional.cross_entropy(net(x), y)
    loss:backward()
    optimizer:step()
    return loss:item()
  end
end

-- A step without and one with logging, in turns; and two without, which tells how far such figures are to be believed.
function subjects.step()
  local step = subjects.training()
  local run <close> = mlflow.start_run()
  local function time(f)
    local wall, cpu = clock(), cpu_clock()
    f()
    return cpu_clock() - cpu, clock() - wall
  end
  for i = 1, count do
    local function logged()
      local loss = step()
      run:log_metric("loss", loss, i)
      run:log_metric("lr", 1e-3, i)
    end
    -- Which comes first changes: the first of a pair finds the caches as the second of the last one left them.
    local kinds = i % 2 == 0 and {{"without", step}, {"with", logged}} or {{"with", logged}, {"without", step}}
    for _, kind in ipairs(kinds) do
      local cpu, wall = time(kind[2])
      print(("%s\t%.3f\t%.3f"):format(kind[1], cpu * 1e6, wall * 1e6))
    end
    local names = i % 2 == 0 and {"control a", "control b"} or {"control b", "control a"}
    for _, name in ipairs(names) do
      local cpu, wall = time(step)
      print(("%s\t%.3f\t%.3f"):format(name, cpu * 1e6, wall * 1e6))
    end
  end
end

subjects[what]()
