-- How MobileNetV2 is trained by the parity test and the benchmark; mobilenet_v2.py line by line.
local torch = require "torch"
local MobileNetV2 = require "models.mobilenet_v2"
local F = torch.nn.functional

return function(c)
  local net = MobileNetV2 {num_classes = 10, width = c.width, small = c.small}
  local optimizer = torch.optim.RMSprop(net:parameters(), {lr = 0.01, alpha = 0.9, eps = 1e-3, weight_decay = 4e-5,
    momentum = 0.9})
  local x, y = torch.randn(c.batch, 3, c.size, c.size), torch.randint(0, 10, {c.batch})

  local function loss() return F.cross_entropy(net(x), y, {label_smoothing = 0.1}) end

  return {modules = {net}, optimizer = optimizer, loss = loss, samples = c.batch}
end
