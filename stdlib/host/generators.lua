-- The states of the random numbers' generators that a script draws from: math.random, and once torch is loaded its default
-- ones.
local vm = require "native.vm"

local generators = {}

-- Those of CUDA's devices, where they are in use: asking loads no CUDA.
local function of_devices(torch)
  return require("native.device").is_initialized("cuda") and torch.cuda.get_rng_state_all() or nil
end

---@return table {cpu = Tensor, cuda = Tensor[], nil where they are not in use, lua = string}
function generators.take()
  local taken = {lua = vm.random_state():gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)}
  local torch = package.loaded.torch
  if not torch then return taken end
  local keep = require("native.tensor").keep
  taken.cpu, taken.cuda = keep(torch.get_rng_state()), of_devices(torch)
  for _, state in ipairs(taken.cuda or {}) do keep(state) end
  return taken
end

---Is this a generator that a script has made?
---@param object any
---@return boolean
function generators.is_one(object)
  return type(object) == "userdata" and (debug.getmetatable(object) or {}).__name == "Generator"
end

---Random numbers go on as they did after `take`, also of devices that were used for the first time since.
---@param taken table
function generators.restore(taken)
  vm.set_random_state((taken.lua:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end)))
  local torch = package.loaded.torch
  if not (torch and taken.cpu) then return end
  torch.set_rng_state(taken.cpu)
  if not taken.cuda then
    if of_devices(torch) then torch.cuda.manual_seed_all(torch.initial_seed()) end
  elseif torch.cuda.is_available() then
    torch.cuda.set_rng_state_all(taken.cuda)
  end
end

return generators
