-- What a checkpoint's function may depend on: random numbers, autocast, the default device. As they were in the forward.
local is_tensor = require("native.tensor").is_tensor
local named = require "torch.named"

local state = {}

--- The CUDA devices that tensors among the arguments are on, and the states of their generators.
---@param ... any
---@return integer[] devices
---@return Tensor[] states
---@example #torch.utils.checkpoint.get_device_states(torch.ones(2))  --> 0
function state.get_device_states(...)
  local devices, states, known = {}, {}, {}
  local function visit(value, depth)
    if is_tensor(value) then
      if not value.is_cuda or known[value.device.index] then return end
      local index = value.device.index
      known[index] = true
      devices[#devices + 1] = index
      states[#states + 1] = require("torch").cuda.get_rng_state(index)
    elseif type(value) == "table" and getmetatable(value) == nil and depth < 16 then
      for _, each in pairs(value) do visit(each, depth + 1) end
    end
  end
  for i = 1, select("#", ...) do visit((select(i, ...)), 0) end
  return devices, states
end

--- Sets the generators of these CUDA devices.
---@param devices integer[]
---@param states Tensor[]
---@param device_type? string "cuda"
---@example torch.utils.checkpoint.set_device_states(torch.utils.checkpoint.get_device_states(torch.ones(1)))
state.set_device_states = named("torch.utils.checkpoint.set_device_states", "devices, states, *, device_type=nil",
  function(devices, states)
    for i, index in ipairs(devices) do require("torch").cuda.set_rng_state(states[i], index) end
  end)

local function set_random(random)
  require("torch").set_rng_state(random.cpu)
  state.set_device_states(random.devices, random.states)
end

local function random_state(...)
  local devices, states = state.get_device_states(...)
  return {cpu = require("torch").get_rng_state(), devices = devices, states = states}
end

local function autocast_of(torch, device)
  return {enabled = torch.is_autocast_enabled(device), dtype = torch.get_autocast_dtype(device),
    cache_enabled = torch.is_autocast_cache_enabled()}
end

--- What a function with these arguments may depend on.
---@param preserve boolean the random numbers too?
---@param ... any
---@return table
function state.read(preserve, ...)
  local torch = require "torch"
  local now = {random = preserve and random_state(...) or nil, cpu = autocast_of(torch, "cpu"),
    device = torch.get_default_device()}
  if torch.is_autocast_enabled("cuda") or now.random and #now.random.devices > 0 then
    now.cuda = autocast_of(torch, "cuda")
  end
  return now
end

local Restored = {__close = function(self) set_random(self.random) end}

--- fn(...) in that state; what was there before comes back.
---@param saved table
---@param fn function
---@param ... any
---@return any ...
function state.under(saved, fn, ...)
  local torch = require "torch"
  local _ <close> = saved.random and setmetatable({random = random_state(...)}, Restored) or nil
  if saved.random then set_random(saved.random) end
  local _ <close> = torch.autocast("cpu", saved.cpu)
  local _ <close> = saved.cuda and torch.autocast("cuda", saved.cuda) or nil
  return saved.device(fn, ...)
end

return state
