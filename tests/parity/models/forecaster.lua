-- How the forecaster is trained by the parity test and the benchmark; forecaster.py line by line.
local torch = require "torch"
local Forecaster = require "models.forecaster"
local F = torch.nn.functional

return function(c)
  local net = Forecaster(1, c.hidden_size, 1)
  local optimizer = torch.optim.AdamW(net:parameters(), {lr = 3e-3, weight_decay = 0.01})
  local series = torch.randn(c.batch + c.window)
  local x, y = series:narrow(0, 0, c.batch + c.window - 1):unfold(0, c.window, 1):unsqueeze(2), series:narrow(0, c.window, c.batch)

  local function loss() return F.smooth_l1_loss(net(x), y) end

  return {modules = {net}, optimizer = optimizer, loss = loss, clip_norm = 1.0, samples = c.batch}
end
