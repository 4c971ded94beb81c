-- Samples a second of the loader over Fashion-MNIST with 0, 1 and 2 workers: lines "WORKERS SAMPLES_PER_SECOND".
local host = require "host"
local torch = require "torch"
local set = torch.datasets.fashion_mnist().train

for workers = 0, 2 do
  local loader = torch.utils.data.DataLoader(set, {batch_size = 64, shuffle = true, seed = 1, workers = workers})
  local best = math.huge
  for _ = 1, 3 do
    local began, samples = host.clock(), 0
    for x in loader:iter() do samples = samples + x:size(0) end
    assert(samples == #set)
    best = math.min(best, host.clock() - began)
  end
  print(workers, #set / best)
end
