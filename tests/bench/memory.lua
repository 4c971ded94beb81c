-- The benchmark of peak memory: chained matmuls or pointwise operators without gradients, or training steps of 50
-- layers.
local host, torch = require "host", require "torch"
local nn, F = torch.nn, torch.nn.functional

torch.manual_seed(1)
if host.args[1] == "chain" then
  torch.no_grad(function()
    local a, b = torch.randn(1000, 1000), torch.randn(1000, 1000) / 1000 ^ 0.5
    for _ = 1, 300 do a = a:matmul(b) end
  end)
elseif host.args[1] == "pointwise" then
  local a = torch.randn(1000, 1000)
  for _ = 1, 300 do (a + 1):mul(2):sub(3):div(4):abs():mean():item() end
else
  local net = nn.Sequential()
  for i = 0, 49 do
    net:add_module(("linear%d"):format(i), nn.Linear(512, 512))
    net:add_module(("relu%d"):format(i), nn.ReLU())
  end
  local optimizer = torch.optim.Adam(net:parameters(), {lr = 1e-3})
  for _ = 1, 3 do
    local loss = F.mse_loss(net(torch.randn(1024, 512)), torch.zeros(1024, 512))
    optimizer:zero_grad()
    loss:backward()
    optimizer:step()
  end
end
