-- How the detector is trained by the parity test and the benchmark; detector.py line by line.
local torch = require "torch"
local Detector = require "models.detector"

return function(c)
  local net = Detector {width = c.width}
  local optimizer = torch.optim.AdamW(net:parameters(), {lr = 1e-3})
  local x = torch.rand(c.batch, 1, c.size, c.size)
  local corner, sides = torch.rand(c.batch, c.objects, 2) * (c.size - 28), torch.rand(c.batch, c.objects, 2) * 16 + 12
  local boxes = torch.cat({corner, corner + sides}, 2)
  local labels = torch.randint(-1, 10, {c.batch, c.objects})

  local function loss()
    local logits, found, centers = net(x)
    local classes, giou = net:losses(logits, found, centers, boxes, labels)
    local total = classes + giou
    return total, classes, giou
  end

  return {modules = {net}, optimizer = optimizer, loss = loss, samples = c.batch}
end
