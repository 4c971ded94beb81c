-- The cost of one call of each operator of operators.txt: "name<tab>nanoseconds", the least of several rounds.
local torch = require "torch"

local ROUNDS <const>, CALLS <const> = 7, 3000
local place = arg[0]:match "^(.*)/" or "."
torch.set_num_threads(1)
torch.manual_seed(0)
local environment = setmetatable({
  torch = torch, F = torch.nn.functional,
  x = torch.randn(4, 4), y = torch.randn(4, 4), z = torch.zeros(4, 4), b = torch.randn(4), s = torch.tensor(1.5),
  k = torch.tensor {0, 2, 1, 3}, m = torch.randn(4, 4):gt(0), i = torch.randn(1, 2, 6, 6), w = torch.randn(3, 2, 3, 3),
}, {__index = _G})

for line in io.lines(place .. "/operators.txt") do
  local name, code = line:match "^(.-)%s*|%s*(.-)%s*|"
  local statement = code:find " = %d+$" and code or "local _ = " .. code
  local run = assert(load(([[
    local torch, F, x, y, z, b, s, k, m, i, w = torch, F, x, y, z, b, s, k, m, i, w
    return function(count) for _ = 1, count do %s end end]]):format(statement), "=" .. name, "t", environment))()
  run(CALLS // 3)
  local least = math.huge
  for _ = 1, ROUNDS do
    local began = os.clock()
    run(CALLS)
    least = math.min(least, os.clock() - began)
  end
  print(("%s\t%.1f"):format(name, least / CALLS * 1e9))
end
