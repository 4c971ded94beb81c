-- How ResNet-18 is trained by the parity test and the benchmark; resnet18.py line by line.
local torch = require "torch"
local ResNet = require "models.resnet18"
local F = torch.nn.functional

return function(c)
  local net = ResNet {num_classes = 10, width = c.width, small = c.small}
  local optimizer = torch.optim.SGD(net:parameters(), {lr = 0.05, momentum = 0.9, weight_decay = 5e-4})
  local x, y = torch.randn(c.batch, 3, c.size, c.size), torch.randint(0, 10, {c.batch})

  local function loss() return F.cross_entropy(net(x), y) end

  return {modules = {net}, optimizer = optimizer, loss = loss, samples = c.batch}
end
