-- The benchmark of memory, one workload a run: see memory.py, its peer line by line. Prints what it measured itself.
local host, torch = require "host", require "torch"
local nn, F = torch.nn, torch.nn.functional

torch.manual_seed(1)

local workloads = {}

-- Inference: each product needs the one before and nothing else.
function workloads.chain()
  torch.no_grad(function()
    local a, b = torch.randn(1000, 1000), torch.randn(1000, 1000) / 1000 ^ 0.5
    for _ = 1, 300 do a = a:matmul(b) end
  end)
end

-- Operators that cost little more than their memory.
function workloads.pointwise()
  local a = torch.randn(1000, 1000)
  for _ = 1, 300 do (a + 1):mul(2):sub(3):div(4):abs():mean():item() end
end

-- Training steps of a deep network: what backward needs is most of what is live.
function workloads.deep()
  local net = nn.Sequential()
  for i = 0, 49 do
    net:add_module(("linear%d"):format(i), nn.Linear(512, 512))
    net:add_module(("relu%d"):format(i), nn.ReLU())
  end
  local optimizer = torch.optim.Adam(net:parameters(), {lr = 1e-3})
  for _ = 1, 5 do
    local loss = F.mse_loss(net(torch.randn(1024, 512)), torch.zeros(1024, 512))
    optimizer:zero_grad()
    loss:backward()
    optimizer:step()
  end
end

-- Many small tensors, beside a script's own tables.
function workloads.small()
  local tables = {}
  for i = 1, 100000 do tables[i] = {i} end
  local x = torch.ones(4)
  for _ = 1, 300000 do x = x * 0.5 + 1 end
  assert(#tables == 100000 and x:sum():item() == 8)
end

-- Operators of 64 KB beside 300,000 tables of the script: what a collection has to walk.
function workloads.heap()
  local tables = {}
  for i = 1, 300000 do tables[i] = {i, {i}} end
  local x = torch.ones(128, 128)
  for _ = 1, 30000 do x = x * 0.5 + 1 end
  assert(#tables == 300000)
end

-- A list of results that grows: more and more is live while garbage is made.
function workloads.list()
  local kept, x = {}, torch.randn(64, 64)
  for i = 1, 20000 do kept[i] = (x + i):mul(2):relu() end
  assert(#kept == 20000)
end

-- Small training steps for ever: what is not given back adds up. Prints resident KB twenty times.
function workloads.leak()
  local steps = math.tointeger(tonumber(host.args[2])) or 1000000
  local net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
  local optimizer = torch.optim.SGD(net:parameters(), {lr = 1e-2})
  local x, y = torch.randn(4, 8), torch.randn(4, 1)
  local function resident()
    for line in io.lines "/proc/self/status" do
      local kilobytes = line:match "^VmRSS:%s+(%d+)"
      if kilobytes then return kilobytes end
    end
  end
  for step = 1, steps do
    local loss = F.mse_loss(net(x), y)
    optimizer:zero_grad()
    loss:backward()
    optimizer:step()
    if step % (steps // 20) == 0 then
      host.collect()
      print("resident", resident())
    end
  end
end

-- The same with products that each are as large as several budgets of the collector.
function workloads.large()
  torch.no_grad(function()
    local a, b = torch.randn(4096, 4096), torch.eye(4096)
    for _ = 1, 40 do a = a * 0.5 + b end
  end)
end

workloads[host.args[1]]()
if os.getenv "SHOW_COLLECTIONS" then
  local bytes = host.native_bytes()
  print("collections", bytes.collections, bytes.full_collections)
end
