-- The benchmark's subject: what mlp.cpp does, as a script.
local torch = require "torch"
local nn, F = torch.nn, torch.nn.functional

local calls, rows = 200000, 60000

local function bench_call()
  local a, b = torch.randn(4), torch.randn(4)
  local add, began = torch.add, nil
  for i = -calls // 10, calls do
    if i == 0 then began = os.clock() end
    local _ = add(a, b)
  end
  print(("call %.1f"):format((os.clock() - began) / calls * 1e9))
end

local function bench_steps()
  local x, y = torch.randn(rows, 784), torch.randint(0, 10, {rows})
  local net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
  local optimizer = torch.optim.Adam(net:parameters(), {lr = 1e-3})
  for _, batch in ipairs{16, 64, 256} do
    local steps, began = math.min(rows // batch, 1500), nil
    local warm_up = steps // 10
    for i = 0, steps - 1 do
      if i == warm_up then began = os.clock() end
      local xb, yb = x:narrow(0, i * batch, batch), y:narrow(0, i * batch, batch)
      local loss = F.cross_entropy(net(xb), yb)
      optimizer:zero_grad()
      loss:backward()
      optimizer:step()
    end
    print(("mlp%d %.2f"):format(batch, (os.clock() - began) / (steps - warm_up) * 1e6))
  end
end

bench_call()
bench_steps()
