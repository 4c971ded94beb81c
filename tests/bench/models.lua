-- The benchmark of one real model: the median of its training steps in microseconds of CPU time, and their samples.
local host, torch = require "host", require "torch"

torch.set_num_threads(1)
local training, sizes = dofile(arg[0]:match("^(.*)bench/") .. "parity/models/load.lua")(host.args[1], "bench")
local step, times = training.step, {}
for i = -1, sizes.steps do  -- the first two warm up
  local began = os.clock()
  step()
  if i > 0 then times[i] = os.clock() - began end
end
table.sort(times)
local half = #times // 2
local median = #times % 2 == 1 and times[half + 1] or (times[half] + times[half + 1]) / 2
print(("%.1f %d"):format(median * 1e6, training.samples))
