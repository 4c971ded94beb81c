-- The cost of one step of each optimizer over 10, 100 and 1,000 parameters of 16 x 16, as a user gets it without choosing
-- kernels: "name<tab>count<tab>variant<tab>microseconds", the least of several rounds.
local torch = require "torch"

local ROUNDS <const> = 5
torch.set_num_threads(1)

local OPTIONS <const> = {
  Adadelta = {}, Adafactor = {}, Adagrad = {}, Adam = {}, AdamW = {}, SparseAdam = {}, Adamax = {}, ASGD = {},
  LBFGS = {max_iter = 1}, Muon = {}, NAdam = {}, RAdam = {}, RMSprop = {}, Rprop = {}, SGD = {momentum = 0.9},
}
local names = {}
for name in pairs(OPTIONS) do names[#names + 1] = name end
table.sort(names)

local function made(name, count)
  torch.manual_seed(0)
  local params = {}
  for i = 1, count do
    params[i] = torch.randn(16, 16):requires_grad_()
    params[i].grad = torch.randn(16, 16)
    if name == "SparseAdam" then
      params[i].grad = torch.sparse_coo_tensor(torch.tensor {{1, 5, 7}}, torch.randn(3, 16), {16, 16}):coalesce()
    end
  end
  return torch.optim[name](params, OPTIONS[name])
end

for _, name in ipairs(names) do
  for _, count in ipairs {10, 100, 1000} do
    local opt = made(name, count)
    local loss = torch.tensor(1.0)
    local closure = name == "LBFGS" and function() return loss end or nil
    local calls = math.max(2, (name == "Muon" and 200 or name == "SparseAdam" and 1000 or 3000) // count)
    for _ = 1, 2 do opt:step(closure) end
    local least = math.huge
    for _ = 1, ROUNDS do
      local began = os.clock()
      for _ = 1, calls do opt:step(closure) end
      least = math.min(least, os.clock() - began)
    end
    print(("%s\t%d\tdefault\t%.2f"):format(name, count, least / calls * 1e6))
  end
end
