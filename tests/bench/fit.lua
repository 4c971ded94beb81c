-- The benchmark's subject: train.fit beside the same loop by hand, in turns, and what an event costs.
local torch, train = require "torch", require "train"
local nn, F = torch.nn, torch.nn.functional

local rows, batch, epochs, turns = 60000, 64, 1, 5
local x, y = torch.randn(rows, 784), torch.randint(0, 10, {rows})
local loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), {batch_size = batch})

local function model()
  torch.manual_seed(1)
  local net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
  return net, torch.optim.Adam(net:parameters(), {lr = 1e-3})
end

local function raw()
  local net, optimizer = model()
  local total, count = 0, 0
  for xb, yb in loader:iter() do
    optimizer:zero_grad()
    local loss = F.cross_entropy(net(xb), yb)
    loss:backward()
    optimizer:step()
    total, count = total + loss:item() * #xb, count + #xb
  end
  return total / count
end

local function fit()
  local net, optimizer = model()
  return train.fit{model = net, optimizer = optimizer, loss = F.cross_entropy, train = loader, epochs = epochs, quiet = true}.loss[1]
end

local function time(f)
  local began = os.clock()
  local loss = f()
  return (os.clock() - began) / #loader * 1e6, loss
end

raw()
for turn = 1, turns do
  local first, second = raw, fit
  if turn % 2 == 0 then first, second = fit, raw end
  local a, loss_a = time(first)
  local b, loss_b = time(second)
  assert(math.abs(loss_a - loss_b) < 1e-6, "the two loops differ")
  print(("step\t%.2f\t%.2f"):format(first == raw and a or b, first == raw and b or a))
end

local function event(callbacks)
  local state, count = train.state{callbacks = callbacks}, 1000000
  local began = os.clock()
  for _ = 1, count do state:emit("after_backward") end
  return (os.clock() - began) / count * 1e6
end

for _ = 1, turns do
  local none, one = event {}, event {{on_after_backward = function() end}}
  print(("hook\t%.4f\t%.4f"):format(none, one))
end
