-- The states of the random numbers' generators that a training draws from: torch's default ones and math.random.
local keep <const> = require("native.tensor").keep
local torch = require "torch"
local vm = require "native.vm"

local generators = {}

---@return table {cpu = Tensor, cuda = Tensor[] or nil, lua = string}
function generators.take()
  local cuda
  if torch.cuda.is_available() and torch.cuda.is_initialized() then
    cuda = torch.cuda.get_rng_state_all()
    for _, state in ipairs(cuda) do keep(state) end
  end
  return {cpu = keep(torch.get_rng_state()), cuda = cuda,
    lua = vm.random_state():gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)}
end

---Random numbers go on as they did after `take`.
---@param taken table
function generators.restore(taken)
  torch.set_rng_state(taken.cpu)
  if taken.cuda and torch.cuda.is_available() then torch.cuda.set_rng_state_all(taken.cuda) end
  vm.set_random_state((taken.lua:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end)))
end

return generators
